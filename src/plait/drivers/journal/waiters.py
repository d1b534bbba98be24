"""Who waits for which execution to come to rest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Set
from contextlib import contextmanager

from plait.ports.journal import RUNNING, Standing, Summary


class Waiters:
    """Those who wait in this process, wherever the execution runs."""

    def __init__(self) -> None:
        self._futures: dict[str, set[asyncio.Future[Summary]]] = {}

    @property
    def ids(self) -> Set[str]:
        """The executions that somebody waits for."""
        return self._futures.keys()

    @contextmanager
    def waiting(self, execution_id: str) -> Iterator[asyncio.Future[Summary]]:
        """Yield what will be the execution's row once it is told of."""
        future: asyncio.Future[Summary] = asyncio.get_running_loop().create_future()
        futures = self._futures.setdefault(execution_id, set())
        futures.add(future)
        try:
            yield future
        finally:
            futures.discard(future)
            if not futures and self._futures.get(execution_id) is futures:
                del self._futures[execution_id]

    def tell(self, summary: Summary) -> None:
        """Tell all who wait for this execution."""
        for future in self._futures.pop(summary.new.execution_id, ()):
            if not future.done():
                future.set_result(summary)


def is_at_rest(standing: Standing) -> bool:
    """Tell whether an execution has ended, or goes on only when a person says how."""
    is_in_doubt = standing.error_code is not None and standing.wake_at_ms is None
    return standing.status != RUNNING or is_in_doubt

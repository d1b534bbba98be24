"""Who waits for which execution to come to rest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Set
from contextlib import contextmanager

from plait.ports.journal import RUNNING, Standing, Summary


class Waiters:
    """Those who wait in this process, wherever the execution runs."""

    def __init__(self) -> None:
        self._futures: dict[str, dict[asyncio.Future[Summary], bool]] = {}

    @property
    def ids(self) -> Set[str]:
        """The executions that somebody waits for."""
        return self._futures.keys()

    @contextmanager
    def waiting(
        self, execution_id: str, *, or_paused: bool
    ) -> Iterator[asyncio.Future[Summary]]:
        """Yield what will be the execution's row once it has ended.

        Args:
            or_paused: It is enough when it waits for a person.
        """
        future: asyncio.Future[Summary] = asyncio.get_running_loop().create_future()
        futures = self._futures.setdefault(execution_id, {})
        futures[future] = or_paused
        try:
            yield future
        finally:
            futures.pop(future, None)
            if not futures and self._futures.get(execution_id) is futures:
                del self._futures[execution_id]

    def tell(self, summary: Summary) -> None:
        """Tell those who wait for this execution to be as it is now."""
        has_ended = summary.standing.status != RUNNING
        futures = self._futures.get(summary.new.execution_id, {})
        for future, or_paused in futures.items():
            if not future.done() and (has_ended or or_paused):
                future.set_result(summary)


def is_at_rest(standing: Standing) -> bool:
    """Tell whether an execution has ended, or goes on only when a person says how."""
    is_in_doubt = standing.error_code is not None and standing.wake_at_ms is None
    return standing.status != RUNNING or is_in_doubt

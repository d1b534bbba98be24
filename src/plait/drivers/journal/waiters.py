"""Who waits for which execution to come to rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from typing import TypeAlias

from plait.drivers.inline import Result
from plait.model.errors import PlaitError
from plait.ports.journal import RUNNING, Journal, Search, Standing, Summary

logger = logging.getLogger("plait.journal")

Enough: TypeAlias = Callable[[Standing], bool]


class Waiters:
    """Those who wait in this process, wherever the execution runs.

    Attributes:
        failed: Executions that this process holds and cannot go on with, and why.
        results: Of those that have ended in this process's memory while somebody waits.
    """

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}
        self.failed: dict[str, Exception] = {}
        self._futures: dict[str, dict[asyncio.Future[Summary], Enough]] = {}

    @property
    def ids(self) -> Set[str]:
        """The executions that somebody waits for."""
        return self._futures.keys()

    @contextmanager
    def waiting(
        self, execution_id: str, is_enough: Enough
    ) -> Iterator[asyncio.Future[Summary]]:
        """Yield what will be the execution's row once it stands as is enough."""
        future: asyncio.Future[Summary] = asyncio.get_running_loop().create_future()
        futures = self._futures.setdefault(execution_id, {})
        futures[future] = is_enough
        try:
            yield future
        finally:
            futures.pop(future, None)
            # Also when it is done: asyncio would log a failure that nobody took.
            future.cancel()
            if not futures and self._futures.get(execution_id) is futures:
                del self._futures[execution_id]
                self.results.pop(execution_id, None)

    def tell(self, summary: Summary, result: Result | None = None) -> None:
        """Tell those who wait for this execution to be as it is now.

        Args:
            result: What it came to; None: it has not ended, or the store has to be asked.
        """
        execution_id = summary.new.execution_id
        self.results.pop(execution_id, None)
        if result is not None and execution_id in self._futures:
            self.results[execution_id] = result
        for future, is_enough in self._futures.get(execution_id, {}).items():
            if not future.done() and is_enough(summary.standing):
                future.set_result(summary)

    async def look(self, journal: Journal, ours: Set[str]) -> None:
        """Look how what somebody waits for stands in another worker's hands.

        Args:
            ours: What this worker runs itself.
        """
        ids = tuple(self.ids - ours)
        if ids:
            for summary in await journal.find(Search(execution_ids=ids, limit=len(ids))):
                self.tell(summary)

    def fail(self, execution_id: str, error: Exception | None = None) -> None:
        """Tell those who wait that it cannot go on.

        Args:
            error: Why; None: what was said before, if anything was.
        """
        if error is not None:
            told, text = {"execution_id": execution_id}, "execution %s cannot go on: %s"
            unforeseen = None if isinstance(error, PlaitError) else error
            logger.error(text, execution_id, error, exc_info=unforeseen, extra=told)
            self.failed[execution_id] = error
        known = self.failed.get(execution_id)
        for future in self._futures.get(execution_id, {}):
            if known is not None and not future.done():
                future.set_exception(known)


def has_ended(standing: Standing) -> bool:
    """Tell whether an execution has come to its end."""
    return standing.status != RUNNING


def is_at_rest(standing: Standing) -> bool:
    """Tell whether an execution has ended, or goes on only when a person says how."""
    is_in_doubt = standing.error_code is not None and standing.wake_at_ms is None
    return has_ended(standing) or is_in_doubt

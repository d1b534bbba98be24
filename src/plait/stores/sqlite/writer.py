"""The writer: one thread, one connection, many jobs in one transaction.

A commit waits for the disk (0.3 ms on a good one, 10 ms on a bad one). What arrives while
one commits is committed together by the next, so the wait is shared by as many executions
as are under way. Nobody has to choose a batch size: the disk does.

Rule 1. A job either refuses before it has written, or writes all; so one job's refusal
        leaves the others of its transaction alone.
Rule 2. An answer is given only after the commit that holds its job has returned.
Rule 3. After an error of the database all jobs of the transaction fail, and the connection
        is opened anew: a failed fsync is never taken for success later.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from plait.model.errors import PlaitError
from plait.ports.journal import StoreUnavailable
from plait.stores.sqlite.database import connect, unavailable

T = TypeVar("T")
Job: TypeAlias = Callable[[sqlite3.Connection], Any]
_Answer: TypeAlias = "tuple[asyncio.Future[Any], Any, BaseException | None]"

JOBS_PER_COMMIT_MAX: Final = 1_000


class Writer:
    """Runs jobs on the database, in the order in which they were submitted."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = connection
        self._waiting: deque[tuple[Job, asyncio.Future[Any]]] = deque()
        self._condition = threading.Condition()
        self._is_closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="plait-sqlite", daemon=True)
        self._thread.start()

    async def submit(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` in the next transaction; return its result once that is committed.

        Raises:
            StoreUnavailable: It could not be written, or the writer is closed.
            PlaitError: What the job refused with; nothing of it was written.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        with self._condition:
            if self._is_closing:
                raise StoreUnavailable(f"{self._path} is closed")
            self._waiting.append((job, future))
            self._condition.notify()
        return await future

    async def close(self) -> None:
        """Commit what was submitted, then end the thread."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        await asyncio.to_thread(self._thread.join)

    # -- in the thread -----------------------------------------------------------------

    def _run(self) -> None:
        while jobs := self._next():
            self._tell(self._commit(jobs))
        if self._connection is not None:
            self._connection.close()

    def _next(self) -> list[tuple[Job, asyncio.Future[Any]]]:
        with self._condition:
            while not self._waiting and not self._is_closing:
                self._condition.wait()
            count = min(len(self._waiting), JOBS_PER_COMMIT_MAX)
            return [self._waiting.popleft() for _ in range(count)]

    def _commit(self, jobs: list[tuple[Job, asyncio.Future[Any]]]) -> list[_Answer]:
        try:
            connection = self._connection = self._connection or connect(self._path)
            connection.execute("BEGIN IMMEDIATE")
            answers = [_answer(connection, job, future) for job, future in jobs]
            connection.execute("COMMIT")
        except (sqlite3.Error, StoreUnavailable) as error:
            failure = self._broken(error)
            return [(future, None, failure) for _, future in jobs]
        return answers

    def _broken(self, error: sqlite3.Error | StoreUnavailable) -> StoreUnavailable:
        if self._connection is not None:
            # Closing rolls back whatever was under way.
            self._connection.close()
            self._connection = None
        if isinstance(error, StoreUnavailable):
            return error
        return unavailable(self._path, error)

    def _tell(self, answers: list[_Answer]) -> None:
        try:
            self._loop.call_soon_threadsafe(_deliver, answers)
        except RuntimeError:  # the loop has gone, and with it everybody who waited
            return


def _answer(
    connection: sqlite3.Connection, job: Job, future: asyncio.Future[Any]
) -> _Answer:
    try:
        return future, job(connection), None
    except PlaitError as refusal:
        return future, None, refusal


def _deliver(answers: list[_Answer]) -> None:
    for future, result, error in answers:
        if future.done():  # whoever waited has been cancelled
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

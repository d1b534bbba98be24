"""The writer: one thread, one connection, many jobs in one transaction.

A commit waits for the disk (0.3 ms on a good one, 10 ms on a bad one). What arrives while
one commits is committed together by the next, so the wait is shared by as many executions
as are under way. Nobody has to choose a batch size: the disk does.

Rule 1. A job either refuses before it has written, or writes all; so one job's refusal
        leaves the others of its transaction alone.
Rule 2. An answer is given only after the commit that holds its job has returned.
Rule 3. After an error of the database all jobs of the transaction fail, and the connection
        is opened anew: a failed fsync is never taken for success later. What the log holds
        by then is written to the disk once more before anything is added to it.
Rule 4. A job that breaks the transaction by what it wants (a damaged page, a value that
        cannot be kept) fails alone: the others are tried again without it.
Rule 5. Nothing is written to a file that has been moved or removed: SQLite would go on with
        it, and whoever opens the path next would find nothing of that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from traceback import clear_frames
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from plait.model.errors import PlaitError
from plait.ports.journal import StoreUnavailable
from plait.stores.sqlite.database import (
    BUSY_TIMEOUT_MS,
    WAL_BYTES_MAX,
    connect,
    rewrite_log,
)
from plait.stores.sqlite.faults import fault

logger = logging.getLogger("plait.sqlite")

T = TypeVar("T")
Job: TypeAlias = Callable[[sqlite3.Connection], Any]
_Answer: TypeAlias = "tuple[asyncio.Future[Any], Any, BaseException | None]"

JOBS_PER_COMMIT_MAX: Final = 1_000
_LOOK_AGAIN_S: Final = 0.001
# How long writing may stand still for readers to let go of the log: first so long, then, as
# the log grows by as much again each time, four times as long. Ours read for milliseconds.
_LOG_WAIT_MS: Final = 50
_LOG_WAIT_MS_MAX: Final = 3_200


class _Wanted(NamedTuple):
    job: Job
    future: asyncio.Future[Any]
    is_alone: bool


class Writer:
    """Runs jobs on the database, in the order in which they were submitted."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = connection
        self._file = os.stat(path)
        # Whoever wrote before may have left after a failed fsync.
        self._is_log_sure = False
        self._log_bytes_max = WAL_BYTES_MAX
        self._log_wait_ms = _LOG_WAIT_MS
        # What the loop has submitted in this pass: the thread is told of all at once. One
        # by one that is 2 µs each, and a fight for the interpreter.
        self._gathered: list[_Wanted] = []
        self._waiting: deque[_Wanted] = deque()
        self._condition = threading.Condition()
        self._is_closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="plait-sqlite", daemon=True)
        self._thread.start()

    def submit(
        self, job: Callable[[sqlite3.Connection], T], *, is_alone: bool = False
    ) -> asyncio.Future[T]:
        """Run `job` in the next transaction; its result is known once that is committed.

        Args:
            is_alone: Whether it needs a transaction of its own.

        Raises:
            StoreUnavailable: It could not be written, or the writer is closed.
            StoreDamaged: What it has to do with is damaged.
            PlaitError: What the job refused with; nothing of it was written.
        """
        if self._is_closing:
            raise StoreUnavailable(f"{self._path} is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(_Wanted(job, future, is_alone))
        return future

    def _hand_over(self) -> None:
        with self._condition:
            self._waiting.extend(self._gathered)
            self._gathered.clear()
            self._condition.notify()

    async def close(self) -> None:
        """Commit what was submitted, then end the thread."""
        self._is_closing = True
        self._hand_over()
        await asyncio.to_thread(self._thread.join)

    # -- in the thread -----------------------------------------------------------------

    def _run(self) -> None:
        while jobs := self._next():
            self._tell(self._commit(jobs))
            self._keep_log_short()
        if self._connection is not None:
            self._connection.close()

    def _next(self) -> list[_Wanted]:
        with self._condition:
            while not self._waiting and not self._is_closing:
                self._condition.wait()
            jobs: list[_Wanted] = []
            while self._waiting and len(jobs) < JOBS_PER_COMMIT_MAX:
                if self._waiting[0].is_alone and jobs:
                    break
                jobs.append(self._waiting.popleft())
                if jobs[0].is_alone:
                    break
            return jobs

    def _commit(self, jobs: list[_Wanted]) -> list[_Answer]:
        try:
            return self._transaction(jobs)
        except Exception as error:
            # A cursor of the job that failed would keep the transaction open.
            clear_frames(error.__traceback__)
            self._hang_up()
            failure = fault(self._path, error)
        if len(jobs) > 1 and not isinstance(failure, StoreUnavailable):
            middle = len(jobs) // 2
            return self._commit(jobs[:middle]) + self._commit(jobs[middle:])
        return [(one.future, None, failure) for one in jobs]

    def _transaction(self, jobs: list[_Wanted]) -> list[_Answer]:
        self._check_place()
        connection = self._connection = self._connection or connect(self._path)
        _begin(connection)
        if not self._is_log_sure:
            rewrite_log(self._path)
            self._is_log_sure = True
        answers = [_answer(connection, one) for one in jobs]
        connection.execute("COMMIT")
        return answers

    def _check_place(self) -> None:
        """See that the path names the file that was opened: 2 µs, beside 300 of a commit.

        Raises:
            StoreUnavailable: It names another, or none.
        """
        with suppress(FileNotFoundError, NotADirectoryError):
            if os.path.samestat(os.stat(self._path), self._file):
                return
        raise StoreUnavailable(
            f"{self._path} is no more the file that was opened: nothing was written; put "
            "that one back, or end all processes that use it and start them again"
        )

    def _hang_up(self) -> None:
        """Close the connection, which rolls back whatever was under way."""
        connection, self._connection = self._connection, None
        self._is_log_sure = False
        if connection is not None:
            connection.close()

    def _keep_log_short(self) -> None:
        """Begin the log anew when it has grown because there was always some reader.

        SQLite does so by itself only at a moment without readers. Asked for it, it lets new
        ones read past the log and waits for the old ones.
        """
        if self._connection is None:
            return
        with suppress(OSError):
            log_bytes = os.stat(f"{self._path}-wal").st_size
            if log_bytes > self._log_bytes_max:
                self._begin_log_anew(self._connection, log_bytes)

    def _begin_log_anew(self, connection: sqlite3.Connection, log_bytes: int) -> None:
        try:
            connection.execute(f"PRAGMA busy_timeout = {self._log_wait_ms}")
            row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        except sqlite3.Error as error:
            logger.warning("%s", fault(self._path, error))
            self._hang_up()
            return
        if row[0]:
            logger.warning("a reader keeps %s-wal at %d bytes", self._path, log_bytes)
            self._log_bytes_max = log_bytes + WAL_BYTES_MAX
            self._log_wait_ms = min(4 * self._log_wait_ms, _LOG_WAIT_MS_MAX)
        else:
            self._log_bytes_max, self._log_wait_ms = WAL_BYTES_MAX, _LOG_WAIT_MS

    def _tell(self, answers: list[_Answer]) -> None:
        try:
            self._loop.call_soon_threadsafe(_deliver, answers)
        except RuntimeError:  # the loop has gone, and with it everybody who waited
            return


def _begin(connection: sqlite3.Connection) -> None:
    """Begin to write; wait while another process does.

    SQLite's own wait looks again after up to 100 ms, and misses every gap that another
    leaves between its commits: 2 s were seen beside a process that removed executions.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    give_up_at_s = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > give_up_at_s:
                raise
            time.sleep(_LOOK_AGAIN_S)


def _answer(connection: sqlite3.Connection, wanted: _Wanted) -> _Answer:
    try:
        return wanted.future, wanted.job(connection), None
    except PlaitError as refusal:
        return wanted.future, None, refusal


def _deliver(answers: list[_Answer]) -> None:
    for future, result, error in answers:
        if future.done():  # whoever waited has been cancelled
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

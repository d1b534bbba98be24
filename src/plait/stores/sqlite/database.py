"""The database file: opening it, bringing its schema up, and what its errors mean.

Rule 1. `synchronous=FULL` under WAL: a commit that has returned survives a loss of power.
Rule 2. Migrations are numbered files, applied in order, each in a transaction of its own;
        `PRAGMA user_version` says which was the last. Code refuses a schema it is too old
        for.
Rule 3. A database of another program is left as it is: before the first write the file is
        asked whose it is, by `PRAGMA application_id` or, while that is 0, by its tables.
"""

from __future__ import annotations

import os
import sqlite3
from importlib import resources
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from plait.ports.journal import StoreTooNew
from plait.stores.sqlite.faults import NoDatabase, fault

BUSY_TIMEOUT_MS: Final = 5_000
_PAUSE_S: Final = 0.01
# The log is brought into the database every 1,000 pages; past this something stops that.
WAL_BYTES_MAX: Final = 16 * 1024 * 1024
# "Plai". What the first versions made says 0.
APPLICATION_ID: Final = 0x506C6169
_OUR_TABLES: Final = frozenset({"executions", "entries", "plans", "workers"})
_CHUNK_BYTES: Final = 1024 * 1024


def connect(path: Path) -> sqlite3.Connection:
    """Open the database at `path` for reading and writing, in whichever thread uses it.

    Raises:
        StoreUnavailable: It cannot be opened.
        NoDatabase: The file is something else, or another program's.
    """
    connection = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if not connection.execute("PRAGMA page_count").fetchone()[0]:
            # Only a new file takes this on: pages that are freed can then be given back to
            # the file system a few at a time. To ask an old one for it would be a write.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        elif not _is_ours(connection):
            raise NoDatabase(path, "a database of another program")
        _keep_a_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
    except (sqlite3.Error, UnicodeDecodeError, NoDatabase) as error:
        if connection is not None:
            connection.close()
        raise fault(path, error) from error
    return connection


def _keep_a_log(connection: sqlite3.Connection) -> None:
    """Begin write-ahead logging; whoever else writes to the file is waited for.

    SQLite does not wait here, whatever its busy timeout: it has begun to read. Of eight who
    made one store at once, one in 120 was told that it is locked.
    """
    until_s = monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or monotonic() >= until_s:
                raise
            sleep(_PAUSE_S)
        else:
            return


def _is_ours(connection: sqlite3.Connection) -> bool:
    found: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if found:
        return found == APPLICATION_ID
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    tables = {row[0] for row in rows}
    return not tables or tables >= _OUR_TABLES


def rewrite_log(path: Path) -> None:
    """Write what the write-ahead log holds to the disk once more.

    After a failed fsync the system may believe that pages are on the disk which are not:
    a later fsync succeeds without them, and what is appended behind them is lost with the
    power. Pages that are written again are written for real. Call it with the database
    locked for writing.

    Raises:
        OSError: The disk fails still.
    """
    try:
        descriptor = os.open(f"{path}-wal", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        offset = 0
        while chunk := os.pread(descriptor, _CHUNK_BYTES, offset):
            offset += os.pwrite(descriptor, chunk, offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def opened(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Return a connection for the writer and one for readers, making what is not there.

    Raises:
        StoreTooNew: A newer version has been here.
        StoreUnavailable: It cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise fault(path, error) from error
    connection = connect(path)
    try:
        migrate(connection, path)
        return connection, connect(path)
    except BaseException:
        connection.close()
        raise


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to what this version knows.

    Raises:
        StoreTooNew: A newer version has been here.
        StoreUnavailable: It cannot be written.
    """
    steps = migrations()
    try:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > len(steps):
            raise StoreTooNew(found=found, known=len(steps), store=str(path))
        for number in range(found + 1, len(steps) + 1):
            _apply(connection, number, steps[number - 1])
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise fault(path, error) from error


def migrations() -> list[str]:
    """Return the SQL of all migrations, the first one first."""
    folder = resources.files(__package__) / "migrations"
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(folder / name).read_text("utf-8") for name in files]


def _apply(connection: sqlite3.Connection, number: int, sql: str) -> None:
    """Apply one migration, unless another process has done so meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] < number:
            for statement in _statements(sql):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(sql: str) -> list[str]:
    """Split at statement ends: `executescript` would commit what is under way."""
    statements, current = [], ""
    for line in sql.splitlines():
        current += line + "\n"
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements

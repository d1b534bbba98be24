"""The database file: opening it, bringing its schema up, and what its errors mean.

Rule 1. `synchronous=FULL` under WAL: a commit that has returned survives a loss of power.
Rule 2. Migrations are numbered files, applied in order, each in a transaction of its own;
        `PRAGMA user_version` says which was the last. Code refuses a schema it is too old
        for.
"""

from __future__ import annotations

import sqlite3
from importlib import resources
from pathlib import Path
from typing import Final

from plait.ports.journal import StoreFull, StoreTooNew, StoreUnavailable

BUSY_TIMEOUT_MS: Final = 5_000

_REMEDY: Final = {
    "SQLITE_READONLY": "the file or its folder cannot be written",
    "SQLITE_CANTOPEN": "the file cannot be opened or created",
    "SQLITE_NOTADB": "the file is no SQLite database",
    "SQLITE_CORRUPT": "the file is damaged: restore it from a backup",
    "SQLITE_BUSY": "another process has kept it locked",
}


def connect(path: Path) -> sqlite3.Connection:
    """Open the database at `path` for reading and writing, in whichever thread uses it.

    Raises:
        StoreUnavailable: It cannot be opened.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        raise unavailable(path, error) from error
    return connection


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
    except sqlite3.Error as error:
        raise unavailable(path, error) from error


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


def unavailable(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    """Return what `error` means to whoever wanted to write or read."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name == "SQLITE_FULL":
        return StoreFull(f"there is no space left for {path}: nothing was written")
    known = [text for code, text in _REMEDY.items() if name.startswith(code)]
    return StoreUnavailable(f"{path}: {known[0] if known else error}")

"""What SQLite's errors mean: one class per thing that somebody can do something about.

Not here: what may be wrong with any store (plait.stores.faults).
"""

from __future__ import annotations

import errno
import os
import sqlite3
from json import JSONDecodeError
from pathlib import Path
from typing import ClassVar, Final

from plait.model.errors import Advice, PlaitError
from plait.ports.journal import StoreFull, StoreUnavailable
from plait.stores.faults import StoreDamaged, StoreReadOnly


class StoreLocked(StoreUnavailable):
    """Another process has kept the database locked for longer than anybody waits."""

    code: ClassVar[str] = "store.locked"


class NoDatabase(PlaitError):
    """The file is something else than an SQLite database of Plait's."""

    code: ClassVar[str] = "store.no_database"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, path: Path, found: str = "no SQLite database") -> None:
        super().__init__(f"{path} is {found}: name another file")
        self.path = path


class NotAsWritten(ValueError):
    """A row holds what nobody has written: the tables are strict."""


_READ_ONLY: Final = ("SQLITE_READONLY", "SQLITE_PERM")
_LOCKED: Final = ("SQLITE_BUSY", "SQLITE_LOCKED")


def fault(path: Path, error: Exception) -> Exception:
    """Return what `error` means to whoever wanted to write or read at `path`.

    An error that neither the database nor the system has raised is returned as it is.
    """
    if isinstance(error, OSError):
        return _of_system(path, error)
    # What was written as text or JSON is none any more.
    if isinstance(error, UnicodeDecodeError | JSONDecodeError | NotAsWritten):
        return StoreDamaged(path, str(error))
    if not isinstance(error, sqlite3.Error):
        return error
    # Errors of the sqlite3 module itself have no name.
    name = getattr(error, "sqlite_errorname", None)
    if name is None:
        is_read = str(error).startswith("Could not decode")
        return StoreDamaged(path, str(error)) if is_read else error
    if name == "SQLITE_FULL":
        return _full(path)
    if name == "SQLITE_NOTADB":
        return NoDatabase(path)
    if name.startswith("SQLITE_CORRUPT"):
        return StoreDamaged(path, str(error))
    if name.startswith(_READ_ONLY):
        return StoreReadOnly(f"{path} cannot be written: look at its permissions")
    if name.startswith(_LOCKED):
        return StoreLocked(f"another process has kept {path} locked: nothing was written")
    if name.startswith("SQLITE_CANTOPEN"):
        if not (os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)):
            return StoreReadOnly(f"{path} or its folder cannot be written")
        return StoreUnavailable(f"{path} cannot be opened, or not be made")
    return StoreUnavailable(f"{path}: {error} ({name})")


def _of_system(path: Path, error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(path)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StoreReadOnly(f"{path} cannot be written: {error.strerror}")
    return StoreUnavailable(f"{path}: {error.strerror or error}")


def _full(path: Path) -> StoreFull:
    return StoreFull(f"there is no space left for {path}: nothing was written")

"""Backup: a copy of the database as of one moment, made while others write.

Rule 1. What is already there is never overwritten, and what is not whole has another name:
        the copy gets its own when all of it is on the disk.
Rule 2. The writer is not stopped. The copy reads within one transaction, so the log keeps
        what is written meanwhile and is brought in afterwards.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from plait.ports.upkeep import BackupRefused
from plait.stores.sqlite.database import connect
from plait.stores.sqlite.faults import fault


def backup(path: Path, target: Path) -> None:
    """See plait.ports.upkeep.Upkeep.backup."""
    if target.exists():
        raise BackupRefused(target, "it is there already, and stays as it is")
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        part.unlink(missing_ok=True)
        _copy(path, part)
        sync(part)
        os.link(part, target)
        sync(target.parent)
    except FileExistsError as error:
        raise BackupRefused(target, "it is there already, and stays as it is") from error
    except FileNotFoundError as error:
        raise BackupRefused(target, "there is no such folder") from error
    except OSError as error:
        raise fault(target, error) from error
    finally:
        part.unlink(missing_ok=True)


def _copy(path: Path, part: Path) -> None:
    if not part.parent.is_dir():
        raise FileNotFoundError(part.parent)
    source = connect(path)
    try:
        source.execute("BEGIN")
        # A transaction that only began has not chosen its moment yet.
        source.execute("PRAGMA schema_version").fetchone()
        _write(source, part)
    except sqlite3.Error as error:
        raise fault(path, error) from error
    finally:
        source.close()


def _write(source: sqlite3.Connection, part: Path) -> None:
    copy = sqlite3.connect(part)
    try:
        source.backup(copy)
        # One file, with nothing beside it: whoever opens it turns the log on again.
        copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise fault(part, error) from error
    finally:
        copy.close()


def sync(path: Path) -> None:
    """Wait until a file's, or a folder's, content is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

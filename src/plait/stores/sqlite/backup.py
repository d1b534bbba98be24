"""Backup: a copy of the database as of one moment, made while others write.

Rule 1. What is already there is never overwritten, and what is not whole has another name:
        the copy gets its own when all of it is on the disk.
Rule 2. The writer is not stopped. The copy reads within one transaction, so the log keeps
        what is written meanwhile and is brought in afterwards.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from plait.ports.blobs import BlobDamaged
from plait.ports.upkeep import BackupRefused, check_target
from plait.stores.files import FileBlobs, sync
from plait.stores.sqlite.database import connect
from plait.stores.sqlite.faults import fault
from plait.stores.sqlite.payloads import blobs_of


def backup(path: Path, target: Path, blobs: FileBlobs) -> None:
    """See plait.ports.upkeep.Upkeep.backup.

    The blobs that the copy names are copied into a folder beside it.
    """
    check_target(target)
    copies = blobs_of(target)
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        _check_free(target, copies.folder, part)
    except OSError as error:  # its name is too long, say
        raise BackupRefused(target, f"{error.strerror}") from error
    try:
        with blobs.kept():
            _copy(path, part)
            _copy_blobs(part, blobs, copies)
        sync(part)
        os.link(part, target)
        sync(target.parent)
    except BaseException as error:
        shutil.rmtree(copies.folder, ignore_errors=True)
        if isinstance(error, FileExistsError):
            raise BackupRefused(target, "it is there already") from error
        if isinstance(error, OSError):
            raise fault(target, error) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def _check_free(target: Path, folder: Path, part: Path) -> None:
    for one in (target, folder):
        if one.exists():
            raise BackupRefused(one, "it is there already, and stays as it is")
    if not target.parent.is_dir():
        raise BackupRefused(target, "there is no such folder")
    part.unlink(missing_ok=True)


def _copy_blobs(part: Path, blobs: FileBlobs, copies: FileBlobs) -> None:
    with closing(sqlite3.connect(part)) as connection:
        query = "SELECT DISTINCT blob FROM entries WHERE blob IS NOT NULL"
        for (name,) in connection.execute(query):
            # What is damaged is so in the copy as well; the rest is worth having.
            with suppress(BlobDamaged):
                copies.save(blobs.load(name))


def _copy(path: Path, part: Path) -> None:
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

"""Archive files: lines of JSON, added to and never rewritten.

Rule. Only what begins as a line of an archive is added to, and never a file of the store
      itself: behind a database's pages lines of JSON are damage.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import BinaryIO, ClassVar

from plait.model.errors import Advice, PlaitError


class ArchiveRefused(PlaitError):
    """What was named as an archive is something else, and stays as it is."""

    code: ClassVar[str] = "archive.refused"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}: name another file; nothing was removed")
        self.path = path


class ArchiveFile:
    """An archive that lines are added to. What could not be added whole is taken back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, line: bytes) -> None:
        """See plait.operations.journal.Archive."""
        end = self._file.seek(0, os.SEEK_END)
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            with suppress(OSError):
                self._file.truncate(end)
            raise

    def sync(self) -> None:
        """See plait.operations.journal.Archive."""
        os.fsync(self._file.fileno())


@contextmanager
def opened_archive(path: Path, store_paths: Iterable[Path] = ()) -> Iterator[ArchiveFile]:
    """Open the archive at `path`, making it if need be.

    Args:
        store_paths: The files and folders of the store: none of them is an archive.

    Raises:
        ArchiveRefused: It belongs to the store, or holds something else.
        OSError: It cannot be opened or written.
    """
    if any(_is_part_of(path, one) for one in store_paths):
        raise ArchiveRefused(path, "belongs to the store")
    # Unbuffered: a line that failed must not be tried again when the file is closed.
    with open(path, "ab+", buffering=0) as raw:
        if not _may_be_archive(raw):
            raise ArchiveRefused(path, "is there already, and is no archive")
        archive = ArchiveFile(raw)
        if _is_cut_off(raw):
            archive.write(b"\n")
        yield archive


def _is_part_of(path: Path, whole: Path) -> bool:
    """Whether `path` is `whole` by any name, or lies in it; neither need be there."""
    if path.resolve().is_relative_to(whole.resolve()):
        return True
    return path.exists() and whole.exists() and path.samefile(whole)


def _may_be_archive(file: BinaryIO) -> bool:
    if not file.seek(0, os.SEEK_END):
        return True
    file.seek(0)
    return file.read(1) == b"{"


def _is_cut_off(file: BinaryIO) -> bool:
    """Whether the last line has no end: a crash came between."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def archive_of_today(
    folder: Path, store_paths: Iterable[Path] = ()
) -> AbstractContextManager[ArchiveFile]:
    """Open the file in `folder` that executions are added to which go today.

    Raises:
        ArchiveRefused: See `opened_archive`.
        OSError: It cannot be opened or made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"executions-{date.today().isoformat()}.jsonl"
    return opened_archive(file, store_paths)

"""Archive files: lines of JSON, added to and never rewritten."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import BinaryIO


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
def opened_archive(path: Path) -> Iterator[ArchiveFile]:
    """Open the archive at `path`, making it if need be.

    Raises:
        OSError: It cannot be opened or written.
    """
    # Unbuffered: a line that failed must not be tried again when the file is closed.
    with open(path, "ab+", buffering=0) as raw:
        archive = ArchiveFile(raw)
        if _is_cut_off(raw):
            archive.write(b"\n")
        yield archive


def _is_cut_off(file: BinaryIO) -> bool:
    """Whether the last line has no end: a crash came between."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def archive_of_today(folder: Path) -> AbstractContextManager[ArchiveFile]:
    """Open the file in `folder` that executions are added to which go today.

    Raises:
        OSError: It cannot be opened or made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return opened_archive(folder / f"executions-{date.today().isoformat()}.jsonl")

"""Blobs as files in a folder, each named by its content's hash.

Rule 1. A file gets its name when its bytes are on the disk, and its name is on the disk
        before anybody is told.
Rule 2. Whoever removes files that nobody names must exclude that somebody is about to name
        them; the store knows how. While a backup copies files, none is removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from plait.ports.blobs import BlobDamaged

_NAME_BYTES: Final = 32
_PART: Final = ".part-"
_LOCK: Final = ".lock"
# Nobody writes one file for as long as that: its writer has died.
_PART_AGE_S_MAX: Final = 3_600


class FileBlobs:
    """Keeps blobs in `folder`. Implements Blobs.

    Args:
        fault: Returns what an error of the system means to whoever uses the store.
    """

    def __init__(self, folder: Path, fault: Callable[[OSError], Exception]) -> None:
        self.folder = folder
        self._fault = fault

    def save(self, data: bytes) -> str:
        """See plait.ports.blobs.Blobs."""
        name = _name_of(data)
        try:
            self.folder.mkdir(exist_ok=True)
            if self._content(name) != data:
                self._write(name, data)
            # Also when another has written it: perhaps its name is not on the disk yet.
            sync(self.folder)
            sync(self.folder.parent)
        except OSError as error:
            raise self._fault(error) from error
        return name

    def load(self, name: str) -> bytes:
        """See plait.ports.blobs.Blobs."""
        data = self._content(name)
        if data is None:
            raise BlobDamaged(name, "is gone")
        if _name_of(data) != name:
            raise BlobDamaged(name, "has been altered")
        return data

    def has(self, name: str) -> bool:
        """See plait.ports.blobs.Blobs."""
        return (self.folder / name).exists()

    def names(self) -> Iterator[str]:
        """Yield the names of all blobs; remove what dead writers have begun."""
        with suppress(FileNotFoundError), os.scandir(self.folder) as found:
            for one in found:
                if not one.name.startswith("."):
                    yield one.name
                elif one.name.startswith(_PART):
                    _remove_if_old(one)

    def remove(self, names: Iterable[str]) -> int:
        """Remove blobs, unless a backup copies them; return how many bytes they had."""
        byte_count = 0
        with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB) as is_locked:
            for name in names if is_locked else ():
                path = self.folder / name
                with suppress(FileNotFoundError):
                    byte_count += path.stat().st_size
                    path.unlink()
        return byte_count

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Let nothing be removed while the block is under way."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def _locked(self, operation: int) -> Iterator[bool]:
        if not self.folder.exists():
            yield True
            return
        with open(self.folder / _LOCK, "wb") as file:
            try:
                fcntl.flock(file, operation)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _content(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, name: str, data: bytes) -> None:
        part = self.folder / f"{_PART}{secrets.token_hex(8)}"
        try:
            with open(part, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.rename(self.folder / name)
        finally:
            part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's, or a folder's, content is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name_of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=_NAME_BYTES).hexdigest()


def _remove_if_old(found: os.DirEntry[str]) -> None:
    with suppress(FileNotFoundError):
        if time.time() - found.stat().st_mtime > _PART_AGE_S_MAX:
            Path(found.path).unlink()

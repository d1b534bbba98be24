"""Answers in files, one for each: shared by all processes of a machine, kept over restarts.

[resilience]
cache = "files"

[caches.files]
folder = "/var/cache/plait"
entries_max = 10000                 # the default; the oldest go first
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from plait.ports.cache_backend import CachePlugin, KeptBytes
from plait.ports.plugins import PluginContext

_ENTRIES_MAX = 10_000
# When it was kept, and when its time is over: seconds since the Unix epoch.
_HEAD = struct.Struct("<dd")


class Files:
    """A folder of answers. Files are read and written in threads.

    Args:
        now_s: Returns the moment, seconds since the Unix epoch.
    """

    def __init__(
        self, folder: Path, entries_max: int, now_s: Callable[[], float] = time.time
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._entries_max = entries_max
        self._now_s = now_s

    async def get(self, key: str) -> KeptBytes | None:
        """See plait.ports.cache_backend.CacheBackend."""
        return await asyncio.to_thread(self._read, self._path(key))

    async def put(self, key: str, data: bytes, keep_s: float) -> bool:
        """See plait.ports.cache_backend.CacheBackend."""
        await asyncio.to_thread(self._write, self._path(key), data, keep_s)
        return True

    async def delete(self, key: str) -> None:
        """See plait.ports.cache_backend.CacheBackend."""
        self._path(key).unlink(missing_ok=True)

    async def clear(self) -> None:
        """See plait.ports.cache_backend.CacheBackend."""
        for path in self._entries():
            path.unlink(missing_ok=True)

    async def close(self) -> None:
        """Nothing is open; what is kept stays for the next process."""

    def _path(self, key: str) -> Path:
        # A key names no file by itself: `..` is one, too.
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.kept"

    def _entries(self) -> list[Path]:
        return list(self._folder.glob("*.kept"))

    def _read(self, path: Path) -> KeptBytes | None:
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        kept_s, ends_s = _HEAD.unpack_from(text)
        now_s = self._now_s()
        if self.is_over(ends_s, now_s):
            path.unlink(missing_ok=True)
            return None
        return KeptBytes(text[_HEAD.size :], max(now_s - kept_s, 0.0))

    def is_over(self, ends_s: float, now_s: float) -> bool:
        """Tell whether the time of an answer is over."""
        return now_s >= ends_s

    def _write(self, path: Path, data: bytes, keep_s: float) -> None:
        now_s = self._now_s()
        # Whoever reads meanwhile finds the old file or the new one, never half of it.
        handle, name = tempfile.mkstemp(dir=self._folder)
        with os.fdopen(handle, "wb") as file:
            file.write(_HEAD.pack(now_s, now_s + keep_s) + data)
        os.replace(name, path)
        self._make_room()

    def _make_room(self) -> None:
        entries = self._entries()
        if len(entries) <= self._entries_max:
            return
        with suppress(FileNotFoundError):  # another process makes room as well
            entries.sort(key=lambda path: path.stat().st_mtime)
            for path in entries[: len(entries) - self._entries_max]:
                path.unlink()


def _files(context: PluginContext) -> Files:
    unknown = set(context.options) - {"folder", "entries_max"}
    if unknown:
        known = "known: folder, entries_max"
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; {known}")
    folder = context.options.get("folder")
    count = context.options.get("entries_max", _ENTRIES_MAX)
    if not isinstance(folder, str) or not folder:
        raise ValueError("`folder` says where answers are kept")
    if not isinstance(count, int) or count < 1:
        raise ValueError("`entries_max` is a whole number above 0")
    return Files(Path(folder), count)


CACHE = CachePlugin(port=1, make=_files)

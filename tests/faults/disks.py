"""Disks that are full, fail or may not be written: real ones, as far as the system lets us.

A test that may not do what it needs is skipped, and says why.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn
from unittest import SkipTest

_SYNC_CALLS: Final = {"x86_64": (74, 75), "aarch64": (82, 83)}  # fsync, fdatasync
_ALLOW: Final = 0x7FFF0000
_EIO: Final = 0x00050000 | 5


class SmallDisk:
    """A file system of its own, of a few megabytes, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("ab", buffering=0) as file:
            for piece in (65_536, 4_096, 1):
                try:
                    while file.write(b"x" * piece):
                        pass
                except OSError:
                    continue

    def make_room(self) -> None:
        """Give all of it back."""
        self._ballast.unlink()

    def lock(self) -> None:
        """Let nothing be written any more."""
        _mount("-o", "remount,ro", str(self.folder))


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[SmallDisk]:
    """Mount a small file system at `folder`."""
    folder.mkdir()
    try:
        _mount("-t", "tmpfs", "-o", f"size={size}", "plait-test", str(folder))
    except (OSError, subprocess.CalledProcessError):
        folder.rmdir()
        _give_up("needs the right to mount a small file system")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def let_sync_fail() -> None:
    """From now on fsync and fdatasync fail with EIO in this thread, for its whole life.

    The kernel refuses them by a filter of system calls (seccomp), so whoever calls them,
    SQLite included, meets a disk that fails.
    """
    numbers = _SYNC_CALLS.get(platform.machine())
    if platform.system() != "Linux" or numbers is None:
        _give_up("needs Linux on x86-64 or ARM64")
    load, equal, end = 0x20, 0x15, 0x06
    program = [(load, 0, 0, 0)]
    for index, number in enumerate(numbers):
        program.append((equal, len(numbers) - index, 0, number))
    program += [(end, 0, 0, _ALLOW), (end, 0, 0, _EIO)]
    filters = ctypes.create_string_buffer(
        b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    )
    whole = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(program), ctypes.addressof(filters))
    )
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_filter, filter_mode = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(
        set_filter, filter_mode, whole, 0, 0
    ):
        _give_up(f"needs seccomp: {os.strerror(ctypes.get_errno())}")


def _give_up(reason: str) -> NoReturn:
    """Skip the test that asked: a right that a container lacks cannot be installed."""
    raise SkipTest(reason)

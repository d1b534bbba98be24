"""Which workers live: each keeps a lock on a file of its own for as long as it runs.

The operating system drops the lock when the process ends, however it ends, so after a
`kill -9` the next process takes over at once and need not wait until a lease has run out.
A process that hangs keeps its lock and loses its executions by its lease.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class WorkerLocks:
    """The lock files beside a database file: `plait.db.worker-ID`."""

    def __init__(self, database: Path) -> None:
        self._folder = database.parent
        self._prefix = f"{database.name}.worker-"
        self._held: dict[str, int] = {}

    def hold(self, worker_id: str) -> None:
        """Lock the worker's file until `drop`, or until the process ends."""
        path = self._folder / f"{self._prefix}{worker_id}"
        while worker_id not in self._held:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(path, descriptor):
                self._held[worker_id] = descriptor
            else:  # somebody took the file for a dead worker's before it was locked
                os.close(descriptor)

    def drop(self, worker_id: str) -> None:
        """Unlock and remove the worker's file."""
        descriptor = self._held.pop(worker_id, None)
        if descriptor is not None:
            (self._folder / f"{self._prefix}{worker_id}").unlink(missing_ok=True)
            os.close(descriptor)

    def bury(self) -> list[str]:
        """Return the workers whose process has ended, and remove their files."""
        dead = []
        for path in self._folder.glob(f"{self._prefix}*"):
            worker_id = path.name.removeprefix(self._prefix)
            if worker_id not in self._held and _is_unlocked(path):
                path.unlink(missing_ok=True)
                dead.append(worker_id)
        return dead


def _is_unlocked(path: Path) -> bool:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True
    return False


def _is_at(path: Path, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    return False

"""Child processes that say where they listen, and that never outlive the demo.

Three ropes hold a child: `Children` stops its whole process group on the way out; the
tether ends it when this process dies without a word; and a child that will not end
within STOP_S is killed.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType

TETHER = Path(__file__).resolve().parent / "tether.py"
LISTENING = re.compile(r"listening on (http://[\w.\[\]:-]+:\d+)")
READY_S = 30
STOP_S = 10


class StartFailed(Exception):
    """A child ended, or said nothing, before it was ready; the text has its last words."""


class Child:
    """One Python program, running under the tether."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        self.name = name
        self.url = ""
        self._said: deque[str] = deque(maxlen=20)
        self._ready: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, str(TETHER), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the demo only, which then stops us
        )
        self.pid = self._process.pid
        threading.Thread(target=self._listen, name=name, daemon=True).start()

    def _listen(self) -> None:
        """Read what the child says, to its end: a full pipe would stop it."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(line)
            found = LISTENING.search(line)
            if found:
                self._ready.put(found[1])
        self._ready.put("")

    def wait_until_ready(self) -> None:
        """Return once the child listens; `url` then says where.

        Raises:
            StartFailed: It ended first, or READY_S passed.
        """
        try:
            self.url = self._ready.get(timeout=READY_S)
        except queue.Empty:
            text = f"{self.name} did not listen within {READY_S} s"
            raise StartFailed(text) from None
        if not self.url:
            said = "".join(self._said).strip() or "nothing"
            raise StartFailed(f"{self.name} ended before it was ready. It said:\n{said}")

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the child and everything that it started."""
        self._signal_group(signal.SIGTERM)

    def stop(self, deadline_at: float) -> None:
        """Wait for the child until `deadline_at` (time.monotonic), then kill it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline_at - time.monotonic()))
        # Also when the child has ended: something that it started may not have.
        self._signal_group(signal.SIGKILL)
        self._process.wait()

    def wait_until_ended(self) -> str:
        """Return the child's last words once it has ended by itself."""
        self._process.wait()
        return "".join(self._said).strip()

    def _signal_group(self, number: signal.Signals) -> None:
        # Nobody may be left; macOS says so by refusing permission.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class Children:
    """The children of one run: started together, stopped together.

    >>> with Children() as children:
    ...     pass
    """

    def __init__(self) -> None:
        self.all: list[Child] = []

    def start(self, name: str, arguments: list[str]) -> Child:
        """Start a program; it may not be ready yet."""
        child = Child(name, arguments)
        self.all.append(child)
        return child

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A second Ctrl-C must not stop the stopping.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        deadline_at = time.monotonic() + STOP_S
        for child in self.all:
            child.ask_to_stop()
        for child in self.all:
            child.stop(deadline_at)

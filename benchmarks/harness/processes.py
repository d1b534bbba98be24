"""Servers under measurement: started on a core of their own, stopped whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# The server under test has a core of its own; what feeds and answers it has the other.
SERVER_CORE: Final = 0
LOAD_CORE: Final = 1

READY_S: Final = 20
STOP_S: Final = 10
ROOT: Final = Path(__file__).resolve().parents[2]


class BenchmarkFailed(Exception):
    """A figure cannot be had, or would be worth nothing; the text says why."""


def can_pin() -> bool:
    """Tell whether processes can be kept on one core each."""
    cores = os.cpu_count() or 1
    return shutil.which("taskset") is not None and cores > LOAD_CORE


def on_core(command: Sequence[str], core: int | None) -> list[str]:
    """Return `command`, kept on `core` where the machine can do that; None: on any."""
    is_kept = core is not None and can_pin()
    return ["taskset", "-c", str(core), *command] if is_kept else list(command)


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nobody uses at the moment."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@contextmanager
def serving(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    core: int | None,
) -> Iterator[int]:
    """Run `command` until the block ends; yield its pid once `port` answers.

    Args:
        core: The one that it is kept on; None: any.

    Raises:
        BenchmarkFailed: It ended first, or READY_S passed; with its last words.
    """
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            on_core(command, core),
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if not answers(port, process):
                log.seek(0)
                raise BenchmarkFailed(f"{name} does not listen:\n{log.read()[-2000:]}")
            yield process.pid
        finally:
            _stop(process)


def answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until something accepts connections on `port`; False when that is in vain."""
    deadline_at = time.monotonic() + READY_S
    while time.monotonic() < deadline_at and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and everything that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)


def session_cpu_s(pid: int) -> float | None:
    """Return the processor time of the process that `serving` yielded, and of all that it
    started, so far; None where untold."""
    if not Path("/proc/self/stat").exists():
        return None
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            # The name, in parentheses, may hold spaces; the numbers come after it.
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == pid:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def core_busy_s(core: int) -> float | None:
    """Return how long `core` has been busy since the machine started; None if untold."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    for line in stat.read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            idle = int(ticks[3]) + int(ticks[4])
            return (sum(map(int, ticks[:8])) - idle) / os.sysconf("SC_CLK_TCK")
    return None

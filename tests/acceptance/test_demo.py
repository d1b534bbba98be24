"""The demo as a stranger runs it: what it shows, and that nothing of it stays behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

DEMO = Path(__file__).resolve().parents[2] / "examples" / "shop" / "demo.py"
DEMO_S_MAX = 60
PROCESS = re.compile(r"^  (\w+) +(http://\S+) +pid (\d+)$", re.MULTILINE)
BAR = re.compile(r"^  (\w+) +█+ +(\d+) – +(\d+) ms$", re.MULTILINE)


@dataclass(frozen=True)
class Started:
    """A process that the demo says it started."""

    url: str
    pid: int

    def connect(self) -> socket.socket:
        address = urlsplit(self.url)
        assert address.hostname is not None
        return socket.create_connection((address.hostname, address.port or 80), timeout=20)


def started_by(output: str) -> dict[str, Started]:
    return {name: Started(url, int(pid)) for name, url, pid in PROCESS.findall(output)}


def assert_gone(started: dict[str, Started]) -> None:
    assert list(started) == ["users", "orders", "payments", "gateway"]
    for process in started.values():
        with pytest.raises(ConnectionRefusedError):
            process.connect()
        # The processes lead groups of their own: this covers what they started, too.
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)


def wait_for_end(connection: socket.socket) -> None:
    """Return once the other end is closed; TimeoutError if it stays open."""
    with suppress(ConnectionResetError):
        assert connection.recv(1) == b""


@pytest.fixture
def start_demo() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    demos: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(DEMO), *arguments]
        pipe = subprocess.PIPE
        demos.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True))
        return demos[-1]

    yield start
    for demo in demos:
        demo.kill()
        demo.communicate()


def read_until(demo: subprocess.Popen[str], text: str) -> str:
    assert demo.stdout is not None
    output = ""
    for line in demo.stdout:
        output += line
        if text in line:
            return output
    raise AssertionError(f"the demo ended without saying {text!r}:\n{output}")


def test_demo_shows_a_reply_whose_independent_calls_overlapped_and_leaves_nothing(
    start_demo: Callable[..., subprocess.Popen[str]],
) -> None:
    demo = start_demo()
    output, errors = demo.communicate(timeout=DEMO_S_MAX)
    assert (demo.returncode, errors) == (0, "")
    assert "GET /profiles/1001  →  200" in output
    assert '"name": "Maren Holt"' in output
    bars = {step: (int(start), int(end)) for step, start, end in BAR.findall(output)}
    assert bars["orders"][0] < bars["user"][1]
    assert bars["user"][0] < bars["orders"][1]
    assert bars["rewards"][0] >= bars["user"][1] - 1  # both are rounded
    assert "user, orders and invoices ran at the same time" in output
    assert "│   └─▶ rewards" in output
    assert "2 payment requests, 1 payment taken" in output
    assert_gone(started_by(output))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_staying_demo_ends_well_when_told_to(
    start_demo: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    demo = start_demo("--stay", "--port", "0")
    output = read_until(demo, "a failure")
    assert "/docs" in output
    demo.send_signal(number)
    rest, errors = demo.communicate(timeout=DEMO_S_MAX)
    assert (demo.returncode, rest, errors) == (0, "\nStopping.\n", "")
    assert_gone(started_by(output))


def test_killed_demo_takes_everything_with_it(
    start_demo: Callable[..., subprocess.Popen[str]],
) -> None:
    demo = start_demo("--stay", "--port", "0")
    started = started_by(read_until(demo, "a failure"))
    with ExitStack() as stack:
        connections = [stack.enter_context(one.connect()) for one in started.values()]
        demo.kill()
        for connection in connections:
            wait_for_end(connection)
    for process in started.values():
        with pytest.raises(ConnectionRefusedError):
            process.connect()


def test_port_in_use_is_said_with_a_way_out(
    start_demo: Callable[..., subprocess.Popen[str]],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = start_demo("--stay", "--port", str(port))
        output, errors = demo.communicate(timeout=DEMO_S_MAX)
    assert (demo.returncode, output) == (1, "")
    assert f"port {port} cannot be used" in errors
    assert f"make serve PORT={port + 1}" in errors

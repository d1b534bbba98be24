"""Restart: `kill -9` with executions under way, and how soon all of them go on.

The real `plait serve`. Each execution has been through its first call and waits for the
answer of its second when the process is killed. The clock runs from the start of the next
process, imports and all, until the last execution has done what it had not done before:
its second call has been made again, its answer is recorded, the third call has arrived.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final
from unittest import SkipTest

from benchmarks.harness.peers import not_here
from benchmarks.harness.processes import (
    SERVER_CORE,
    BenchmarkFailed,
    answers,
    free_ports,
    on_core,
)
from benchmarks.harness.report import machine_line, table, write_results
from tests.conformance.journal import servers

IN_FLIGHT: Final = 64
SECONDS_MAX: Final = 1.0
RUNS: Final = 5
STUCK_S_MAX: Final = 60
FIGURES: Final = ("calls_made_again_s", "all_went_on_s", "all_went_on_s_highest")
DOCUMENT: Final = """\
name: three
endpoint: {method: POST, path: /three}
input: {type: object, required: [n], properties: {n: {type: integer}}}
steps:
  - {id: a, type: http, request: {url: "http://upstream/a/${input.n}"}}
  - {id: b, type: http, request: {url: "http://upstream/b/${input.n}"}, depends_on: [a]}
  - {id: c, type: http, request: {url: "http://upstream/c/${input.n}"}, depends_on: [b]}
"""
REPLY: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)


class Upstream:
    """What all connections share: when each call came, and whom to answer later."""

    def __init__(self) -> None:
        self._arrived_at: dict[str, float] = {}
        self._held: list[asyncio.Transport] = []
        self._is_open = False
        self._change = asyncio.Event()

    def open(self) -> None:
        """Answer the second step too from now on; forget what has come so far."""
        self._arrived_at.clear()
        self._is_open = True
        for transport in self._held:
            transport.write(REPLY)

    async def all_at(self, step: str) -> float:
        """Wait until a call of `step` has come from all; return when the last one came."""
        async with asyncio.timeout(STUCK_S_MAX):
            paths = {f"/{step}/{number}" for number in range(IN_FLIGHT)}
            while paths - self._arrived_at.keys():
                self._change.clear()
                await self._change.wait()
        return max(self._arrived_at[path] for path in paths)

    def take(self, path: str, transport: asyncio.Transport) -> None:
        """Answer a call, unless it is of the second step and has to wait."""
        self._arrived_at.setdefault(path, time.monotonic())
        self._change.set()
        if path.startswith("/b/") and not self._is_open:
            self._held.append(transport)
        else:
            transport.write(REPLY)


class Connection(asyncio.Protocol):
    """One connection; its requests have no bodies and come one after the other."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for head in heads:
            self._upstream.take(head.split(b" ", 2)[1].decode(), self._transport)


def run(options: argparse.Namespace) -> None:
    """Measure the stores that are here; print and write the figures."""
    del options
    figures: dict[str, dict[str, Any]] = {}
    absent = []
    for title, opened in STORES.items():
        try:
            with opened() as store:
                taken = [asyncio.run(restart_s(store)) for _ in range(RUNS)]
        except SkipTest:
            absent.append(not_here(title, title))
            continue
        found = (
            median(again_s for again_s, _ in taken),
            median(on_s for _, on_s in taken),
            max(on_s for _, on_s in taken),
        )
        rounded = [round(one, 3) for one in found]
        figures[title] = dict(zip(FIGURES, rounded, strict=True))
    print(f"{machine_line()}\nkill -9 with {IN_FLIGHT} executions in flight\n")
    headings = ["seconds after the start", "calls made again", "all went on", "highest"]
    lines = [
        [title, *(f"{one[key]:.2f}" for key in FIGURES), f"<= {SECONDS_MAX:g}"]
        for title, one in figures.items()
    ]
    print(table([*headings, "asked"], lines))
    print(*absent, sep="\n", end="\n" if absent else "")
    results = {
        "runs": RUNS,
        "in_flight": IN_FLIGHT,
        "at_most_s": SECONDS_MAX,
        "stores": figures,
        "not_here": absent,
    }
    print(f"\nwritten to {write_results('durable-restart', results)}")


async def restart_s(store: str) -> tuple[float, float]:
    """Kill one process, start another; return the seconds to the last call made again and
    to the last execution that went on.

    Args:
        store: Where the executions are kept; empty: in a new file.
    """
    upstream = Upstream()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "three.yaml").write_text(DOCUMENT)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(upstream), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        place = store or str(folder / "plait.db")
        try:
            with _plait(folder, place, port) as (own_port, process):
                await asyncio.to_thread(_start_all, own_port, process)
                await upstream.all_at("b")
            upstream.open()
            started_at = time.monotonic()
            with _plait(folder, place, port):
                again_at = await upstream.all_at("b")
                on_at = await upstream.all_at("c")
        except TimeoutError:
            raise BenchmarkFailed(f"not all go on; {_last_words(folder)}") from None
        finally:
            server.close()
    return again_at - started_at, on_at - started_at


@contextmanager
def _plait(
    folder: Path, store: str, upstream: int
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run `plait serve` until the block ends, and kill it then; yield its port, and it."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "plait.cli", "serve", "three.yaml"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--store", store]
    command += ["--resolve", f"upstream=127.0.0.1:{upstream}"]
    with (folder / "plait.log").open("ab") as log:
        process = subprocess.Popen(
            on_core(command, SERVER_CORE),
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield port, process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _start_all(port: int, process: subprocess.Popen[bytes]) -> None:
    """Start the executions, as soon as somebody listens."""
    if not answers(port, process):
        raise TimeoutError
    headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
    for number in range(IN_FLIGHT):
        body = json.dumps({"n": number}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/three", body, headers)
        urllib.request.urlopen(request, timeout=STUCK_S_MAX).close()


def _last_words(folder: Path) -> str:
    return (folder / "plait.log").read_text(errors="replace")[-2000:]


@contextmanager
def _a_file() -> Iterator[str]:
    """A new SQLite file for each run."""
    yield ""


@contextmanager
def _postgresql() -> Iterator[str]:
    with servers.postgres() as server:
        yield f"postgresql://postgres@127.0.0.1:{server.port}/postgres"


@contextmanager
def _redis() -> Iterator[str]:
    with servers.redis() as server:
        yield f"redis://127.0.0.1:{server.port}"


STORES: Final[dict[str, Callable[[], AbstractContextManager[str]]]] = {
    "SQLite": _a_file,
    "PostgreSQL": _postgresql,
    "Redis": _redis,
}

"""The control plane against bare FastAPI; and `plait serve` itself, on SQLite: how long a
durable execution takes to start through HTTP, in one process and in three, and how a
thousand follow one.

A GET has to reach 0.7 of a bare FastAPI route with the same models behind uvicorn, although
it passes authentication, roles, a strict reader and the one error shape.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

from benchmarks.control.same import PATH
from benchmarks.harness.load import Target, measure, missing_tool
from benchmarks.harness.processes import SERVER_CORE, BenchmarkFailed, free_ports, serving
from benchmarks.harness.report import machine_line, table, write_results

SHARE_MIN: Final = 0.7
START_P50_MS_MAX: Final = 5.0
REMOTE_P50_MS_MAX: Final = 8.0
STARTS: Final = 400
FOLLOWERS: Final = 1_000
_QUERY: Final = "limit=5&status=completed"
_WAITING: Final = """\
name: waiting
mode: durable
endpoint: {method: POST, path: /waiting}
steps: [{id: paid, type: wait, event: {name: paid}}]
output: "${paid.response}"
"""


def run(options: argparse.Namespace) -> None:
    """Measure all three; print and write them."""
    missing = missing_tool()
    if missing is not None:
        raise BenchmarkFailed(f"{missing} is not installed")
    rates: dict[str, list[float]] = {name: [] for name in _SERVERS}
    for _ in range(options.rounds):
        for name, command in _SERVERS.items():
            rates[name].append(_rate(name, command, options.seconds))
    per_s = {name: median(rate) for name, rate in rates.items()}
    share = per_s["plait"] / per_s["fastapi"]
    with _served() as port:
        near_ms = {name: _starts_ms(port, start) for name, start in _STARTS.items()}
        followed = asyncio.run(_followed(port))
    with _served_by_three() as port:
        far_ms = {name: _starts_ms(port, start) for name, start in _STARTS.items()}
    print(f"{machine_line()}\n")
    lines = [
        ["GET, bare FastAPI on uvicorn, per s", f"{per_s['fastapi']:,.0f}", ""],
        ["GET, control plane, per s", f"{per_s['plait']:,.0f}", ""],
        ["share of it", f"{share:.2f}", f"{SHARE_MIN}"],
        *_start_lines("one process", near_ms, START_P50_MS_MAX),
        *_start_lines("through gRPC", far_ms, REMOTE_P50_MS_MAX),
        [f"{FOLLOWERS:,} followers: all hear within s", f"{followed['heard_s']:.2f}", ""],
    ]
    print(table(["the control plane", "measured", "to reach"], lines))
    figures = {
        "per_s": per_s,
        "share": share,
        "share_at_least": SHARE_MIN,
        "start_ms": {
            "one process": _p50_and_p99(near_ms) | {"p50_at_most": START_P50_MS_MAX},
            "through gRPC": _p50_and_p99(far_ms) | {"p50_at_most": REMOTE_P50_MS_MAX},
        },
        "followers": {"count": FOLLOWERS, **followed},
    }
    print(f"\nwritten to {write_results('control', figures)}")


# A start by whatever name through the API, and one at the workflow's own endpoint.
_STARTS: Final[dict[str, tuple[str, dict[str, Any], dict[str, str]]]] = {
    "API": (
        "/api/v1/workflow/execute",
        {"workflow": "waiting", "wait": "0s", "input": {"order": 7}},
        {},
    ),
    "endpoint": ("/waiting", {"order": 7}, {"Prefer": "respond-async"}),
}


def _start_lines(
    shape: str, taken_ms: dict[str, list[float]], at_most_ms: float
) -> list[list[str]]:
    return [
        [f"start, {shape}, {name}: p50, p99 ms", f"{p50:.2f}, {p99:.2f}", f"{at_most_ms:g}"]
        for name, (p50, p99) in _p50_and_p99(taken_ms).items()
    ]


def _p50_and_p99(taken_ms: dict[str, list[float]]) -> dict[str, Any]:
    return {
        name: [median(one), quantiles(one, n=100)[98]] for name, one in taken_ms.items()
    }


_SERVERS: Final[dict[str, list[str]]] = {
    "fastapi": ["uvicorn", "benchmarks.control.bare:app", "--no-access-log", "--port"],
    "plait": ["benchmarks.control.plain"],
}


def _rate(name: str, command: list[str], seconds: int) -> float:
    (port,) = free_ports(1)
    whole = [sys.executable, "-m", *command, str(port)]
    with serving(name, whole, port=port, core=SERVER_CORE) as pid:
        target = Target(f"http://127.0.0.1:{port}{PATH}?{_QUERY}", pid)
        measure(target, 1)  # the first requests import, and compile models
        sample = measure(target, seconds)
    if sample.errors:
        raise BenchmarkFailed(f"{name}: {sample.errors} errors")
    return sample.per_s


@contextmanager
def _served() -> Iterator[int]:
    """`plait serve` on SQLite; yield its port."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        (port,) = free_ports(1)
        command = _serve(folder, "--port", str(port))
        with serving("plait serve", command, port=port, core=SERVER_CORE):
            yield port


@contextmanager
def _served_by_three() -> Iterator[int]:
    """Gateway, engine and runtime in processes of their own; yield the gateway's port."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        port, engine, runtime = free_ports(3)
        for role, one in (("engine", engine), ("runtime", runtime)):
            told = ["env", f"PLAIT_SERVICES_LISTEN=127.0.0.1:{one}"]
            command = [*told, *_serve(folder, "--role", role)]
            stack.enter_context(serving(role, command, port=one, core=None))
        told = ["env", f"PLAIT_SERVICES_ENGINE=127.0.0.1:{engine}"]
        told += [f"PLAIT_SERVICES_RUNTIME=127.0.0.1:{runtime}"]
        command = [*told, *_serve(folder, "--role", "gateway", "--port", str(port))]
        stack.enter_context(serving("gateway", command, port=port, core=None))
        yield port


def _serve(folder: str, *options: str) -> list[str]:
    document = Path(folder, "waiting.yaml")
    document.write_text(_WAITING)
    store = ["--store", str(Path(folder, "plait.db"))]
    return [sys.executable, "-m", "plait.cli", "serve", str(document), *store, *options]


def _starts_ms(port: int, start: tuple[str, dict[str, Any], dict[str, str]]) -> list[float]:
    """Start executions one after the other over one connection; return what each took."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    path, body, more = start
    headers = {"Content-Type": "application/json", **more}
    taken_ms = []
    for _ in range(STARTS):
        begun_s = time.perf_counter()
        client.request("POST", path, json.dumps(body), headers)
        reply = client.getresponse()
        said = reply.read()
        taken_ms.append((time.perf_counter() - begun_s) * 1000)
        if reply.status != 202:
            raise BenchmarkFailed(f"a start was answered {reply.status}: {said[:200]!r}")
    client.close()
    # The first ones import FastAPI.
    return taken_ms[STARTS // 10 :]


async def _followed(port: int) -> dict[str, float]:
    """Let many follow one execution; return how long until all heard of its end."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    link = _posted(client, "/waiting", {}, {"Prefer": "respond-async"})["links"]["self"]
    begun_s = time.perf_counter()
    opened = await asyncio.gather(*(_open(port, link) for _ in range(FOLLOWERS)))
    opened_s = time.perf_counter() - begun_s
    begun_s = time.perf_counter()
    _posted(client, f"{link}/signals", {"name": "paid"})
    ends = await asyncio.gather(*(reader.read() for reader, _ in opened))
    heard_s = time.perf_counter() - begun_s
    for _, writer in opened:
        writer.close()
    if not all(b"event: end" in end for end in ends):
        raise BenchmarkFailed("a follower did not hear of the end")
    return {"opened_s": opened_s, "heard_s": heard_s}


async def _open(port: int, link: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Follow an execution; return when the first event has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {link}/events HTTP/1.1\r\nHost: plait\r\n\r\n".encode())
    await reader.readuntil(b"event: turn")
    return reader, writer


def _posted(
    client: http.client.HTTPConnection,
    target: str,
    body: dict[str, Any],
    headers: dict[str, str] | None = None,
) -> Any:
    told = {"Content-Type": "application/json", **(headers or {})}
    client.request("POST", target, json.dumps(body), told)
    reply = client.getresponse()
    said = reply.read()
    if reply.status >= 300:
        raise BenchmarkFailed(f"{target} was answered {reply.status}: {said[:200]!r}")
    return json.loads(said)

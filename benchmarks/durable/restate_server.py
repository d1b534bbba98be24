"""Restate as one has it on one machine: its server, and the service under Granian.

The server comes with its npm package, as a program for each platform, which
scripts/bench-packages puts below `build/`, as requirements/restate says. It keeps its
defaults: what it answers is on the disk (`rocksdb-disable-wal-fsync = false`).
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.error import URLError

from benchmarks.harness.processes import (
    ROOT,
    SERVER_CORE,
    BenchmarkFailed,
    free_ports,
    serving,
)
from benchmarks.harness.report import said_by

PACKAGES: Final = ROOT / "build" / "restate" / "node_modules" / "@restatedev"
READY_S: Final = 20
# Granian without its own log, one worker: as the SDK's documentation serves a service. One
# thread for its connections: with more it was slower here.
GRANIAN: Final = "--interface asginl --no-ws --loop uvloop --runtime-mode st --workers 1"
# It would wait for connections that the server, which is ended first, leaves behind.
ENDS_AT_ONCE: Final = "--workers-kill-timeout 1"


def program() -> Path | None:
    """Return where the server's program is; None when it is not installed."""
    return next(iter(PACKAGES.glob("restate-server-*/bin/restate-server")), None)


def version() -> str:
    """Return what the server says it is."""
    return said_by(str(program()), "--version")


@contextmanager
def restate(folder: Path, upstream: int, partitions: int | None) -> Iterator[str]:
    """Run both until the block ends; yield the URL to start workflows at.

    The service has the core that other peers' processes have, the server all of them.

    Args:
        folder: Where the server keeps its data.
        upstream: The port that W3 calls.
        partitions: Into how many it shares its executions out; None: its default, 24.

    Raises:
        BenchmarkFailed: One of them does not start, or the server refuses the service.
    """
    service, ingress, admin, node = free_ports(4)
    own = ["env", f"UPSTREAM_PORT={upstream}", sys.executable, "-m", "granian"]
    own += [*GRANIAN.split(), *ENDS_AT_ONCE.split(), "--log-level", "warning"]
    own += ["--port", str(service), "benchmarks.durable.restate_service:app"]
    settings = {
        "INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "BIND_ADDRESS": f"127.0.0.1:{node}",
        "LISTEN_MODE": "tcp",
        "LOG_FILTER": "warn",
        "DISABLE_TELEMETRY": "true",
        **({} if partitions is None else {"DEFAULT_NUM_PARTITIONS": str(partitions)}),
    }
    server = ["env", *(f"RESTATE_{name}={value}" for name, value in settings.items())]
    server += [str(program()), "--no-logo", "--node-name", "bench"]
    server += ["--base-dir", str(folder / "restate")]
    with ExitStack() as stack:
        for name, command, port, core in (
            ("Restate's service", own, service, SERVER_CORE),
            ("Restate's server", server, ingress, None),
        ):
            stack.enter_context(serving(name, command, port=port, core=core))
        _register(admin, service)
        yield f"http://127.0.0.1:{ingress}"


def _register(admin: int, service: int) -> None:
    """Make the service known to the server, which takes a moment to elect its leaders."""
    body = json.dumps({"uri": f"http://127.0.0.1:{service}"}).encode()
    url = f"http://127.0.0.1:{admin}/deployments"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    deadline_at = time.monotonic() + READY_S
    while True:
        try:
            urllib.request.urlopen(request, timeout=READY_S).close()
        except (URLError, ConnectionError) as error:
            if time.monotonic() > deadline_at:
                raise BenchmarkFailed(f"Restate refuses the service: {error}") from error
            time.sleep(0.1)
        else:
            return

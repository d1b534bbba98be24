"""A real gateway: `plait serve` in a process of its own, and clients of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plait.testing.upstream import Upstream
from tests.unit.gateway.wires import WAIT_S, Answer, Client, client_of

ROOT = Path(__file__).resolve().parents[2]
_LISTENING = re.compile(r"listening on http://([\d.]+):(\d+)")


@dataclass
class GatewayProcess:
    """A gateway that runs, and what it says."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    address: tuple[str, int] = ("", 0)
    _heard: asyncio.Condition = field(default_factory=asyncio.Condition)

    def client(self) -> Any:
        """Return a connection to it, as a context."""
        return client_of(*self.address)

    async def ask(
        self, target: str, method: str = "GET", *, body: Any = None, **headers: str
    ) -> Answer:
        """Ask it something, on a connection of its own."""
        async with client_of(*self.address) as client:
            return await ask(client, target, method, body=body, **headers)

    async def until_said(self, text: str, count: int = 1) -> None:
        """Return when `text` was said so many times."""
        async with asyncio.timeout(WAIT_S), self._heard:
            await self._heard.wait_for(
                lambda: sum(text in line for line in self.lines) >= count
            )

    async def refusing(self) -> None:
        """Return when nobody is let in any more."""
        while True:
            try:
                await self.ask("/health")
            except (ConnectionError, asyncio.IncompleteReadError):
                return

    def stop(self) -> None:
        """Ask it to stop, as init systems do."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Return its exit code, once it has one."""
        async with asyncio.timeout(WAIT_S * 2):
            return await self.process.wait()

    async def listen_to(self, stream: asyncio.StreamReader) -> None:
        """Take in what it says, line by line."""
        while line := (await stream.readline()).decode():
            self.lines.append(line.rstrip("\n"))
            found = _LISTENING.search(line)
            if found is not None:
                self.address = found[1], int(found[2])
            async with self._heard:
                self._heard.notify_all()


def request_bytes(
    target: str, method: str = "GET", *, body: Any = None, **headers: str
) -> bytes:
    """Return a request; a body that is no bytes is sent as JSON."""
    told = {"Host": "gateway", **{k.replace("_", "-"): v for k, v in headers.items()}}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        told.setdefault("Content-Type", "application/json")
    if body is not None:
        told["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + (body or b"")


async def ask(
    client: Client, target: str, method: str = "GET", *, body: Any = None, **headers: str
) -> Answer:
    """Ask something on a connection that is there."""
    return await client.ask(request_bytes(target, method, body=body, **headers), method)


@asynccontextmanager
async def serving(
    *paths: Path,
    upstreams: Mapping[str, Upstream] | None = None,
    arguments: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[GatewayProcess]:
    """Serve documents.

    Args:
        paths: None: only what is deployed. Then `settings` say which store that is in.
        upstreams: What answers at which host name.
        settings: Environment variables.
    """
    resolve = [f"--resolve={host}={u.address}" for host, u in (upstreams or {}).items()]
    command = [
        "-m",
        "plait.cli",
        "serve",
        *map(str, paths),
        "--port=0",
        *resolve,
        *arguments,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    if paths:
        environment["PLAIT_STORE_URL"] = str(paths[0].parent / ".plait" / "plait.db")
    environment = {
        **environment,
        **(settings or {}),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    gateway = GatewayProcess(process)
    assert process.stdout is not None
    listening = asyncio.create_task(gateway.listen_to(process.stdout))
    try:
        await gateway.until_said("listening on")
        yield gateway
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening

"""The peers: what each is, what it needs, how it is started."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from benchmarks.aggregate.nginx import lua_command, missing_lua
from benchmarks.harness.report import said_by, versions

HERE: Final = Path(__file__).parent
BY_HAND: Final = ("fastapi", "uvicorn", "uvloop", "httptools", "orjson")


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to serve the endpoint.

    Attributes:
        command: (directory of its own, port, upstream ports) → how to start it.
        missing: What must be installed first; None when it can run.
        made_of: Versions that its figures depend on.
    """

    name: str
    title: str
    command: Callable[[Path, int, list[int]], list[str]]
    missing: Callable[[], str | None]
    made_of: Callable[[], dict[str, str]]


def _missing_modules(*names: str) -> str | None:
    absent = [name for name in names if find_spec(name) is None]
    return ", ".join(absent) or None


def _plait_command(home: Path, port: int, upstream_ports: list[int]) -> list[str]:
    del home
    command = [sys.executable, "-m", "plait.cli", "serve", str(HERE / "profile.yaml")]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    names = ("users", "orders", "offers")
    for name, upstream_port in zip(names, upstream_ports, strict=True):
        command += ["--resolve", f"{name}=127.0.0.1:{upstream_port}"]
    return command


def _by_hand_command(module: str) -> Callable[[Path, int, list[int]], list[str]]:
    def command(home: Path, port: int, upstream_ports: list[int]) -> list[str]:
        del home
        ports = ",".join(map(str, upstream_ports))
        server = [sys.executable, "-m", "uvicorn", f"benchmarks.aggregate.{module}:app"]
        fast = ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
        quiet = ["--log-level", "warning", "--port", str(port)]
        return ["env", f"UPSTREAM_PORTS={ports}", *server, *fast, *quiet]

    return command


PLAIT: Final = Peer(
    name="plait",
    title="Plait",
    command=_plait_command,
    missing=lambda: None if find_spec("plait.cli") else "plait with its gateway",
    made_of=lambda: versions(
        "plait", "granian", "uvicorn", "uvloop", "httptools", "orjson"
    ),
)
AIOHTTP: Final = Peer(
    name="fastapi-aiohttp",
    title="FastAPI + aiohttp, by hand",
    command=_by_hand_command("fastapi_aiohttp"),
    missing=lambda: _missing_modules(*BY_HAND, "aiohttp"),
    made_of=lambda: versions(*BY_HAND, "aiohttp"),
)
HTTPX: Final = Peer(
    name="fastapi-httpx",
    title="FastAPI + httpx, by hand",
    command=_by_hand_command("fastapi_httpx"),
    missing=lambda: _missing_modules(*BY_HAND, "httpx"),
    made_of=lambda: versions(*BY_HAND, "httpx", "httpcore"),
)
LUA: Final = Peer(
    name="nginx-lua",
    title="nginx + Lua",
    command=lua_command,
    missing=missing_lua,
    made_of=lambda: {"nginx": said_by("nginx", "-v").rpartition("/")[2]},
)
PEERS: Final = (PLAIT, AIOHTTP, HTTPX, LUA)

"""The peers: what each is, what it needs, how one sample of it is taken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from benchmarks.durable import restate_server
from benchmarks.harness.report import versions


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to have durable executions.

    Attributes:
        module: What takes a sample, in a process of its own.
        server: `postgresql`, `redis` or `restate`: what keeps its executions; None: a file.
        missing: What must be installed first; None when it can run.
        made_of: Versions that its figures depend on.
        partitions: Restate's, where it is not to have its default.
    """

    name: str
    title: str
    module: str
    server: str | None
    missing: Callable[[], str | None]
    made_of: Callable[[], dict[str, str]]
    partitions: int | None = None

    @property
    def command(self) -> list[str]:
        """How its process is started; what the sample is to be of comes behind."""
        return [sys.executable, "-m", f"benchmarks.durable.{self.module}"]


def _plait(name: str, title: str, server: str | None) -> Peer:
    return Peer(
        name,
        title,
        "plait_peer",
        server,
        lambda: None,
        lambda: versions("plait", "uvloop", "orjson", "asyncpg", "redis"),
    )


def _dbos(name: str, title: str, server: str | None) -> Peer:
    return Peer(
        name,
        title,
        "dbos_peer",
        server,
        lambda: None if find_spec("dbos") else "dbos",
        lambda: versions("dbos", "sqlalchemy", "psycopg", "aiohttp"),
    )


def _restate(name: str, title: str, partitions: int | None) -> Peer:
    return Peer(
        name,
        title,
        "restate_peer",
        "restate",
        _missing_of_restate,
        lambda: {
            "restate-server": restate_server.version(),
            **versions("restate-sdk", "granian", "uvloop", "aiohttp"),
        },
        partitions,
    )


def _missing_of_restate() -> str | None:
    parts = {
        "restate-sdk": find_spec("restate"),
        "granian": find_spec("granian"),
        "its server (npm, scripts/bench-packages)": restate_server.program(),
    }
    return ", ".join(name for name, part in parts.items() if part is None) or None


PLAIT: Final = _plait("plait-sqlite", "Plait, SQLite", None)
PLAIT_POSTGRESQL: Final = _plait("plait-postgresql", "Plait, PostgreSQL", "postgresql")
DBOS: Final = _dbos("dbos-sqlite", "DBOS, SQLite", None)
DBOS_POSTGRESQL: Final = _dbos("dbos-postgresql", "DBOS, PostgreSQL", "postgresql")
RESTATE: Final = _restate("restate", "Restate", None)
# 24 partitions are for a cluster: on a machine of two cores one is the fastest.
RESTATE_ONE: Final = _restate("restate-one", "Restate, 1 partition", 1)
PEERS: Final = (
    PLAIT,
    PLAIT_POSTGRESQL,
    _plait("plait-redis", "Plait, Redis", "redis"),
    DBOS,
    DBOS_POSTGRESQL,
    RESTATE,
    RESTATE_ONE,
)
RAW: Final = "raw limit of SQLite"

"""The peers: what each is, what it needs, how one sample of it is taken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from benchmarks.harness.report import versions


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to have durable executions.

    Attributes:
        module: What takes a sample, in a process of its own.
        server: `postgresql` or `redis`: what it keeps its executions in; None: a file.
        missing: What must be installed first; None when it can run.
        made_of: Versions that its figures depend on.
    """

    name: str
    title: str
    module: str
    server: str | None
    missing: Callable[[], str | None]
    made_of: Callable[[], dict[str, str]]

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
        lambda: versions("dbos", "sqlalchemy", "psycopg", "httpx"),
    )


PLAIT: Final = _plait("plait-sqlite", "Plait, SQLite", None)
PEERS: Final = (
    PLAIT,
    _plait("plait-postgresql", "Plait, PostgreSQL", "postgresql"),
    _plait("plait-redis", "Plait, Redis", "redis"),
    _dbos("dbos-sqlite", "DBOS, SQLite", None),
    _dbos("dbos-postgresql", "DBOS, PostgreSQL", "postgresql"),
)
RAW: Final = "raw limit of SQLite"

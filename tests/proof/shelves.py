"""Stores of row 14: each behind a password that is a canary, and all that is kept in it.

A server's rows are searched as it gives them out, its files as they lie on its disk: there
they are older, too, and some that were removed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg
from redis.asyncio import Redis

from tests.conformance.journal.servers import postgres, postgres_address, redis
from tests.proof.searching import Heard

# What pieces are called that come from the rows of a store.
ROWS: Final = "the rows of"
_TABLES: Final = (
    "SELECT schemaname, tablename FROM pg_tables "
    "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
)


@dataclass
class Shelf:
    """A store that row 14 searches.

    Attributes:
        place: Its address.
        files: What it writes.
        is_file: Whether the command line can copy it.
    """

    place: str
    files: tuple[Path, ...]
    is_file: bool = False

    async def note_rows(self, heard: Heard) -> None:
        """Take in what a server gives out; a file is searched as it is."""

    def note_files(self, heard: Heard) -> None:
        """Take in what it has written."""
        for folder in self.files:
            heard.note_files(folder)


# Given a folder of its own and the part of a password that nobody can guess.
Opens: TypeAlias = Callable[[Path, str], AbstractAsyncContextManager[Shelf]]


@asynccontextmanager
async def sqlite_shelf(folder: Path, password: str) -> AsyncIterator[Shelf]:
    """Give a file, which needs no password."""
    del password
    (folder / "store").mkdir()
    yield Shelf(str(folder / "store" / "plait.db"), (folder / "store",), is_file=True)


@asynccontextmanager
async def postgres_shelf(folder: Path, password: str) -> AsyncIterator[Shelf]:
    """Give a PostgreSQL server whose owner `walled` has the password."""
    del folder
    with postgres() as server:
        connection = await asyncpg.connect(postgres_address(server))
        await connection.execute(
            f"CREATE ROLE walled SUPERUSER LOGIN PASSWORD '{password}'"
        )
        own = await connection.fetchval(
            "SELECT oid FROM pg_database WHERE datname = 'postgres'"
        )
        await connection.close()
        # The other databases are what every new server has.
        parts = ("pg_wal", f"base/{own}", "global", "pg_stat")
        files = tuple(server.folder / part for part in parts)
        place = f"postgresql://walled:{password}@127.0.0.1:{server.port}/postgres"
        yield _OnPostgres(place, files)


@asynccontextmanager
async def redis_shelf(folder: Path, password: str) -> AsyncIterator[Shelf]:
    """Give a Redis server whose user `walled` has the password."""
    del folder
    with redis(user=f"walled on >{password} ~* &* +@all") as server:
        place = f"redis://walled:{password}@127.0.0.1:{server.port}/0"
        yield _OnRedis(place, (server.folder,))


class _OnPostgres(Shelf):
    async def note_rows(self, heard: Heard) -> None:
        """Take in every row of every table."""
        connection = await asyncpg.connect(self.place)
        for schema, table in await connection.fetch(_TABLES):
            rows = await connection.fetch(f'SELECT * FROM "{schema}"."{table}"')
            heard.note(f"{ROWS} {table}", _joined(value for row in rows for value in row))
        await connection.close()


class _OnRedis(Shelf):
    async def note_rows(self, heard: Heard) -> None:
        """Take in every key and what it holds."""
        async with Redis.from_url(self.place) as client:
            async for key in client.scan_iter(count=1_000):
                kind = bytes(await client.type(key)).decode()  # type: ignore[arg-type]
                held = await _READ[kind](client, key)
                heard.note(f"{ROWS} {key.decode(errors='replace')}", _joined([key, held]))


_READ: Final[dict[str, Callable[[Any, bytes], Any]]] = {
    "string": lambda client, key: client.get(key),
    "hash": lambda client, key: client.hgetall(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: client.zrange(key, 0, -1),
    "stream": lambda client, key: client.xrange(key),
}


def _joined(values: Any) -> bytes:
    """Return all texts and bytes within values, a line each."""
    return b"\n".join(_leaves(values))


def _leaves(value: Any) -> Any:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _leaves(pair)
    elif isinstance(value, str | int | float) or value is None:
        yield str(value).encode()
    else:
        for one in value:
            yield from _leaves(one)


SHELVES: Final[dict[str, Opens]] = {
    "SQLite": sqlite_shelf,
    "PostgreSQL": postgres_shelf,
    "Redis": redis_shelf,
}

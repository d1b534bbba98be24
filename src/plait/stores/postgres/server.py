"""The server: connecting to it, bringing the schema up, and what its errors mean.

Rule 1. `synchronous_commit` is on in every session, whatever the server's default: a commit
        that has returned survives a crash of the machine. What a session cannot set,
        `fsync` and `full_page_writes`, is checked (plait.stores.durability).
Rule 2. Migrations are numbered files, applied in order under one lock and in one
        transaction; `plait.schema_version` says which was the last. Code refuses a schema
        it is too old for.
Rule 3. After a failed attempt to connect the next ones fail at once until a pause is over,
        so that a thousand executions do not knock at a server that is starting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import resources
from typing import Any, Final

import asyncpg

from plait.ports.journal import StoreFull, StoreTooNew, StoreUnavailable
from plait.stores.durability import StoreNotDurable, without_durability
from plait.stores.faults import NoAddress, StoreDamaged, StoreReadOnly
from plait.stores.places import place_of
from plait.stores.unstorable import Unstorable

PORT: Final = 5432

logger = logging.getLogger("plait.postgres")

_CONNECT_TIMEOUT_S: Final = 5.0
# A server that gives no answer for this long is taken for gone.
ANSWER_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
_POOL_MAX: Final = 8
# Records are read and written little.
RECORDS_POOL_MAX: Final = 2
_ATTEMPTS: Final = 5
# Any fixed number does: "plait" in hexadecimal.
_MIGRATION_LOCK: Final = 0x706C616974

# The statements find rows by key. Without statistics, as on the first day, the planner may
# think that reading a whole table is cheaper, and keep to that plan.
SETTINGS: Final = {
    "application_name": "plait",
    "search_path": "plait",
    "synchronous_commit": "on",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_mergejoin": "off",
}

_DURABLE: Final = ("fsync", "full_page_writes")

# What is read of a page, or a value, that is not as it was written. The server calls what
# it can make no sense of, such as the inside of a jsonb, an internal error.
DAMAGED: Final = (asyncpg.DataError, asyncpg.InternalServerError)
# On the wire the text of a jsonb stands behind this.
_JSONB_VERSION: Final = b"\x01"

# The client library raises InternalClientError when a connection is used between a server's
# farewell and its end.
_BROKEN: Final = (TimeoutError, asyncpg.InternalClientError)
_GONE: Final = (OSError, *_BROKEN, asyncpg.PostgresError, asyncpg.InterfaceError)


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg is not typed
    """A connection that is given back without a query: nothing here changes a session."""

    def get_reset_query(self) -> str:
        return ""


class Server:
    """Hands out connections to one database.

    Args:
        pool_max: How many at once.

    Attributes:
        place: Host and port, for messages; never user or password.
    """

    def __init__(self, url: str, pool_max: int = _POOL_MAX) -> None:
        self.place = place_of(url, PORT)
        self._url = url
        self._pool_max = pool_max
        self._pool: Any = None
        self._failures = 0
        self._closed_until_s = 0.0
        self._last = ""

    async def open(self) -> None:
        """Connect, and bring the schema up.

        Raises:
            StoreTooNew: A newer version has changed it.
            StoreNotDurable: The server may lose what it has acknowledged.
            StoreUnavailable: The server cannot be reached or used.
        """
        try:
            self._url, is_checked = without_durability(self._url)
        except ValueError as error:
            raise unavailable(self.place, error) from error
        with self.errors():
            self._pool = asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=self._pool_max,
                connection_class=_Connection,
                connect=self._knock,
            )
            await self._pool
        try:
            async with self.connection() as connection:
                if is_checked:
                    await check_durable(connection, self.place)
                else:
                    logger.warning(
                        "nobody checks whether PostgreSQL at %s is durable", self.place
                    )
                await migrate(connection, self.place)
        except BaseException:
            self.terminate()
            raise

    async def close(self) -> None:
        """Wait for what is under way, and close all connections."""
        with self.errors():
            await self._pool.close()

    def terminate(self) -> None:
        """Close all connections at once."""
        self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Lend a connection.

        Raises:
            StoreUnavailable: There is none to be had, or it was lost, or a statement on it
                failed; whether that has been done is unknown.
        """
        with self.errors():
            async with self._pool.acquire() as connection, punctual(connection):
                yield connection

    async def connect(self) -> Any:
        """Open a connection of one's own.

        Raises:
            StoreUnavailable: There is none to be had.
        """
        with self.errors():
            return await self._knock(self._url, connection_class=_Connection)

    async def _knock(self, *args: Any, **options: Any) -> Any:
        """Connect, unless the pause after the last failure is not over."""
        now_s = asyncio.get_running_loop().time
        if now_s() < self._closed_until_s:
            raise StoreUnavailable(self._last)
        try:
            connection = await asyncpg.connect(
                *args,
                **options,
                timeout=_CONNECT_TIMEOUT_S,
                command_timeout=ANSWER_TIMEOUT_S,
                server_settings=SETTINGS,
            )
            await _read_damaged_text(connection)
        except (*_GONE, ValueError, OverflowError) as error:
            pause_s = _PAUSE_S[min(self._failures, len(_PAUSE_S) - 1)]
            self._failures += 1
            self._closed_until_s = now_s() + pause_s
            failure = unavailable(self.place, error)
            self._last = str(failure)
            raise failure from error
        self._failures = 0
        return connection

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what the client library raises as an error of the store."""
        try:
            yield
        except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
            raise Unstorable("PostgreSQL") from error
        except asyncpg.InternalServerError as error:
            if error.severity_en == "FATAL":  # a pooler's, say, that has lost the server
                raise unavailable(self.place, error) from error
            raise StoreDamaged(f"PostgreSQL at {self.place}", str(error)) from error
        except _GONE as error:
            raise unavailable(self.place, error) from error


async def _read_damaged_text(connection: Any) -> None:
    """Have text that is none read as bytes: it would end all of a claim, once that is done.

    Rows are looked through for such values one by one (plait.stores.postgres.rows).
    """
    for kind, encoder, decoder in (
        ("text", str.encode, _text_or_bytes),
        ("jsonb", _jsonb_of, lambda data: _text_or_bytes(data[len(_JSONB_VERSION) :])),
    ):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=encoder, decoder=decoder, format="binary"
        )


def _jsonb_of(text: str) -> bytes:
    return _JSONB_VERSION + text.encode()


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return bytes(data)


@asynccontextmanager
async def punctual(connection: Any) -> AsyncIterator[None]:
    """Close the connection when it is broken, or a statement gets no answer in time.

    To give it back, or to cancel the statement, would mean to wait for the same server.
    """
    try:
        yield
    except _BROKEN:
        connection.terminate()
        raise


async def check_durable(connection: Any, place: str) -> None:
    """See whether the server writes what it says it has written.

    Raises:
        StoreNotDurable: It does not always.
    """
    wrong = [name for name in _DURABLE if await connection.fetchval(f"SHOW {name}") != "on"]
    if wrong:
        raise StoreNotDurable(
            f"PostgreSQL at {place} would lose executions that it has acknowledged: set "
            + ", ".join(f"{name} = on" for name in wrong)
        )


async def migrate(connection: Any, place: str) -> None:
    """Bring the schema up to what this version knows.

    Raises:
        StoreTooNew: A newer version has been here.
    """
    steps = migrations()
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
        known = "SELECT to_regclass('plait.schema_version') IS NOT NULL"
        if not await connection.fetchval(known):
            await connection.execute(
                "CREATE SCHEMA IF NOT EXISTS plait;"
                "CREATE TABLE plait.schema_version (version integer NOT NULL);"
                "INSERT INTO plait.schema_version VALUES (0)"
            )
        found: int = await connection.fetchval("SELECT version FROM plait.schema_version")
        if found > len(steps):
            raise StoreTooNew(found=found, known=len(steps), store=f"PostgreSQL at {place}")
        for sql in steps[found:]:
            await connection.execute(sql)
        if found < len(steps):
            await connection.execute(
                "UPDATE plait.schema_version SET version = $1", len(steps)
            )


def migrations() -> list[str]:
    """Return the SQL of all migrations, the first one first."""
    folder = resources.files(__package__) / "migrations"
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(folder / name).read_text("utf-8") for name in files]


def unavailable(place: str, error: Exception) -> StoreUnavailable:
    """Return what `error` means to whoever wanted to write or read."""
    where = f"PostgreSQL at {place}"
    match error:
        case StoreUnavailable():
            return error
        case asyncpg.DiskFullError():
            return StoreFull(
                f"{where} has no space left: nothing was written; make room on its disk"
            )
        case asyncpg.ReadOnlySQLTransactionError():
            return StoreReadOnly(
                f"{where} takes no writes, as a standby does: name the server that does"
            )
        case asyncpg.TooManyConnectionsError():
            return StoreUnavailable(
                f"{where} has no connection left: a process takes up to "
                f"{_POOL_MAX + RECORDS_POOL_MAX + 1}; "
                "raise max_connections, or the role's limit"
            )
        case asyncpg.AdminShutdownError() | asyncpg.CrashShutdownError():
            return StoreUnavailable(f"{where} has ended the connection")
        case asyncpg.CannotConnectNowError():
            return StoreUnavailable(f"{where} is starting up or shutting down")
        case (
            asyncpg.InvalidPasswordError()
            | asyncpg.InvalidAuthorizationSpecificationError()
        ):
            return StoreUnavailable(f"{where} refuses the user or the password")
        case TimeoutError():
            return StoreUnavailable(f"{where} gave no answer in time")
        case asyncpg.InternalClientError():
            return StoreUnavailable(f"{where} has ended the connection")
        case OSError():
            return StoreUnavailable(f"{where} cannot be reached: is it running?")
        case ValueError() | OverflowError():  # the port's
            # Its text shows parts of the address, which may be the password's.
            return NoAddress(f"{where}: the store's address cannot be read")
        case _:
            return StoreUnavailable(f"{where}: {error}")


async def fetch(connection: Any, statement: str, *values: object) -> list[Any]:
    """Run a statement that writes; send it again when the server has undone it.

    Two processes that write to the same executions in one statement each can block each
    other; the server ends one of the two.
    """
    for _ in range(_ATTEMPTS - 1):
        with suppress(asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            return list(await connection.fetch(statement, *values))
    return list(await connection.fetch(statement, *values))


async def fetch_all(
    connection: Any, statements: Sequence[tuple[str, Sequence[object]]]
) -> list[Any]:
    """Run statements that write in one transaction, as `fetch` does one.

    Returns:
        The rows of the last.
    """
    if len(statements) == 1:
        return await fetch(connection, statements[0][0], *statements[0][1])
    for _ in range(_ATTEMPTS - 1):
        with suppress(asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            return await _in_transaction(connection, statements)
    return await _in_transaction(connection, statements)


async def _in_transaction(
    connection: Any, statements: Sequence[tuple[str, Sequence[object]]]
) -> list[Any]:
    rows: list[Any] = []
    async with connection.transaction():
        for statement, values in statements:
            rows = list(await connection.fetch(statement, *values))
    return rows

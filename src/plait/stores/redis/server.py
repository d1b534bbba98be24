"""The server: connecting, whether it keeps what it acknowledges, what its errors mean.

Rule 1. Redis acknowledges before the disk has anything, unless it is told otherwise: it
        must have `appendonly yes`, `appendfsync always`, `no-appendfsync-on-rewrite no`,
        and never evict. A server of other settings is refused (plait.stores.durability).
Rule 2. Nothing is sent twice by itself: whether a write that got no answer was done is
        unknown, and its caller's business.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from plait.ports.journal import StoreFull, StoreTooNew, StoreUnavailable
from plait.stores.durability import StoreNotDurable, without_durability
from plait.stores.faults import NoAddress, StoreDamaged, StoreReadOnly
from plait.stores.places import place_of

PORT: Final = 6379

logger = logging.getLogger("plait.redis")

SCHEMA: Final = 4
# Older ones look at the memory's limit amid a script, and may end it half done.
_VERSION_MIN: Final = 7
ANSWER_TIMEOUT_S: Final = 10.0
_CONNECT_TIMEOUT_S: Final = 5.0
_POOL_MAX: Final = 8
# Of the server itself, and of a script that has looked.
_DAMAGED: Final = ("WRONGTYPE", "PLAIT damaged")
_GONE: Final = (exceptions.RedisError, OSError, TimeoutError)

_DURABLE: Final = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
}


class Server:
    """Hands out clients of one server.

    Attributes:
        place: Host and port, for messages; never user or password.
        client: A client with up to eight connections, for anything.
        is_old: Whether an older version made the store, and nobody has brought it up.
    """

    def __init__(self, url: str) -> None:
        self.place = place_of(url, PORT)
        self._url = url
        self.client: Any = None
        self.is_old = False

    async def open(self) -> None:
        """Connect, and see whether the server is fit.

        Raises:
            StoreTooNew: A newer version has changed the schema.
            StoreNotDurable: It may lose what it has acknowledged.
            StoreUnavailable: The server cannot be reached or used.
        """
        try:
            self._url, is_checked = without_durability(self._url)
            if urlsplit(self._url).port == 0:
                raise ValueError
            pool = self._pool(_POOL_MAX)
        except (ValueError, TypeError) as error:
            raise _unreadable(self.place) from error
        self.client = Redis(connection_pool=pool)
        try:
            with self.errors():
                await self.client.ping()
        except (TypeError, OverflowError) as error:  # an option or a port that is none
            raise _unreadable(self.place) from error
        try:
            with self.errors():
                await self._check(is_checked)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connections."""
        await self.client.connection_pool.disconnect()

    def single(self) -> Any:
        """Return a client with one connection of its own."""
        return Redis(connection_pool=self._pool(1))

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what the client library raises as an error of the store."""
        try:
            yield
        except _GONE as error:
            raise fault(self.place, error) from error

    def _pool(self, connections_max: int) -> BlockingConnectionPool:
        return BlockingConnectionPool.from_url(
            self._url,
            max_connections=connections_max,
            timeout=ANSWER_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S,
            socket_connect_timeout=_CONNECT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )

    async def _check(self, is_checked: bool) -> None:
        await self._check_version()
        if is_checked:
            await self._check_durable()
        else:
            logger.warning("nobody checks whether Redis at %s is durable", self.place)
        await self.client.set("{plait}:schema", SCHEMA, nx=True)
        kept, where = await self.client.get("{plait}:schema"), f"Redis at {self.place}"
        if not kept.isdigit():
            raise StoreDamaged(where, "{plait}:schema is no number")
        found = int(kept)
        if found > SCHEMA:
            raise StoreTooNew(found=found, known=SCHEMA, store=where)
        self.is_old = found < SCHEMA

    async def _check_version(self) -> None:
        found = str((await self.client.info("server"))["redis_version"])
        if int(found.partition(".")[0]) < _VERSION_MIN:
            raise StoreUnavailable(
                f"Redis at {self.place} has version {found}: {_VERSION_MIN} or newer is "
                "needed"
            )

    async def _check_durable(self) -> None:
        where = f"Redis at {self.place}"
        try:
            found = _texts(await self.client.config_get(*_DURABLE, "maxmemory*"))
        except exceptions.ResponseError as error:
            raise StoreNotDurable(
                f"{where} does not tell whether it is durable ({error}): allow CONFIG GET, "
                "or add ?durability=unchecked to the address if you know that it is"
            ) from error
        wanted = dict(_DURABLE)
        if found.get("maxmemory", "0") != "0":
            wanted["maxmemory-policy"] = "noeviction"
        wrong = [name for name, value in wanted.items() if found.get(name) != value]
        if wrong:
            remedy = ", ".join(f"{name} {wanted[name]}" for name in wrong)
            raise StoreNotDurable(
                f"{where} would lose executions that it has acknowledged: set {remedy}"
            )


def fault(place: str, error: Exception) -> StoreUnavailable | StoreDamaged:
    """Return what `error` means to whoever wanted to write or read."""
    is_refusal = isinstance(error, exceptions.ResponseError)
    if is_refusal and any(word in str(error) for word in _DAMAGED):
        return StoreDamaged(f"Redis at {place}", "a key holds what nobody has written")
    return unavailable(place, error)


def unavailable(place: str, error: Exception) -> StoreUnavailable:
    """Return what `error` means to whoever wanted to write or read."""
    where = f"Redis at {place}"
    match error:
        case exceptions.OutOfMemoryError():
            return StoreFull(
                f"{where} has no memory left: nothing was written; raise maxmemory, or "
                "remove executions (`plait journal compact`)"
            )
        case exceptions.ReadOnlyError():
            return StoreReadOnly(
                f"{where} is a replica and takes no writes: name the server that does"
            )
        case exceptions.BusyLoadingError():
            return StoreUnavailable(f"{where} is starting up")
        case exceptions.AuthenticationError() | exceptions.AuthorizationError():
            return StoreUnavailable(f"{where} refuses the user or the password")
        case exceptions.TimeoutError() | TimeoutError():
            return StoreUnavailable(f"{where} gave no answer in time")
        case exceptions.ConnectionError() | OSError():
            return StoreUnavailable(f"{where} cannot be reached: is it running?")
        case exceptions.ResponseError() if str(error).startswith("MASTERDOWN"):
            return StoreReadOnly(f"{where} is a replica that has lost its master")
        case exceptions.ResponseError() if str(error).startswith("MISCONF"):
            return StoreUnavailable(f"{where} cannot write to its disk: see its log")
        case _:
            return StoreUnavailable(f"{where}: {error}")


def _unreadable(place: str) -> StoreUnavailable:
    # The library's own words show parts of the address, which may be the password's.
    return NoAddress(f"Redis at {place}: the store's address cannot be read")


def _texts(settings: dict[Any, Any]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in settings.items()}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

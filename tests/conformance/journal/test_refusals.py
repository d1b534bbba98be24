"""What servers refuse for a while: told with a code and a remedy, and no step fails for it.

The servers are real, and so are the refusals: no memory, no disk, no connection left, a
replica, a standby, sessions that an operator ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from plait.drivers.journal import JournalDriver, Start, Store
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import Entry, StoreFull, StoreUnavailable
from plait.stores.faults import StoreReadOnly
from plait.stores.postgres import PostgresStore
from plait.stores.redis import RedisStore
from plait.testing.store_suite import (
    OpenStore,
    append_to,
)
from tests.conformance.journal.outages import begin
from tests.conformance.journal.servers import PrivateServer, postgres_url, redis, redis_url
from tests.faults.disks import SmallDisk, small_disk
from tests.simulation.asking import plan_of
from tests.unit.stores.histories import STEPS, Answers, running

WAIT_S = 30


class Held(Answers):
    """Answers when it is let, not before."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()

    def start(self, call: Call, done: Done) -> CallHandle:
        """Answer once the gate is open."""
        self.made.append(call)
        self.asked.set()

        async def answer() -> None:
            await self.gate.wait()
            done(CallReply(self.response, {}))

        return Answering(asyncio.ensure_future(answer()))


class Answering:
    """An answer that is waited for."""

    def __init__(self, task: asyncio.Future[None]) -> None:
        self._task = task

    def cancel(self) -> None:
        """Wait no longer."""
        self._task.cancel()


class Heard(logging.Handler):
    """Sets `event` when a text was logged."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.event = asyncio.Event()
        self._text = text

    def emit(self, record: logging.LogRecord) -> None:
        """Look at what is logged."""
        if self._text in record.getMessage():
            self.event.set()


@asynccontextmanager
async def hearing(text: str) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Yield what waits until the driver logs `text`."""
    handler, logger = Heard(text), logging.getLogger("plait.journal")
    logger.addHandler(handler)
    try:
        yield handler.event.wait
    finally:
        logger.removeHandler(handler)


async def goes_on(
    store: Store,
    break_: Callable[[], Awaitable[Any]],
    mend: Callable[[], Awaitable[Any]],
    text: str,
) -> None:
    """Break the server amid a step; see the execution complete once it is mended."""
    calls = Held()
    async with (
        asyncio.timeout(WAIT_S),
        running(store, calls) as driver,
        hearing(text) as told,
    ):
        await driver.start(plan_of(STEPS), Start("x1", None))
        await calls.asked.wait()
        await break_()
        calls.gate.set()
        await told()
        await mend()
        await _completed(driver, calls)


async def _completed(driver: JournalDriver, calls: Held) -> None:
    ended = await driver.ended("x1")
    assert ended.standing.status == "completed"
    assert {call.attempt for call in calls.made} == {1}
    assert [*dict.fromkeys(call.step for call in calls.made)] == ["a", "b"]
    assert len({(call.step, call.idempotency_key) for call in calls.made}) == 2


# -- Redis -----------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[PrivateServer]:
    """One to be changed."""
    with redis() as server:
        yield server


@pytest.fixture
async def client(server: PrivateServer) -> AsyncIterator[Any]:
    async with Redis(port=server.port) as client:
        yield client


@pytest.fixture
async def store(server: PrivateServer) -> AsyncIterator[RedisStore]:
    store = await RedisStore.open(redis_url(server))
    yield store
    await store.close()


async def test_no_step_fails_while_redis_has_no_memory(
    store: RedisStore, client: Any
) -> None:
    await goes_on(
        store,
        lambda: client.config_set("maxmemory", "1"),
        lambda: client.config_set("maxmemory", "0"),
        "has no memory left",
    )


async def test_no_step_fails_while_redis_is_a_replica(
    store: RedisStore, server: PrivateServer, client: Any
) -> None:
    with redis(replicaof=f"127.0.0.1 {server.port}") as other:
        async with Redis(port=other.port) as second:

            async def demote() -> None:
                await client.execute_command("WAIT", 1, 10_000)
                await second.replicaof("NO", "ONE")
                await client.replicaof("127.0.0.1", other.port)

            await goes_on(
                store, demote, lambda: client.replicaof("NO", "ONE"), "is a replica"
            )


async def test_a_replica_of_redis_is_refused_at_opening(
    store: RedisStore, server: PrivateServer, client: Any
) -> None:
    await begin(store, "x1")
    with redis(replicaof=f"127.0.0.1 {server.port}") as other:
        await client.execute_command("WAIT", 1, 10_000)
        with pytest.raises(StoreReadOnly, match="is a replica") as caught:
            await RedisStore.open(redis_url(other))
        assert caught.value.code == "store.read_only"


# -- PostgreSQL ------------------------------------------------------------------------


@pytest.fixture
async def rows(postgres_stores: OpenStore) -> PostgresStore:
    return cast("PostgresStore", await postgres_stores())


async def test_no_step_fails_while_postgresql_takes_no_writes(
    rows: PostgresStore, database: Any
) -> None:
    """As after a switch to a standby: the sessions there can only read."""
    alter = "ALTER DATABASE postgres {} default_transaction_read_only"

    async def leave() -> None:
        await database.execute(f"{alter.format('SET')} = on")
        await end_sessions(database)

    async def come_back() -> None:
        await database.execute("SET default_transaction_read_only = off")
        await database.execute(alter.format("RESET"))
        await end_sessions(database)

    await goes_on(rows, leave, come_back, "takes no writes, as a standby does")


async def end_sessions(database: Any) -> None:
    await database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'plait'"
    )


async def test_a_server_that_takes_no_writes_is_told_of_with_its_code(
    rows: PostgresStore, database: Any, shared_postgres: PrivateServer
) -> None:
    summary = await begin(rows, "x1")
    role = "ALTER ROLE postgres {} default_transaction_read_only"
    await database.execute(f"{role.format('SET')} = on")
    try:
        other = await PostgresStore.open(postgres_url(shared_postgres))
        assert (await other.read("x1")).summary == summary
        with pytest.raises(StoreReadOnly, match="name the server that does") as caught:
            await other.append(append_to(summary, "two"))
        assert caught.value.code == "store.read_only"
        await other.close()
    finally:
        await database.execute(role.format("RESET"))
    await rows.append(append_to(summary, "two"))


async def test_no_step_fails_when_an_operator_ends_all_sessions(
    rows: PostgresStore, database: Any
) -> None:
    calls = Held()
    async with asyncio.timeout(WAIT_S), running(rows, calls) as driver:
        await driver.start(plan_of(STEPS), Start("x1", None))
        await calls.asked.wait()
        await end_sessions(database)
        calls.gate.set()
        await _completed(driver, calls)


async def test_a_server_without_a_connection_left_is_told_of_with_what_to_do(
    rows: PostgresStore, database: Any, shared_postgres: PrivateServer
) -> None:
    del rows
    await database.execute(
        "DROP ROLE IF EXISTS lone; CREATE ROLE lone LOGIN CONNECTION LIMIT 1;"
        "GRANT ALL ON SCHEMA plait TO lone; GRANT ALL ON ALL TABLES IN SCHEMA plait TO lone"
    )
    first = await PostgresStore.open(postgres_url(shared_postgres, "lone"))
    with pytest.raises(StoreUnavailable, match="raise max_connections, or the role's"):
        await PostgresStore.open(postgres_url(shared_postgres, "lone"))
    # Whoever has one goes on.
    await begin(first, "x1")
    await first.close()
    await database.execute("DROP OWNED BY lone; DROP ROLE lone")


async def test_a_full_disk_of_postgresql_is_told_of_and_reading_goes_on(
    rows: PostgresStore, database: Any
) -> None:
    async with small_space(database) as disk:
        await database.execute("ALTER TABLE plait.entries SET TABLESPACE small")
        kept = await begin(rows, "x1")
        disk.fill()
        large = Entry(random.Random(1).randbytes(1_000_000), b"digest")
        with pytest.raises(StoreFull, match="make room on its disk"):
            await rows.append(append_to(kept, entries=[large]))
        assert (await rows.read("x1")).summary == kept
        disk.make_room()
        await rows.append(append_to(kept, entries=[large]))
        assert (await rows.read("x1")).entries[-1] == large


@asynccontextmanager
async def small_space(database: Any) -> AsyncIterator[SmallDisk]:
    """Give the server a tablespace `small` on a disk of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="plait-space-") as name,
        small_disk(Path(name, "disk")) as disk,
    ):
        space = disk.folder / "space"
        space.mkdir()
        if os.geteuid() == 0:
            Path(name).chmod(0o755)
            os.chown(space, pwd.getpwnam("postgres").pw_uid, -1)
        await database.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        try:
            yield disk
        finally:
            await database.execute("DROP SCHEMA plait CASCADE; CHECKPOINT")
            await database.execute("DROP TABLESPACE small")

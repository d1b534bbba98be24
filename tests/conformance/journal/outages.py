"""What a store behind a network owes its users when the server fails, as tests.

Every test has a server of its own, and takes it away.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import pytest

from plait.drivers.journal import Store
from plait.ports.journal import (
    LostRace,
    Message,
    Search,
    Standing,
    StoreUnavailable,
    Summary,
    UnknownExecution,
)
from plait.testing.store_suite import (
    ANN,
    AT_ONCE,
    BOB,
    NOW_MS,
    OpenStore,
    append_to,
    entry,
    new,
)
from tests.conformance.journal.servers import PASSWORD, PrivateServer, free_port

GUIDE = Path(__file__).resolve().parents[3] / "docs/guides/stores.md"
FAR_MS = NOW_MS + 3_600_000

# A worker that holds an execution for an hour to come, as a process of its own.
_WORKER = """
import asyncio, sys
from {module} import {name} as Kind
from plait.testing.store_suite import (
    AT_ONCE,
    entry,
    new,
)

async def main():
    store = await Kind.open(sys.argv[1])
    await store.join("killed")
    await store.beat("killed", {now}, {far})
    await store.create(new("x1"), [entry()], AT_ONCE, "killed")
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class StoreKind(Protocol):
    """A store's class."""

    async def open(self, url: str) -> Store:
        """Open the store at `url`."""
        ...


class OutageSuite:
    """Inherit, and give the fixtures `kind`, `scheme`, `server` and `url`."""

    @pytest.fixture
    async def store(self, kind: StoreKind, url: str) -> AsyncIterator[Store]:
        """Ann has joined, and lives for an hour."""
        async with _opened(kind, url) as store:
            await store.join(ANN)
            await store.beat(ANN, NOW_MS, FAR_MS)
            yield store

    # -- opening -----------------------------------------------------------------------

    async def test_a_server_that_is_not_there_is_named_without_the_password(
        self, kind: StoreKind, scheme: str
    ) -> None:
        port = free_port()
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}") as caught:
            await kind.open(f"{scheme}://ann:{PASSWORD}@127.0.0.1:{port}/0")
        assert PASSWORD not in str(caught.value)

    @pytest.mark.parametrize("rest", ["127.0.0.1:port/0", "[::1/0", "127.0.0.1:99999/0"])
    async def test_an_address_of_no_sense_is_refused_without_the_password(
        self, kind: StoreKind, scheme: str, rest: str
    ) -> None:
        with pytest.raises(StoreUnavailable) as caught:
            await kind.open(f"{scheme}://ann:{PASSWORD}@{rest}")
        assert PASSWORD not in str(caught.value)

    async def test_a_wrong_password_is_told_of_without_the_password(
        self, kind: StoreKind, scheme: str, server: PrivateServer
    ) -> None:
        url = f"{scheme}://walled:{PASSWORD}-not@127.0.0.1:{server.port}/0"
        with pytest.raises(StoreUnavailable, match="password") as caught:
            await kind.open(url)
        assert PASSWORD not in str(caught.value)

    # -- the server goes away ----------------------------------------------------------

    async def test_during_an_outage_nothing_is_acknowledged_and_afterwards_all_goes_on(
        self, store: Store, server: PrivateServer
    ) -> None:
        summary = await begin(store, "x1")
        server.stop()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{server.port}"):
                await store.append(append_to(summary, "two"))
        for reading in (store.read("x1"), store.load_plan("none")):
            with pytest.raises(StoreUnavailable):
                await reading
        for keeping in (store.beat(ANN, NOW_MS, FAR_MS), store.claim(ANN, NOW_MS, 1)):
            with pytest.raises(StoreUnavailable):
                await keeping
        server.start()
        await until_there(store)
        await store.append(append_to(summary, "two"))
        bodies = [one.body for one in (await store.read("x1")).entries]
        assert bodies == [b"started", b"two"]

    async def test_a_restart_amid_writes_loses_and_doubles_nothing(
        self, store: Store, server: PrivateServer
    ) -> None:
        is_up = asyncio.Event()
        is_up.set()
        writers = [Writer(store, await begin(store, f"x{n}"), is_up) for n in range(20)]
        await some_written(writers, 200)
        is_up.clear()
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        is_up.set()
        await some_written(writers, sum(writer.written for writer in writers) + 200)
        for writer in writers:
            writer.is_to_end = True
        await asyncio.gather(*(writer.task for writer in writers))
        assert all(writer.outages for writer in writers)
        for writer in writers:
            bodies = [one.body for one in (await store.read(writer.execution_id)).entries]
            numbers = [str(number).encode() for number in range(writer.written)]
            assert bodies == [b"started", *numbers]

    async def test_what_was_acknowledged_before_the_server_was_killed_is_there(
        self, store: Store, server: PrivateServer
    ) -> None:
        never = asyncio.Event()
        writers = [Writer(store, await begin(store, f"x{n}"), never) for n in range(20)]
        await some_written(writers, 500)
        await asyncio.to_thread(server.kill)
        acknowledged = [writer.written for writer in writers]
        await asyncio.to_thread(server.start)
        for writer in writers:
            writer.task.cancel()
        tasks = (writer.task for writer in writers)
        await asyncio.gather(*tasks, return_exceptions=True)
        await until_there(store)
        for writer, known in zip(writers, acknowledged, strict=True):
            history = await store.read(writer.execution_id)
            bodies = [one.body for one in history.entries[1:]]
            assert len(bodies) >= known
            assert bodies == [str(n).encode() for n in range(len(bodies))]

    async def test_a_start_amid_an_outage_is_done_once(
        self, store: Store, server: PrivateServer
    ) -> None:
        server.stop()
        with pytest.raises(StoreUnavailable):
            await store.create(new("x1", key="k"), [entry()], AT_ONCE, ANN)
        server.start()
        await until_there(store)
        created = await store.create(new("x1", key="k"), [entry()], AT_ONCE, ANN)
        again = await store.create(new("x2", key="k"), [entry()], AT_ONCE, ANN)
        assert (created.is_new, again.is_new) == (True, False)

    @pytest.mark.usefixtures("quick")
    async def test_a_server_that_gives_no_answer_is_given_up(
        self, store: Store, server: PrivateServer
    ) -> None:
        summary = await begin(store, "x1")
        server.freeze()
        try:
            async with asyncio.timeout(10):
                with pytest.raises(StoreUnavailable):
                    await store.append(append_to(summary, "two"))
                with pytest.raises(StoreUnavailable):
                    await store.beat(ANN, NOW_MS, FAR_MS)
        finally:
            server.thaw()
        await until_there(store)
        # Whether it was done is unknown: whoever goes on reads again.
        assert (await store.read("x1")).summary.length in (1, 2)

    @pytest.mark.usefixtures("quick")
    async def test_what_was_claimed_without_an_answer_is_claimed_again(
        self, store: Store, server: PrivateServer
    ) -> None:
        await begin(store, "x1")
        await store.release(ANN, ["x1"])
        server.freeze()
        try:
            # They are in the server's hands, and done when it goes on.
            with pytest.raises(StoreUnavailable):
                await store.claim(ANN, NOW_MS, 10)
            with pytest.raises(StoreUnavailable):
                await begin(store, "x2")
        finally:
            server.thaw()
        claimed: set[str] = set()
        async with asyncio.timeout(20):
            while "x1" not in claimed:
                with suppress(StoreUnavailable):
                    found = (await store.claim(ANN, NOW_MS, 10)).executions
                    claimed |= {one.new.execution_id for one in found}
        # Whether the start was done is unknown; if it was, somebody has it now.
        if await store.find(Search(execution_ids=("x2",))):
            found = (await store.claim(ANN, NOW_MS, 10)).executions
            assert "x2" in claimed | {one.new.execution_id for one in found}

    # -- workers -----------------------------------------------------------------------

    async def test_a_killed_workers_executions_are_taken_over_at_once(
        self, store: Store, kind: type, url: str
    ) -> None:
        names = {"module": kind.__module__, "name": kind.__name__}
        program = _WORKER.format(**names, now=NOW_MS, far=FAR_MS)
        worker = subprocess.Popen(
            [sys.executable, "-c", program, url], stdout=subprocess.PIPE
        )
        with worker:
            assert worker.stdout is not None
            assert await asyncio.to_thread(worker.stdout.readline) == b"ready\n"
            await store.beat(ANN, NOW_MS, FAR_MS)
            assert (await store.claim(ANN, NOW_MS, 1)).executions == []
            worker.send_signal(signal.SIGKILL)
        async with asyncio.timeout(30):  # its lease lasts for longer than that
            while not (await store.claim(ANN, NOW_MS, 1)).executions:
                await store.beat(ANN, NOW_MS, FAR_MS)

    async def test_the_servers_restart_takes_nothing_from_a_living_worker(
        self, store: Store, kind: StoreKind, url: str, server: PrivateServer
    ) -> None:
        summary = await begin(store, "x1")
        async with _opened(kind, url) as other:
            await other.join(BOB)
            server.stop()
            server.start()
            await until_there(other)
            await other.beat(BOB, NOW_MS, FAR_MS)
            assert (await other.claim(BOB, NOW_MS, 1)).executions == []
            await until_there(store)
            await store.append(append_to(summary, "two"))

    async def test_news_come_again_after_the_servers_restart(
        self, store: Store, kind: StoreKind, url: str, server: PrivateServer
    ) -> None:
        await begin(store, "x1")
        server.stop()
        server.start()
        async with asyncio.timeout(20), _opened(kind, url) as other:
            # What is told first is the loss of the connection.
            with suppress(TimeoutError):
                while True:
                    await asyncio.wait_for(store.changed(), 0.5)
            hearing = asyncio.ensure_future(store.changed())
            while not hearing.done():
                await other.release(BOB, [])
                await asyncio.wait([hearing], timeout=0.1)


class Writer:
    """Appends numbers to one execution; after an outage it reads what was written.

    Args:
        is_up: Set while the server is there.

    Attributes:
        task: Writes until it is told to end.
        written: How many have been acknowledged.
        outages: How often the store was not there.
        is_to_end: Set it to have the writer end.
    """

    def __init__(self, store: Store, summary: Summary, is_up: asyncio.Event) -> None:
        self.execution_id = summary.new.execution_id
        self.written = 0
        self.outages = 0
        self.is_to_end = False
        self._store = store
        self._summary = summary
        self._is_up = is_up
        self.task = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        while not self.is_to_end:
            length = self.written + 1
            append = append_to(self._summary, str(self.written), expected_length=length)
            try:
                await self._store.append(append)
                self.written += 1
            except StoreUnavailable:
                self.outages += 1
                await self._is_up.wait()
                await until_there(self._store)
                history = await self._store.read(self.execution_id)
                self.written = history.summary.length - 1


async def begin(store: Store, execution_id: str, standing: Standing = AT_ONCE) -> Summary:
    """Create an execution that Ann holds."""
    created = await store.create(new(execution_id), [entry("started")], standing, ANN)
    return created.summary


async def work_through(open_store: OpenStore) -> None:
    """Do once all that two workers do: for what a user of the server must be allowed."""
    async with _closing(await open_store()) as one, _closing(await open_store()) as other:
        for worker_id, store in ((ANN, one), (BOB, other)):
            await store.join(worker_id)
            await store.beat(worker_id, NOW_MS, FAR_MS)
        summary = await begin(one, "x1")
        await one.append(append_to(summary, "two"))
        hearing = asyncio.ensure_future(one.changed())
        async with asyncio.timeout(10):
            while not hearing.done():
                await other.post(Message("m1", "x1", b""))
                await asyncio.wait([hearing], timeout=0.1)
        assert len(await one.beat(ANN, NOW_MS, FAR_MS)) == 1
        await one.leave(ANN)
        assert len((await other.claim(BOB, NOW_MS, 1)).executions) == 1
        assert (await other.take(BOB, NOW_MS, "x1")).epoch == 3
        await other.release(BOB, ["x1"])
        await other.save_plan("sha256:1", b"plan")
        assert await other.load_plan("sha256:1") == b"plan"
        assert len((await other.read("x1")).entries) == 2
        assert len(await other.find(Search())) == 1


async def some_written(writers: list[Writer], count: int) -> None:
    """Wait until the writers have written `count` entries among them, and all go on."""
    while sum(writer.written for writer in writers) < count:
        for writer in writers:
            if writer.task.done():
                await writer.task
        await asyncio.sleep(0)


async def until_there(store: Store) -> None:
    """Wait until the store answers."""
    async with asyncio.timeout(20):
        while True:
            try:
                await store.take(ANN, NOW_MS, "nobody")
            except (UnknownExecution, LostRace):
                return
            except StoreUnavailable:
                await asyncio.sleep(0)


@asynccontextmanager
async def _opened(kind: StoreKind, url: str) -> AsyncIterator[Store]:
    async with _closing(await kind.open(url)) as store:
        yield store


@asynccontextmanager
async def _closing(store: Store) -> AsyncIterator[Store]:
    try:
        yield store
    finally:
        with suppress(StoreUnavailable):
            await store.close()

"""What several workers on one server owe their users, as tests with real processes.

They run documents by the real driver, and make real calls to a service that counts them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from plait.drivers.journal import Store, verify
from plait.ports.journal import Message, Search, Standing
from plait.testing.store_suite import (
    ANN,
    BOB,
    LATER_MS,
    NOW_MS,
    OpenStore,
    append_to,
)
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import reply
from tests.conformance.journal.outages import begin

COUNT = 20
# One that no machine is too busy to prolong, and one that a test can see the end of.
LEASE_MS = 60_000
SHORT_LEASE_MS = 2_000
THREE = """\
name: three
steps:
  - {id: a, type: http, request: {method: POST, url: http://service/a}}
  - {id: b, type: http, request: {method: POST, url: http://service/b},
     depends_on: [a]}
  - {id: c, type: http, request: {method: POST, url: http://service/c},
     depends_on: [b]}
"""
# Who waits for longer than a second is given back, and then claimed by anybody.
NAP = """\
name: nap
steps:
  - {id: nap, type: wait, for: 1500ms}
  - {id: a, type: http, request: {method: POST, url: http://service/a},
     depends_on: [nap]}
"""


class Service:
    """Answers calls, and counts them; at the tenth to `/b` it strikes the caller.

    Attributes:
        struck: Set when it has.
    """

    def __init__(self) -> None:
        self.struck = asyncio.Event()
        self._blow: tuple[int, signal.Signals] | None = None
        self._left = 10

    def strike(self, worker: Process, blow: signal.Signals) -> None:
        """Send `blow` to `worker` when it makes that call, which goes unanswered."""
        self._blow = (worker.pid, blow)

    async def __call__(self, peer: Peer, request: Request) -> None:
        if self._blow is not None and request.target == "/b":
            self._left -= 1
            if self._left == 0:
                os.kill(*self._blow)
                self.struck.set()
                return
        await reply(json={"done": True})(peer, request)


class WorkersSuite:
    """Inherit, and give the fixtures `stores` and `place`, the address of the store."""

    @pytest.fixture
    async def store(self, stores: OpenStore) -> Store:
        """It looks on; no worker of this process runs anything."""
        return await stores()

    async def test_two_openings_that_claim_at_once_share_nothing(
        self, stores: OpenStore
    ) -> None:
        openings = {ANN: await stores(), BOB: await stores()}
        for worker_id, store in openings.items():
            await store.join(worker_id)
            await store.beat(worker_id, NOW_MS, LATER_MS)
        await asyncio.gather(*(begin(openings[ANN], f"x{n}") for n in range(200)))
        await openings[ANN].release(ANN, [f"x{n}" for n in range(200)])
        claims = [
            store.claim(worker_id, NOW_MS, 7)
            for _ in range(20)
            for worker_id, store in openings.items()
        ]
        held = [
            (one.new.execution_id, one.owner, one.epoch)
            for claimed in await asyncio.gather(*claims)
            for one in claimed.executions
        ]
        assert len({execution_id for execution_id, _, _ in held}) == len(held) == 200
        assert {(owner, epoch) for _, owner, epoch in held} == {(ANN, 2), (BOB, 2)}

    @pytest.mark.parametrize("wake_at_ms", [0, 1, NOW_MS])
    async def test_a_worker_hears_of_what_another_gives_back_due(
        self, stores: OpenStore, wake_at_ms: int
    ) -> None:
        one, other = await stores(), await stores()
        for worker_id, store in ((ANN, one), (BOB, other)):
            await store.join(worker_id)
            await store.beat(worker_id, NOW_MS, LATER_MS)
        await _until_it_listens(other, one)
        summary = await begin(one, "x1")
        standing = Standing("running", NOW_MS, wake_at_ms)
        async with asyncio.timeout(30):
            hearing = asyncio.ensure_future(other.changed())
            await one.append(append_to(summary, "two", standing=standing, is_released=True))
            await hearing

    async def test_two_workers_share_what_falls_due_and_call_once(
        self, store: Store, place: str, tmp_path: Path
    ) -> None:
        async with (
            Upstream(Service()) as upstream,
            _worker(place, "one", NAP, tmp_path, upstream) as one,
            _worker(place, "two", NAP, tmp_path, upstream),
        ):
            await _start(one, COUNT)
            await _until_completed(store, COUNT)
            assert _counted(upstream) == Counter(f"x{n:03}/a" for n in range(COUNT))

    async def test_what_a_killed_worker_held_another_finishes_before_its_lease_is_over(
        self, store: Store, place: str, tmp_path: Path
    ) -> None:
        service = Service()
        async with (
            Upstream(service) as upstream,
            _worker(place, "killed", THREE, tmp_path, upstream) as killed,
            _worker(place, "heir", THREE, tmp_path, upstream),
        ):
            service.strike(killed, signal.SIGKILL)
            await _start(killed, COUNT)
            await service.struck.wait()
            await _until_completed(store, COUNT)
            _assert_at_most_one_repeated(_counted(upstream))
        await _histories(store)

    async def test_what_a_frozen_worker_held_another_finishes_and_it_is_fenced(
        self, store: Store, place: str, tmp_path: Path
    ) -> None:
        service = Service()
        async with (
            Upstream(service) as upstream,
            _worker(place, "frozen", THREE, tmp_path, upstream, SHORT_LEASE_MS) as frozen,
            _worker(place, "heir", THREE, tmp_path, upstream),
        ):
            service.strike(frozen, signal.SIGSTOP)
            await _start(frozen, COUNT)
            await service.struck.wait()
            await _until_completed(store, COUNT)
            before = await _histories(store)
            _assert_at_most_one_repeated(_counted(upstream))
            frozen.send_signal(signal.SIGCONT)
            # By the time it has run one more, it has tried to write what it came back with.
            await _start(frozen, 1)
            await _until_completed(store, COUNT + 1)
            after = await _histories(store)
        assert {one: after[one] for one in before} == before
        assert len(after) == COUNT + 1


async def _until_it_listens(store: Store, other: Store) -> None:
    """Return once a store has heard news of another, and there are no more."""
    await begin(other, "told")
    hearing = asyncio.ensure_future(store.changed())
    for number in count():
        await other.post(Message(f"m{number}", "told", b""))
        if (await asyncio.wait([hearing], timeout=0.1))[0]:
            break
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.3):
                await store.changed()


@asynccontextmanager
async def _worker(
    place: str,
    name: str,
    document: str,
    folder: Path,
    upstream: Upstream,
    lease_ms: int = LEASE_MS,
) -> AsyncIterator[Process]:
    path = folder / f"{name}.yaml"
    path.write_text(document)
    module = "tests.conformance.journal.worker"
    arguments = [place, name, str(lease_ms), str(path), upstream.address]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments), stdin=PIPE, stdout=PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _start(worker: Process, count: int) -> None:
    """Have the worker start executions; return without waiting until it has."""
    assert worker.stdin is not None
    worker.stdin.write(f"{count}\n".encode())
    await worker.stdin.drain()


async def _until_completed(store: Store, count: int) -> None:
    search = Search(statuses=("completed",), limit=count)
    async with asyncio.timeout(60):
        while len(await store.find(search)) < count:
            with suppress(TimeoutError):
                await asyncio.wait_for(store.changed(), 0.2)


def _counted(upstream: Upstream) -> Counter[str]:
    """Return how often each call was made; its idempotency key says which it is."""
    return Counter(one.headers["idempotency-key"] for one in upstream.requests)


def _assert_at_most_one_repeated(counted: Counter[str]) -> None:
    """Each call was made, and of no execution more than one a second time."""
    executions = {f"x{n:03}" for n in range(COUNT)}
    assert set(counted) == {f"{one}/{step}" for one in executions for step in "abc"}
    repeated = Counter(key.partition("/")[0] for key in counted.elements())
    assert set(repeated.values()) <= {3, 4}
    assert max(counted.values()) == 2, "nothing was under way when the worker was struck"


async def _histories(store: Store) -> dict[str, bytes]:
    """Return the head of each history, having verified it."""
    heads = {}
    for summary in await store.find(Search(limit=1_000)):
        history = await store.read(summary.new.execution_id)
        verify(history)
        heads[summary.new.execution_id] = history.summary.head
    return heads

"""Row 15: SIGTERM of the real gateway while 0.8 of what it can do is asked of it.

What it can do is measured first, in the same run. Then it is stopped in the middle of its
work, by one signal or by two, and started again.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from contextlib import AbstractAsyncContextManager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from plait.assembly.stores import open_store
from plait.ports.journal import RUNNING, Search
from plait.testing.upstream import Upstream
from tests.acceptance.gateways import ROOT, GatewayProcess, ask, serving
from tests.proof.deaths import read_histories
from tests.proof.paying import Bank, judge, until_nothing_runs, write_document
from tests.proof.scorecard import Outcome, Scale
from tests.unit.gateway.wires import Answer, Client

ROUNDS: Final = 5
LOAD: Final = 0.8
EXIT_S_MAX: Final = 10.0
CLIENTS: Final = 64
RUSH_S: Final = (1.0, 5.0)
STREAM_S: Final = (0.7, 3.0)
PLANTED: Final = Path(__file__).parent / "planted"
PLANTED_STOPS_MAX: Final = 3
SECOND_SIGNAL_AFTER_S: Final = 0.05
# Nobody waits for every fourth order, and some of those sleep outside the memory. So much
# is under way at any moment, though the clients are few.
NAP: Final = "${input.order % 8 == 0 ? '1500ms' : input.order % 4 == 0 ? '400ms' : '10ms'}"


class Crowd:
    """Clients of one gateway, which may stop any time; they order each thing once.

    Attributes:
        accepted: What was acknowledged: execution id → order.
        unheard: How many orders got no answer, or were refused.
    """

    def __init__(self) -> None:
        self.accepted: dict[str, int] = {}
        self.unheard = 0
        self._numbers = count(1)

    async def rush(self, gateway: GatewayProcess, seconds: float) -> float:
        """Order as fast as it goes; return how many orders a second are accepted."""
        before, until_s = len(self.accepted), time.monotonic() + seconds

        async def client() -> None:
            async with gateway.client() as connection:
                while time.monotonic() < until_s:
                    await self._order(connection, next(self._numbers))

        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return (len(self.accepted) - before) / seconds

    async def stream(self, gateway: GatewayProcess, per_s: float) -> None:
        """Order at a steady rate, whatever becomes of it, until nobody listens."""
        orders: asyncio.Queue[int] = asyncio.Queue()
        clients = [
            asyncio.create_task(self._client(gateway, orders)) for _ in range(CLIENTS)
        ]
        begun_at = time.monotonic()
        for place in count():
            await asyncio.sleep(begun_at + place / per_s - time.monotonic())
            if gateway.process.returncode is not None:
                break
            orders.put_nowait(next(self._numbers))
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _client(self, gateway: GatewayProcess, orders: asyncio.Queue[int]) -> None:
        while True:
            number = await orders.get()
            try:
                async with gateway.client() as connection:
                    answer = await self._order(connection, number)
                    while "close" not in answer.headers.get("connection", ""):
                        number = await orders.get()
                        answer = await self._order(connection, number)
            except (OSError, EOFError):
                self.unheard += 1

    async def _order(self, client: Client, number: int) -> Answer:
        headers = {"idempotency_key": f"order-{number}"}
        if number % 4 == 0:
            headers["prefer"] = "respond-async"
        answer = await ask(client, "/pay", "POST", body={"order": number}, **headers)
        if answer.status in (200, 202):
            self.accepted[answer.headers["plait-execution-id"]] = number
        else:
            self.unheard += 1
        return answer


def run(scale: Scale) -> Outcome:
    """Stop a gateway that has much to do, and see what is left of that."""
    is_little = scale.share < 1
    outcome = asyncio.run(_run((1, 2) * scale.of(ROUNDS), is_little=is_little))
    caught = catch()
    outcome.figures["acknowledges before it writes"] = caught or "not caught"
    if caught is None:
        outcome.broken.append("a gateway that acknowledges before it writes is not caught")
    return outcome


def catch() -> str | None:
    """Plant a bug in the gateway; return what gives it away."""
    for _ in range(PLANTED_STOPS_MAX):
        broken = asyncio.run(_run((1,), is_little=True, planted=PLANTED)).broken
        lost = [text for text in broken if text.startswith("accepted and")]
        if lost:
            return lost[0]
    return None


async def _run(
    stopped_by: tuple[int, ...], *, is_little: bool, planted: Path | None = None
) -> Outcome:
    bank, crowd = Bank(), Crowd()
    outcome = Outcome({"stops": 0, "with a second signal": 0, "under way at the stops": 0})
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        folder = Path(name)
        write_document(folder, nap=NAP)
        async with Upstream(bank.answer) as upstream:
            stops = _Stops(folder, upstream, crowd, outcome, is_little, planted)
            for signals in stopped_by:
                await stops.one(signals)
            async with stops.gateway():
                await until_nothing_runs(folder, outcome)
        judge(await read_histories(stops.place), bank, crowd.accepted, outcome)
    outcome.figures["orders refused or unanswered"] = crowd.unheard
    outcome.figures["slowest exit, s"] = round(max(stops.exits_s), 2)
    if max(stops.exits_s) > EXIT_S_MAX:
        outcome.broken.append(f"it took {max(stops.exits_s):.1f} s to end")
    if not outcome.figures["under way at the stops"]:
        outcome.broken.append("nothing was under way at any stop: nothing is proved")
    return outcome


class _Stops:
    """One gateway after the other on one store, each of which is stopped."""

    def __init__(
        self,
        folder: Path,
        upstream: Upstream,
        crowd: Crowd,
        outcome: Outcome,
        is_little: bool,
        planted: Path | None,
    ) -> None:
        self.place = str(folder / "plait.db")
        self.exits_s: list[float] = []
        self._folder = folder
        self._upstream = upstream
        self._crowd = crowd
        self._outcome = outcome
        self._is_whole = not is_little
        self._per_s = 0.0
        first = [] if planted is None else [planted]
        self._path = os.pathsep.join(map(str, (*first, ROOT / "src")))

    def gateway(self) -> AbstractAsyncContextManager[GatewayProcess]:
        """Serve it, as a context."""
        upstreams = {"bank": self._upstream}
        arguments = [f"--store={self.place}"]
        return serving(
            self._folder / "pay.yaml",
            upstreams=upstreams,
            arguments=arguments,
            settings={"PYTHONPATH": self._path},
        )

    async def one(self, signals: int) -> None:
        """Start a gateway, load it, stop it by so many signals, and look at the store."""
        figures = self._outcome.figures
        async with self.gateway() as gateway:
            if not self._per_s:
                capacity = await self._crowd.rush(gateway, RUSH_S[self._is_whole])
                assert capacity, "no order was done"
                figures["capacity, orders/s"] = round(capacity, 1)
                self._per_s = figures["offered, orders/s"] = round(capacity * LOAD, 1)
            streaming = asyncio.create_task(self._crowd.stream(gateway, self._per_s))
            await asyncio.sleep(STREAM_S[self._is_whole])
            begun_at = time.monotonic()
            gateway.stop()
            if signals > 1:
                await asyncio.sleep(SECOND_SIGNAL_AFTER_S)
                with suppress(ProcessLookupError):
                    gateway.stop()
            code = await gateway.ended()
            self.exits_s.append(time.monotonic() - begun_at)
            await streaming
        figures["stops"] += 1
        figures["with a second signal"] += signals > 1
        if code not in (0, 1):
            self._outcome.broken.append(f"it ended with {code} after {signals} signals")
        await self._look()

    async def _look(self) -> None:
        """Hold what was acknowledged against what is in the store, as it was left."""
        store = await open_store(self.place)
        found = await store.find(Search(limit=1_000_000))
        await store.close()
        kept = {one.new.execution_id for one in found}
        lost = set(self._crowd.accepted) - kept
        self._outcome.broken += [f"accepted and not in the store: {one}" for one in lost]
        running = sum(one.standing.status == RUNNING for one in found)
        self._outcome.figures["under way at the stops"] += running

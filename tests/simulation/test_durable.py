"""Durable executions outlive their workers: random documents, random deaths.

A worker dies at one of its writes: before it, so that nothing is kept, or after it, so that
it is kept and nobody is told. Then the next worker takes over.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Literal, TypeVar

import pytest

from plait.drivers.journal import JournalDriver, Start, Times, anew, is_at_rest, verify
from plait.kernel import Execution, Kernel
from plait.kernel.codec import load_turn
from plait.kernel.events import ApprovalDecided, ExecutionCompleted
from plait.operations import Decision, Hand, resolve, show
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import (
    RUNNING,
    TERMINAL,
    Append,
    Created,
    Entry,
    History,
    Hold,
    LostRace,
    Message,
    NewExecution,
    Standing,
)
from plait.stores.memory import MemoryStore
from plait.testing import Decided, Sent, Simulation
from plait.testing.script import answer_to
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import plan_of, play
from tests.simulation.documents import ANYTHING, ORDERLY, SCOPED, Wishes, document_by
from tests.simulation.walking import signals_of

T = TypeVar("T")
GIVEN: Any = {"a": 1, "flag": True}


class MortalStore(MemoryStore):
    """The same executions for all lives; each life ends at one of its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.deaths = 0
        self.begun_count = 0
        self.live_for(None, is_kept=False)

    def live_for(self, write_count: int | None, *, is_kept: bool) -> None:
        """Begin a life that ends at write number `write_count`; None: it does not end."""
        self.left = write_count
        self.is_kept = is_kept
        self.died = asyncio.Event() if write_count is not None else None

    async def post(self, message: Message) -> None:
        write = super().post
        await self._written(lambda: write(message))

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        write = super().create
        return await self._written(lambda: write(new, entries, standing, owner, under))

    async def append(self, append: Append) -> None:
        self.begun_count += append.begins_history
        write = super().append
        await self._written(lambda: write(append))

    async def _take_a_while(self) -> None:
        """A millisecond of virtual time, in which calls may be answered."""
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        loop.call_later(0.001, over.set_result, None)
        await over

    async def _written(self, write: Callable[[], Awaitable[T]]) -> T:
        await self._take_a_while()
        if self.left is None:
            return await write()
        self.left -= 1
        if self.left > 0:
            return await write()
        if self.left == 0 and self.is_kept:
            await write()
        if self.left == 0:
            self.deaths += 1
            assert self.died is not None
            self.died.set()
        never: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        return await never


class CountedCalls:
    """Answers as the calls' own requests say; keeps every call that was made."""

    def __init__(self) -> None:
        self.made: list[Call] = []

    def start(self, call: Call, done: Done) -> CallHandle:
        """Answer later, in virtual time."""
        self.made.append(call)
        answer = answer_to(play, call)
        outcome = answer.failure or CallReply(answer.response, answer.facts)
        assert answer.after_ms is not None
        loop = asyncio.get_running_loop()
        return loop.call_later(answer.after_ms / 1000, done, outcome)

    async def close(self) -> None:
        """Nothing to close."""


class World:
    """One execution, its store, and the workers that come and go."""

    def __init__(
        self,
        plan: Plan,
        lot: Random,
        signals: Sequence[Sent | Decided] = (),
        kernel_for: Callable[[Plan], Kernel] = Kernel,
    ) -> None:
        self.plan = plan
        self.kernel_for = kernel_for
        self.lot = lot
        self.unsent = {f"signal-{n}": sent for n, sent in enumerate(signals)}
        self.store = MortalStore()
        self.calls = CountedCalls()
        self.decisions = 0

    async def live_through(self, lives: int) -> History:
        """Start the execution; let `lives` workers die over it; return its history."""
        for life in range(lives):
            self.store.live_for(self.lot.randint(1, 6), is_kept=self.lot.random() < 0.5)
            await self.one_life(f"mortal-{life}")
        self.store.live_for(None, is_kept=False)
        await self.one_life("immortal")
        history = await self.store.read("x")
        verify(history)
        return history

    async def one_life(self, worker_id: str) -> None:
        loop = asyncio.get_running_loop()
        driver = JournalDriver(
            self.store,
            self.calls,
            self.kernel_for,
            worker_id=worker_id,
            wall_clock_s=loop.time,
        )
        await driver.open()
        living = [loop.create_task(self.see_to_the_end(driver))]
        if self.store.died is not None:
            living.append(loop.create_task(self.death()))
        await asyncio.wait(living, return_when=asyncio.FIRST_COMPLETED)
        for task in living:
            task.cancel()
        await asyncio.gather(*living, return_exceptions=True)
        await driver.perish()

    async def see_to_the_end(self, driver: JournalDriver) -> None:
        # The id is what makes the second start of a start that was not told of the first.
        start = Start("x", GIVEN, key="once")
        await driver.start(self.plan, start)
        async with asyncio.TaskGroup() as group:
            senders = [
                group.create_task(self.send(driver, signal_id))
                for signal_id in list(self.unsent)
            ]
            while (await driver.ended("x", is_at_rest)).standing.status == RUNNING:
                await self.decide()
                driver.stir()
            for sender in senders:
                sender.cancel()

    async def decide(self) -> None:
        """Say of one call whose worker died what became of it, or that nobody knows."""
        self.decisions += 1
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        told = show(await self.store.read("x"), now_ms)
        steps = [one.step for one in told.trace.steps.values() if one.status == "in doubt"]
        actions: list[Literal["retry", "done", "fail"]] = ["retry", "done", "fail"]
        action = self.lot.choice(actions)
        response = "by hand" if action == "done" else None
        decision = Decision(steps[0], action, response, "ada")
        hand = Hand(self.store, self.kernel_for, f"hand-{self.decisions}", now_ms, {})
        try:
            await resolve(hand, "x", decision)
        except LostRace:
            # It is a dead worker's for as long as its lease runs.
            await asyncio.sleep(Times().lease_ms / 1000)

    async def send(self, driver: JournalDriver, signal_id: str) -> None:
        """Send a signal until that is acknowledged, in whichever life."""
        sent = self.unsent[signal_id]
        await asyncio.sleep(sent.after_ms / 1000)
        if isinstance(sent, Sent):
            await driver.signal("x", sent.name, sent.payload, signal_id)
        else:
            decided = ApprovalDecided(sent.step, sent.decision, sent.by, "so", [], 0)
            await driver.decide("x", decided, signal_id)
        del self.unsent[signal_id]

    async def death(self) -> None:
        assert self.store.died is not None
        await self.store.died.wait()


def survive(
    document: Any, seed: int, lives: int, kernel_for: Callable[[Plan], Kernel] = Kernel
) -> tuple[History, World]:
    lot = Random(seed)

    async def main() -> tuple[History, World]:
        world = World(plan_of(document), lot, signals_of(document), kernel_for)
        return await world.live_through(lives), world

    return run_virtually(main())


def drawn(seed: int, wishes: Wishes) -> Any:
    return document_by(Random(seed), wishes)


def decided_beforehand(part: Any) -> Any:
    """Return a document whose unsafe calls are repeated, as those of other effects are."""
    if isinstance(part, list):
        return [decided_beforehand(one) for one in part]
    if not isinstance(part, dict):
        return part
    whole = {name: decided_beforehand(one) for name, one in part.items()}
    return whole | ({"on_unknown": "retry"} if part.get("effect") == "unsafe" else {})


@pytest.mark.parametrize("block", range(10))
def test_deaths_do_not_change_how_it_ends(block: int) -> None:
    deaths = 0
    for seed in range(block * 20, block * 20 + 20):
        document = decided_beforehand(drawn(seed, ORDERLY))
        sent = signals_of(document)
        expected = Simulation(plan_of(document), play, input=GIVEN, signals=sent).run()
        history, world = survive(document, seed, lives=4)
        deaths += world.store.deaths
        assert history.summary.standing.status == expected.status, seed
        end = load_turn(history.entries[-1].body)[-1]
        output = end.output if isinstance(end, ExecutionCompleted) else None
        assert output == expected.output, seed
    assert deaths > 10


class Brief(Kernel):
    """Finds every history too long."""

    def is_long(self, x: Execution) -> bool:
        return True


@pytest.mark.parametrize("block", range(5))
def test_histories_that_begin_anew_do_not_change_how_it_ends(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However large the state is: most of these documents are small.
    monkeypatch.setattr(anew, "SHARE_MAX", 1_000)
    deaths = begun_count = 0
    for seed in range(block * 20, block * 20 + 20):
        document = decided_beforehand(drawn(seed, ORDERLY))
        sent = signals_of(document)
        expected = Simulation(plan_of(document), play, input=GIVEN, signals=sent).run()
        history, world = survive(document, seed, 4, Brief)
        deaths += world.store.deaths
        begun_count += world.store.begun_count
        assert history.summary.standing.status == expected.status, seed
        end = load_turn(history.entries[-1].body)[-1]
        output = end.output if isinstance(end, ExecutionCompleted) else None
        assert output == expected.output, seed
    assert deaths > 10
    assert begun_count > 20


@pytest.mark.parametrize("block", range(10))
def test_whatever_dies_when_it_ends_and_repeats_only_what_was_under_way(
    block: int,
) -> None:
    deaths = 0
    for seed in range(block * 20, block * 20 + 20):
        history, world = survive(drawn(seed, ANYTHING), seed, lives=4)
        deaths += world.store.deaths
        assert history.summary.standing.status in TERMINAL, seed
        made = Counter((call.step, call.attempt) for call in world.calls.made)
        assert all(count <= 1 + world.store.deaths for count in made.values())
        keys: dict[tuple[str, int], set[str | None]] = {}
        for call in world.calls.made:
            keys.setdefault((call.step, call.attempt), set()).add(call.idempotency_key)
        assert all(len(known) == 1 for known in keys.values()), seed
    assert deaths > 10


def all_unsafe(part: Any) -> Any:
    """Return a document whose calls are unsafe; then no group may be tried again."""
    if isinstance(part, list):
        return [all_unsafe(one) for one in part]
    if not isinstance(part, dict):
        return part
    whole = {name: all_unsafe(one) for name, one in part.items()}
    if part.get("type") in SCOPED:
        whole.pop("retry", None)
        whole.pop("item_retry", None)
    return whole | ({"effect": "unsafe"} if "request" in part else {})


def test_no_unsafe_call_is_repeated_unless_somebody_says_so() -> None:
    decisions = 0
    # About one in ten of these documents meets a death in the middle of such a call.
    for seed in range(120):
        history, world = survive(all_unsafe(drawn(seed, ANYTHING)), seed, lives=4)
        assert history.summary.standing.status in TERMINAL, seed
        made = Counter((call.step, call.attempt) for call in world.calls.made)
        assert set(made.values()) <= {1}, seed
        decisions += world.decisions
    assert decisions > 8

"""What the store refuses of one execution, and how much one may keep there at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from plait.drivers.journal import JournalDriver, Start, is_at_rest
from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.kernel.events import CallCompleted, SignalReceived, WorkerLost
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.operations import Hand, resume
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done, Outcome
from plait.ports.journal import Append, Standing, StoreFull, StoreUnavailable, Summary
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.test_journal_doubt import Calls, NeverAnswered
from tests.unit.drivers.workers import a_while, driver_on

PLAN = plan_with(ask("a"), ask("b", "${a.response}"))
ERRORS: list[Callable[[], Exception]] = [
    lambda: StoreUnavailable("it is too large"),
    lambda: ValueError("nobody thought of this"),
]


class Choosy(MemoryStore):
    """Refuses to keep some kinds of event."""

    def __init__(self, error: Callable[[], Exception], *kinds: type) -> None:
        super().__init__()
        self.error = error
        self.kinds = kinds
        self.refusals = 0
        self.is_away = False

    async def append(self, append: Append) -> None:
        self._reach()
        events = [load_turn(entry.body)[0] for entry in append.entries]
        if any(isinstance(event, self.kinds) for event in events):
            self.refusals += 1
            raise self.error()
        await super().append(append)

    async def take(self, worker_id: str, now_ms: int, execution_id: str) -> Summary:
        self._reach()
        return await super().take(worker_id, now_ms, execution_id)

    def _reach(self) -> None:
        if self.is_away:
            raise StoreUnavailable("away")


class Told(Calls):
    """Answers as `answers` says, by step and attempt; anything else never."""

    def __init__(self, made: list[Call], answers: dict[tuple[str, int], Outcome]) -> None:
        super().__init__(made)
        self.answers = answers

    def start(self, call: Call, done: Done) -> CallHandle:
        self.made.append(call)
        outcome = self.answers.get((call.step, call.attempt))
        after_s = 1e9 if outcome is None else 0.01
        return asyncio.get_running_loop().call_later(after_s, done, outcome or DONE)


DONE = CallReply(None, {})
FAILED = Failure("connector.http.503", "busy", advice=Advice.RETRY)


async def overtaken(
    plan: Plan, ann: dict[tuple[str, int], Outcome], bob: dict[tuple[str, int], Outcome]
) -> tuple[Standing, list[str]]:
    """Let Bob go on, and die, while Ann cannot record an answer; Ann takes it again.

    Returns:
        How it stands in the end, and the calls that both have made.
    """
    store, made = Choosy(ERRORS[0], CallCompleted), list[Call]()
    first = driver_on(store, "ann", Told(made, ann))
    await first.open()
    await first.start(plan, Start("x", None))
    await a_while(0.1)
    await store.leave("ann")  # as when she was frozen
    store.kinds = ()
    second = driver_on(store, "bob", Told(made, bob))
    await second.open()
    await a_while(0.05)
    await second.perish()
    await store.leave("bob")
    async with asyncio.timeout(60):
        ended = await first.ended("x", is_at_rest)
    await first.close()
    return ended.standing, [f"{one.step} {one.attempt}" for one in made]


async def standing(store: MemoryStore) -> Standing:
    return (await store.read("x")).summary.standing


@pytest.mark.parametrize("error", ERRORS)
def test_what_the_store_refuses_for_ever_is_quarantined_and_can_be_resumed(
    error: Callable[[], Exception],
) -> None:
    async def main() -> tuple[str | None, str, list[str]]:
        store, calls = Choosy(error, CallCompleted), Calls([])
        driver = driver_on(store, "w", calls)
        await driver.open()
        await driver.start(PLAN, Start("x", None))
        parked = (await driver.ended("x", is_at_rest)).standing.error_code
        await a_while(600)
        assert store.refusals < 10
        store.kinds = ()
        await resume(Hand(store, Kernel, "hand", driver.now_ms(), {}), "x")
        ended = await driver.ended("x")
        await driver.close()
        return parked, ended.standing.status, [one.step for one in calls.made]

    wanted = "execution.quarantined", "completed", ["a", "a", "b"]
    assert run_virtually(main()) == wanted


def test_what_others_have_quarantined_is_given_back_by_whoever_cannot_record_it() -> None:
    async def main() -> tuple[str | None, str | None, str]:
        store = Choosy(ERRORS[0], CallCompleted)
        ann = driver_on(store, "ann", Calls([]))
        await ann.open()
        await ann.start(PLAN, Start("x", None))
        await a_while(0.03)
        # As when Ann was frozen; what killed Bob is put down to the execution.
        await store.leave("ann")
        bob = driver_on(store, "bob", NeverAnswered([]), deaths_max=1)
        await bob.open()
        async with asyncio.timeout(60):
            parked = await ann.ended("x", is_at_rest)
        await a_while(600)
        assert store.refusals < 10
        row = (await store.read("x")).summary
        store.kinds = ()
        await resume(Hand(store, Kernel, "hand", ann.now_ms(), {}), "x")
        await bob.close()
        ended = await ann.ended("x")
        await ann.close()
        return parked.standing.error_code, row.owner, ended.standing.status

    assert run_virtually(main()) == ("execution.quarantined", None, "completed")


def test_an_answer_for_one_in_quarantine_is_kept_and_nobody_acts_on_it() -> None:
    async def main() -> tuple[str | None, str | None, list[str]]:
        store, made = Choosy(ERRORS[0], CallCompleted), list[Call]()
        ann = driver_on(store, "ann", Calls(made))
        await ann.open()
        await ann.start(PLAN, Start("x", None))
        await a_while(0.03)
        await store.leave("ann")  # as when she was frozen, with her answer
        bob = driver_on(store, "bob", NeverAnswered(made), deaths_max=1)
        await bob.open()
        async with asyncio.timeout(60):
            while not (await standing(store)).error_code:
                await a_while(0.001)
        store.kinds = ()
        await a_while(60)
        kept = await store.read("x")
        await resume(Hand(store, Kernel, "hand", ann.now_ms(), {}), "x")
        await ann.ended("x")
        await bob.close()
        await ann.close()
        last = type(load_turn(kept.entries[-1].body)[0]).__name__
        return kept.summary.standing.error_code, last, [one.step for one in made]

    wanted = "execution.quarantined", "CallCompleted", ["a", "b"]
    assert run_virtually(main()) == wanted


def test_who_waited_for_the_store_repeats_no_unsafe_call_that_another_has_made() -> None:
    plan = plan_with(ask("a"), ask("b", "${a.response}", effect="unsafe"))
    answers: dict[tuple[str, int], Outcome] = {("a", 1): DONE}
    ended, made = run_virtually(overtaken(plan, {**answers, ("b", 1): DONE}, answers))
    assert ended.error_code == "step.outcome_unknown"
    assert made == ["a 1", "a 1", "b 1"]


@pytest.mark.parametrize("anns", [{}, {("b", 1): FAILED}])
def test_who_waited_for_the_store_goes_on_with_the_attempt_that_another_has_begun(
    anns: dict[tuple[str, int], Outcome],
) -> None:
    plan = plan_with(ask("a"), ask("b", retry={"delay": "1ms"}), ask("c", depends_on=["b"]))
    bobs: dict[tuple[str, int], Outcome] = {("a", 1): DONE, ("b", 1): FAILED}
    later: dict[tuple[str, int], Outcome] = {("b", 2): DONE, ("c", 1): DONE}
    ended, made = run_virtually(overtaken(plan, {("a", 1): DONE, **anns, **later}, bobs))
    assert ended.status == "completed"
    assert made == ["a 1", "b 1", "a 1", "b 1", "b 2", "b 2", "c 1"]


@pytest.mark.parametrize("after_s", [0.1, 2.0, 120.0])
@pytest.mark.parametrize("error", ERRORS)
def test_a_wish_to_cancel_does_not_wait_behind_what_is_refused(
    error: Callable[[], Exception], after_s: float
) -> None:
    async def main() -> tuple[str, bool]:
        store = Choosy(error, CallCompleted)
        driver = driver_on(store, "w", Calls([]))
        await driver.open()
        await driver.start(PLAN, Start("x", None))
        await a_while(after_s)
        asked_at_ms = driver.now_ms()
        await driver.cancel("x", "enough", "m")
        ended = await driver.ended("x")
        took_ms = driver.now_ms() - asked_at_ms
        await driver.close()
        return ended.standing.status, took_ms < 6_000

    assert run_virtually(main()) == ("cancelled", True)


def test_a_signal_that_is_refused_for_ever_fills_no_history() -> None:
    paid: Any = {"id": "paid", "type": "wait", "event": {"name": "paid"}}

    async def main() -> tuple[int, str]:
        store = Choosy(ERRORS[0], SignalReceived)
        driver = driver_on(store, "w", Calls([]))
        await driver.open()
        await driver.start(plan_with(paid), Start("x", None))
        await driver.signal("x", "paid", 7, "s")
        await a_while(600)
        entries = (await store.read("x")).entries
        lost = [one for one in entries if isinstance(load_turn(one.body)[0], WorkerLost)]
        await driver.cancel("x", "enough", "m")
        ended = await driver.ended("x")
        await driver.close()
        return len(lost), ended.standing.status

    assert run_virtually(main()) == (1, "cancelled")


@pytest.mark.parametrize("kind", ["away", "full"])
def test_a_store_that_is_away_or_full_for_long_fails_nothing(kind: str) -> None:
    async def main() -> tuple[str | None, str, list[str]]:
        store, calls = Choosy(lambda: StoreFull("full"), CallCompleted), Calls([])
        driver = driver_on(store, "w", calls)
        await driver.open()
        await driver.start(PLAN, Start("x", None))
        store.is_away = kind == "away"
        await a_while(3_600)
        store.is_away = False
        meanwhile = (await standing(store)).error_code
        store.kinds = ()
        ended = await driver.ended("x")
        await driver.close()
        return meanwhile, ended.standing.status, [one.step for one in calls.made]

    assert run_virtually(main()) == (None, "completed", ["a", "b"])


@pytest.mark.parametrize("is_taken_up", [False, True])
def test_an_execution_whose_history_grows_too_large_fails_alone(is_taken_up: bool) -> None:
    pings = [
        ask(f"p{n}", "x" * 500, depends_on=[f"p{n - 1}"] if n else []) for n in range(40)
    ]

    def limited(store: MemoryStore, name: str, bytes_max: int) -> JournalDriver:
        clock = asyncio.get_running_loop().time
        return JournalDriver(
            store,
            Calls([]),
            Kernel,
            worker_id=name,
            history_bytes_max=bytes_max,
            wall_clock_s=clock,
        )

    async def main() -> None:
        store = MemoryStore()
        driver = limited(store, "w", 10_000)
        await driver.open()
        await driver.start(PLAN, Start("y", None))
        await driver.start(plan_with(*pings), Start("x", None))
        if is_taken_up:
            await a_while(0.05)
            await driver.close()
            driver = limited(store, "w2", 10_000)
            await driver.open()
        failed = (await driver.ended("x")).standing
        assert (failed.status, failed.error_code) == ("failed", "limit.history")
        history = await store.read("x")
        assert 10_000 < sum(len(one.body) for one in history.entries) < 12_000
        assert (await driver.ended("y")).standing.status == "completed"
        await driver.close()
        await resume(Hand(store, Kernel, "hand", driver.now_ms(), {}), "x")
        larger = limited(store, "w3", 100_000)
        await larger.open()
        assert (await larger.ended("x")).standing.status == "completed"
        await larger.close()

    run_virtually(main())

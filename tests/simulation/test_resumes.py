"""What failed goes on, and fails again or not, the same for all: random documents, deaths.

Histories begin anew at random turns, so steps of all kinds are under way then.
"""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from plait.drivers.journal import anew, replay, verify
from plait.drivers.journal.resuming import NotResumable, WasUndone
from plait.kernel import Execution, Kernel
from plait.kernel.codec import load_turn
from plait.kernel.events import HistoryBegun
from plait.operations import Hand, resume
from plait.plan import Plan
from plait.ports.journal import TERMINAL
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import plan_of
from tests.simulation.documents import ANYTHING
from tests.simulation.test_durable import World, decided_beforehand, drawn
from tests.simulation.walking import signals_of


def brief(lot: Random) -> type[Kernel]:
    """Return a kernel that finds any history too long, now and then."""

    class Brief(Kernel):
        def is_long(self, x: Execution) -> bool:
            return lot.random() < 0.3

    return Brief


async def resumed(world: World, number: int) -> str:
    """Resume the execution; let workers die over it; return what came of it."""
    now_ms = int(asyncio.get_running_loop().time() * 1000)
    hand = Hand(world.store, world.kernel_for, f"resume-{number}", now_ms, {})
    try:
        await resume(hand, "x")
    except (NotResumable, WasUndone) as refused:
        return refused.code
    history = await world.live_through(2)
    verify(history)
    told = replay(history, Kernel(world.plan), {})
    assert told.state.end is not None
    return history.summary.standing.status


@pytest.mark.parametrize("block", range(5))
def test_an_execution_is_resumed_the_same_by_whoever_takes_over(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anew, "SHARE_MAX", 1_000)
    went_on = from_state = 0
    for seed in range(block * 40, block * 40 + 40):
        lot = Random(seed)
        document = decided_beforehand(drawn(seed, ANYTHING))
        plan: Plan = plan_of(document)
        world = World(plan, lot, signals_of(document), brief(lot))

        async def main(world: World = world, seed: int = seed) -> tuple[int, int]:
            history = await world.live_through(1)
            went_on = from_state = 0
            for number in range(3):
                if history.summary.standing.status != "failed":
                    break
                is_anew = isinstance(load_turn(history.entries[0].body)[0], HistoryBegun)
                outcome = await resumed(world, number)
                if outcome.startswith("execution."):
                    break
                assert outcome in TERMINAL, seed
                went_on, from_state = went_on + 1, from_state + is_anew
                history = await world.store.read("x")
            return went_on, from_state

        one, other = run_virtually(main())
        went_on, from_state = went_on + one, from_state + other
    assert went_on > 10
    assert from_state > 5

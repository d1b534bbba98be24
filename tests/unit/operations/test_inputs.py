"""Inputs that come from others: they fit the schema, and have its defaults."""

from __future__ import annotations

from typing import Any

import pytest

from plait.drivers.inputs import InvalidInput
from plait.drivers.journal import JournalDriver, Start
from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.operations import Fork, Hand, fork, restart
from plait.ports.journal import Search
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.test_journal_doubt import Calls

SCHEMA: Any = {"properties": {"n": {"type": "integer"}, "m": {"default": 7}}}
PLAN = plan_with(ask("a"), ask("b", "${a.response}"), input=SCHEMA)
NEWER = plan_with(ask("a"), ask("b", "${input.m}"), input={**SCHEMA, "required": ["n"]})


async def ended(given: Any) -> Hand:
    store = MemoryStore()
    driver = JournalDriver(store, Calls([]), Kernel, worker_id="w")
    await driver.open()
    await driver.start(PLAN, Start("x", given))
    await driver.ended("x")
    await driver.close()
    return Hand(store, Kernel, "hand", driver.now_ms(), {})


async def input_of(hand: Hand, execution_id: str) -> Any:
    return load_turn((await hand.store.read(execution_id)).entries[0].body)[0].input  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        (Fork("x", "b"), {"n": 1, "m": 7}),
        (Fork("x", "b", {"n": 2}, True), {"n": 2, "m": 7}),
        (Fork("x", "b", {"n": 2, "m": 3}, True, NEWER), {"n": 2, "m": 3}),
    ],
)
def test_a_fork_has_the_defaults(wanted: Fork, given: Any) -> None:
    async def main() -> Any:
        hand = await ended({"n": 1})
        await fork(hand, wanted, "y")
        return await input_of(hand, "y")

    assert run_virtually(main()) == given


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ({"n": 1}, Fork("x", "b", {"n": "many"}, True)),
        ({"m": 1}, Fork("x", "b", plan=NEWER)),
    ],
)
def test_a_fork_whose_input_does_not_fit_is_refused(before: Any, wanted: Fork) -> None:
    async def main() -> tuple[list[str], int]:
        hand = await ended(before)
        with pytest.raises(
            InvalidInput, match="does not fit workflow 'test': /n: "
        ) as told:
            await fork(hand, wanted, "y")
        paths = [str(one["path"]) for one in told.value.violations]
        return paths, len(await hand.store.find(Search()))

    assert run_virtually(main()) == (["/n"], 1)


def test_a_restart_has_the_defaults_and_its_input_fits() -> None:
    async def main() -> Any:
        hand = await ended({"n": 1})
        await restart(hand, "x", "y")
        unfit = await ended({"n": "many"})
        with pytest.raises(InvalidInput):
            await restart(unfit, "x", "y")
        return await input_of(hand, "y")

    assert run_virtually(main()) == {"n": 1, "m": 7}

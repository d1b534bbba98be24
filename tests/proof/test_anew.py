"""Deaths at each write of a loop whose history begins anew, and bugs that they find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from plait.kernel.codec import load_turn
from plait.kernel.events import ExecutionCompleted, HistoryBegun
from plait.kernel.snapshot import Snapshots
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.ports.journal import Append
from plait.stores.memory import MemoryStore
from plait.testing.durable import Work
from plait.testing.durable.trials import Crash, Position, Trial, trial
from plait.testing.script import Answer
from tests.proof.plants import patched
from tests.simulation.asking import ask, plan_with

ROUNDS = 40
GIVEN: Any = {"names": ["n" * 200] * 10}


def work() -> Work:
    each = ask("x", "${input.names[0] + string(iteration)}", effect="keyed")
    loop = {"id": "l", "type": "while", "steps": [each], "delay": "20ms"}
    loop |= {"timeout": "1h"}
    return Work(
        plan_with(
            {**loop, "while": f"${{iteration < {ROUNDS}}}"},
            output="${l.response.iterations}",
        ),
        GIVEN,
        is_steady=True,
    )


def answered(call: Any) -> Answer:
    return Answer({"of": "-" * 400}, {}, None, after_ms=5)


def lived(*crashes: Crash) -> Trial:
    return trial(work(), answered, crashes=crashes)


def wrong_in(found: Trial) -> list[str]:
    """Return what is not as without deaths."""
    wrong = list(found.broken)
    if found.history is None:
        return [*wrong, "it is not there"]
    end = load_turn(found.history.entries[-1].body)[-1]
    if not isinstance(end, ExecutionCompleted) or end.output != ROUNDS:
        wrong.append(f"it came to {end}")
    made = [reached.call.step for reached in found.calls]
    if list(dict.fromkeys(made)) != [f"l[{number}]/x" for number in range(ROUNDS)]:
        wrong.append("its calls are others")
    if len(made) > ROUNDS + found.fired:
        wrong.append(f"{len(made)} calls were made")
    return wrong


def begun_at() -> list[int]:
    """Return the writes, from 1, with which the history begins anew."""
    writes = lived().writes
    places = enumerate(writes, start=1)
    return [place for place, events in places if isinstance(events[0], HistoryBegun)]


def test_the_history_begins_anew_more_than_once() -> None:
    found = lived()
    assert wrong_in(found) == []
    assert len(begun_at()) >= 2
    assert found.history is not None
    assert len(found.history.entries) < found.history.summary.length / 2


@pytest.mark.parametrize("position", list(Position))
def test_a_death_at_any_write_loses_and_doubles_nothing(position: Position) -> None:
    for nth in range(1, len(lived().writes)):
        found = lived(Crash(nth, position))
        assert (nth, wrong_in(found), found.fired) == (nth, [], 1)


@pytest.mark.parametrize("first", list(Position))
@pytest.mark.parametrize("second", list(Position))
def test_two_deaths_around_a_new_beginning_lose_and_double_nothing(
    first: Position, second: Position
) -> None:
    for nth in begun_at():
        for later in (1, 2, 3):
            assert wrong_in(lived(Crash(nth, first), Crash(later, second))) == []


sound_take, sound_append = Snapshots.take, MemoryStore.append


def take_without(part: str) -> Callable[..., JsonObject]:
    def take(self: Snapshots, *given: Any) -> JsonObject:
        return {**sound_take(self, *given), part: []}

    return take


def take_another_moment(self: Snapshots, *given: Any) -> JsonObject:
    saved = sound_take(self, *given)
    return {**saved, "timer_count": 0}


async def append_and_keep(self: MemoryStore, append: Append) -> None:
    before = (await self.read(append.execution_id)).entries
    await sound_append(self, append)
    if append.begins_history:
        self._histories[append.execution_id].entries[:0] = before


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        pytest.param(Snapshots, "take", take_without("timers"), id="forgets timers"),
        pytest.param(Snapshots, "take", take_without("calls"), id="forgets calls"),
        pytest.param(MemoryStore, "append", append_and_keep, id="drops nothing"),
        pytest.param(Snapshots, "take", take_another_moment, id="counts timers anew"),
    ],
)
def test_the_planted_bug_is_caught(owner: Any, name: str, broken: Any) -> None:
    places = [nth + later for nth in begun_at() for later in (0, 3, 4)]
    with patched(owner, name, broken):
        assert any(is_caught(Crash(nth, one)) for nth in places for one in Position)


def is_caught(crash: Crash) -> bool:
    try:
        return bool(wrong_in(lived(crash)))
    except PlaitError:
        return True

"""State machines do what the language page says, also with workers and memories lost."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from plait.drivers.journal import anew
from plait.kernel import Kernel
from plait.kernel.events import SignalRefused, StateEntered
from plait.ports.journal import TERMINAL
from plait.testing import Simulated, Simulation
from tests.simulation.asking import plan_of, play
from tests.simulation.machines import Ended, Model, machine_by
from tests.simulation.reckoning import Ambiguous
from tests.simulation.test_durable import Brief, survive
from tests.simulation.test_snapshots import Watched, ended, met_in
from tests.simulation.walking import signals_of

MACHINES = 60


def simulated(document: Any) -> Simulated:
    return Simulation(plan_of(document), play, signals=signals_of(document)).run()


def told(result: Simulated) -> Any:
    """Return how it ended, as the model says it."""
    if result.failure is None:
        return "completed", result.output
    code = result.failure.code
    if code == "execution.timeout":
        return "failed", code
    is_value = code.startswith("expression.")
    return "failed", "expression" if is_value else (code, result.failure.step)


@pytest.mark.parametrize("block", range(10))
def test_a_machine_goes_the_way_that_its_document_says(block: int) -> None:
    met: Counter[str] = Counter()
    for seed in range(block * MACHINES, block * MACHINES + MACHINES):
        document = machine_by(Random(seed))
        model = Model(document)
        try:
            end: Ended = model.run()
        except Ambiguous:
            met["ambiguous"] += 1
            continue
        result = simulated(document)
        entered = [one for one in result.events if isinstance(one, StateEntered)]
        refused = [one for one in result.events if isinstance(one, SignalRefused)]
        assert [one.state for one in entered] == model.course, seed
        assert [one.signal_id for one in refused] == model.refused, seed
        assert (told(result), result.elapsed_ms) == ((end.kind, end.payload), model.now), (
            seed
        )
        met.update(
            [str(end.kind), "refused" if refused else "", f"{len(model.course) > 4}"]
        )
        met.update([str(end.payload)] if isinstance(end.payload, str) else ())
    assert met["ambiguous"] < MACHINES / 3
    wanted = ("completed", "failed", "refused", "True", "execution.timeout", "expression")
    assert all(met[one] for one in wanted), met


def test_a_machine_that_goes_on_from_snapshots_concludes_the_same() -> None:
    met: set[str] = set()
    for seed in range(250):
        document = machine_by(Random(seed))
        through = ended(Watched(document), seed, 0.0)
        sim = Watched(document)
        lot = Random(seed)
        while sim.state.end is None:
            met |= met_in(sim.state)
            sim.begin_anew()
            sim.go_on(lot)
        assert sim.events == through.events, seed
        assert sim.calls == through.calls, seed
    assert {"Position", "waiting", "mailbox", "calls", "timers"} <= met


@pytest.mark.parametrize("kernel_for", [Kernel, Brief])
def test_a_machine_outlives_its_workers_and_makes_no_call_twice_without_need(
    kernel_for: type[Kernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anew, "SHARE_MAX", 1_000)
    deaths = begun_count = 0
    for seed in range(40):
        history, world = survive(machine_by(Random(seed)), seed, 4, kernel_for)
        deaths += world.store.deaths
        begun_count += world.store.begun_count
        assert history.summary.standing.status in TERMINAL, seed
        made = Counter((call.step, call.attempt) for call in world.calls.made)
        assert all(count <= 1 + world.store.deaths for count in made.values())
        keys = {(call.step, call.idempotency_key) for call in world.calls.made}
        assert len(keys) == len({call.step for call in world.calls.made}), seed
    assert deaths > 20
    assert (begun_count > 20) == (kernel_for is Brief)

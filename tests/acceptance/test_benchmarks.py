"""The benchmarks still measure what they say; their figures are never tested."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fan_out as fan_outs
from benchmarks import plot
from benchmarks.documents import (
    CONDITION,
    UNLIMITED,
    as_json,
    as_yaml,
    chain,
    composite,
    fan_out,
)
from benchmarks.durable import finished, load, raw_peer, restart, scale, targets
from benchmarks.kernel import execution_s
from benchmarks.resilience import plait_side, sampling
from plait.assembly import compose
from plait.compile import compile_text
from plait.plan import Plan
from plait.resilience import CircuitOpen

ROOT = Path(__file__).resolve().parents[2]


def compiled(text: bytes, name: str) -> Plan:
    return compile_text(text, name=name, catalog=compose.catalog(), limits=UNLIMITED).plan


def edges(plan: Plan) -> list[tuple[int, ...]]:
    return [node.deps for node in plan.scope.nodes]


@pytest.mark.parametrize("condition", [None, CONDITION])
def test_chain_waits_for_every_step_and_fan_out_for_none(condition: str | None) -> None:
    in_a_row = compiled(as_json(chain(4, condition)), "chain.json")
    at_once = compiled(as_json(fan_out(4, condition)), "fan-out.json")
    assert edges(in_a_row) == [(), (0,), (1,), (2,)]
    assert edges(at_once) == [(), (), (), ()]
    assert execution_s(in_a_row) > 0
    assert execution_s(at_once) > 0


@pytest.mark.parametrize("step", fan_outs.STEPS.values(), ids=["computed", "called"])
def test_a_fan_out_is_measured_to_its_end(step: dict[str, Any]) -> None:
    taken_s = fan_outs.measured(step, 20)
    assert len(taken_s) == fan_outs.RUNS
    assert min(taken_s) > 0


def test_yaml_and_json_of_a_document_give_the_same_graph() -> None:
    document = chain(5, CONDITION)
    from_json = compiled(as_json(document), "x.json")
    from_yaml = compiled(as_yaml(document), "x.yaml")
    assert edges(from_json) == edges(from_yaml)
    assert [n.id for n in from_json.scope.nodes] == [n.id for n in from_yaml.scope.nodes]


def test_many_workflows_differ_from_each_other() -> None:
    hashes = {compiled(as_json(composite(n)), "x.json").content_hash for n in range(3)}
    assert len(hashes) == 3


def peer(name: str, per_s: float) -> dict[str, Any]:
    return {"name": name, "title": f"<{name}>", "per_s_median": per_s, "p99_ms_median": 2.0}


def test_chart_is_well_formed_and_its_bars_are_in_proportion() -> None:
    machine = {"processor": "a&b", "cores": 2, "system": "Linux", "python": "3.11"}
    results = {
        "taken_at": "2026-01-01T00:00:00",
        "machine": machine,
        "settings": {"connections": 32, "rounds": 5},
        "peers": [peer("slow", 50.0), peer("plait", 200.0)],
    }
    chart = ET.fromstring(plot.draw(results))
    bars = chart.findall("{http://www.w3.org/2000/svg}rect")
    assert [bar.get("class") for bar in bars] == ["own", "other"]
    widths = [float(bar.get("width", "0")) for bar in bars]
    assert widths[0] == pytest.approx(4 * widths[1])


def test_durable_chart_compares_what_ran_the_same_and_leaves_the_raw_limit_out() -> None:
    machine = {"processor": "a&b", "cores": 2, "system": "Linux", "python": "3.11"}
    figure = {"per_s_median": 100.0, "p50_ms_median": 2.0}
    peers = {
        "Plait, SQLite": figure,
        "Restate": {"per_s_median": 50.0, "p50_ms_median": None},
        "raw limit of SQLite": {"per_s_median": 9_000.0, "p50_ms_median": None},
    }
    results = {
        "taken_at": "2026-01-01T00:00:00",
        "machine": machine,
        "settings": {"rounds": 5},
        "figures": {"w3n x 64": peers, "w3n x 1": peers},
    }
    chart = ET.fromstring(plot.draw_durable(results))
    bars = chart.findall("{http://www.w3.org/2000/svg}rect")
    assert [bar.get("class") for bar in bars] == ["own", "other"]
    widths = [float(bar.get("width", "0")) for bar in bars]
    assert widths[0] == pytest.approx(2 * widths[1])


def test_charts_are_drawn_of_what_was_measured(tmp_path: Path) -> None:
    assert plot.main(tmp_path, tmp_path / "charts") == 1
    machine = {"processor": "a", "cores": 2, "system": "Linux", "python": "3.11"}
    found = {"taken_at": "2026-01-01", "machine": machine, "settings": {"rounds": 1}}
    (tmp_path / "durable.json").write_text(json.dumps({**found, "figures": {}}))
    assert plot.main(tmp_path, tmp_path / "charts") == 0
    assert [path.name for path in (tmp_path / "charts").iterdir()] == ["durable.svg"]


def test_unknown_benchmark_is_refused_with_the_known_names() -> None:
    command = [sys.executable, "-m", "benchmarks", "speed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no benchmark is called speed: aggregate, durable" in done.stderr


def test_a_durable_sample_tells_what_the_raw_limit_has_to_write(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.durable.plait_peer", "--workflow", "w3n"]
    command += ["--in-flight", "4", "--seconds", "0.3", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    assert figures["per_s"] > 0
    # The start and three results, each durable before what follows from it.
    assert 3.5 < figures["entries_per_workflow"] <= 4
    # Never more than one of each of the four that are in flight.
    assert 0.5 < figures["entries_per_commit"] <= 4
    raw = raw_peer.run(tmp_path, 0.1, figures)
    assert raw["per_s"] > 0


class Clock:
    """Stands still until it is told to go on."""

    now = 100.0

    def perf_counter(self) -> float:
        """See time.perf_counter."""
        return self.now


def window(monkeypatch: pytest.MonkeyPatch) -> load.Window:
    monkeypatch.setattr(load, "time", Clock())
    return load.Window(load.Wish("w3n", 2, 4.0, Path(), 1, ""))


def test_what_ends_is_counted_once_as_many_have_ended_as_are_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = window(monkeypatch)
    counted.note(100.0, 101.0)
    counted.note(100.0, 102.0)  # the window is now from 102 to 106
    counted.note(101.0, 102.5)
    counted.note(102.0, 105.5)
    counted.note(102.5, 106.5)
    assert counted.figures() == {"per_s": 2 / 4.0, "p50_ms": 2_500.0}
    assert counted.is_over(106.0)
    assert not counted.is_over(105.9)


def test_who_ends_nothing_has_a_window_and_no_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = window(monkeypatch)
    assert not counted.is_over(100.0 + load.WARM_UP_S_MAX + 3.9)
    assert counted.is_over(100.0 + load.WARM_UP_S_MAX + 4.0)
    assert counted.figures() == {"per_s": 0.0, "p50_ms": None}


def test_each_target_is_told_with_what_was_reached_or_that_nothing_was_measured() -> None:
    medians = {
        "w3n x 64": {
            "Plait, SQLite": {"per_s_median": 2_000.0},
            "DBOS, SQLite": {"per_s_median": 50.0},
            "Restate": {"per_s_median": 500.0},
            "raw limit of SQLite": {"per_s_median": 0.0},
        },
        "w3n x 1": {"Plait, SQLite": {"per_s_median": 9.0, "p50_ms_median": 2.5}},
    }
    told = targets.lines(targets.reached(medians)).splitlines()
    assert told == [
        "w3n x 64: Plait, SQLite / DBOS, SQLite: asked >= 20, reached 40: met",
        "w3n x 64: Plait, PostgreSQL / DBOS, PostgreSQL: asked >= 10, not measured",
        "w3n x 64: Plait, SQLite / Restate: asked >= 5, reached 4: NOT met",
        "w3 x 64: Plait, SQLite / Restate: asked >= 3, not measured",
        "w3n x 64: Plait, SQLite / Restate, 1 partition: asked nothing, not measured",
        "w3 x 64: Plait, SQLite / Restate, 1 partition: asked nothing, not measured",
        "w3n x 64: Plait, SQLite / raw limit of SQLite: asked >= 0.25, not measured",
        "w3n x 1: Plait, SQLite, p50 ms: asked <= 3, reached 2.5: met",
    ]


async def test_copies_in_a_full_store_are_rows_like_those_of_what_has_run(
    tmp_path: Path,
) -> None:
    await finished.fill(tmp_path, 3)
    connection = sqlite3.connect(tmp_path / finished.FILE)
    found = [
        connection.execute(
            "SELECT e.workflow, e.plan_hash, e.created_at_ms, length(e.id), s.status,"
            " s.at_ms, s.wake_at_ms, s.length, s.epoch, s.owner, s.lane_state,"
            " (SELECT sum(length(body)) FROM entries n WHERE n.execution = e.number)"
            " FROM executions e JOIN standings s ON s.execution = e.number"
            " WHERE e.number = ?",
            (number,),
        ).fetchone()
        for number in (1, 2, 3, 4)
    ]
    connection.close()
    ran, *copies, none = found
    assert ran[4] == "completed"
    assert copies == [ran, ran]
    assert none is None


def test_sides_are_compared_within_each_round() -> None:
    rounds = [[10.0, 12.0], [100.0, 110.0], [20.0, 26.0]]
    assert scale.compared((1, 50), rounds) == {
        "1": {"us": 20.0, "us_lowest": 10.0, "times": 1.0},
        "50": {"us": 26.0, "us_lowest": 12.0, "times": 1.2},
    }


@pytest.mark.slow
async def test_what_a_killed_gateway_ran_goes_on_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restart, "IN_FLIGHT", 3)
    again_s, on_s = await restart.restart_s("")
    assert 0 < again_s <= on_s


async def test_policies_are_measured_in_the_state_that_their_case_names() -> None:
    for name, make in plait_side.CASES.items():
        call = await make()
        if name == sampling.REFUSED:
            with pytest.raises(CircuitOpen):
                await call()
        else:
            await call()

"""The benchmarks still measure what they say; their figures are never tested."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

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
from benchmarks.durable import raw_peer
from benchmarks.kernel import execution_s
from plait.assembly import compose
from plait.compile import compile_text
from plait.plan import Plan

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
    raw = raw_peer.run(tmp_path, 0.1, figures)
    assert raw["per_s"] > 0

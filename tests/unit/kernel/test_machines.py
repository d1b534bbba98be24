"""Machines: a new node kind is a new machine and a step model, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar, Literal

import pytest

import plait.kernel.machines as machines_package
from plait.compile import compile_text
from plait.document import Catalog
from plait.document.fields import Steps, Templated
from plait.document.step import Parts, ScopePart, Step, TemplatePart
from plait.kernel.machine import Machine, Offers
from plait.kernel.machines import built_in_machines
from plait.kernel.state import Execution, Frame, Run
from plait.model.json import JsonObject, JsonValue
from plait.testing import Simulation

FOUR_TIMES = b"""
name: doubled
steps:
  - id: every
    type: repeated
    times: ${input.times}
    steps:
      - {id: one, type: set, value: x}
"""


class RepeatedStep(Step):
    """Run steps several times over, one round after the other."""

    machine: ClassVar[str] = "repeated"

    type: Literal["repeated"]
    times: Templated
    steps: Steps

    def parts(self, raw: JsonObject) -> Parts:
        """One template, one scope."""
        del raw
        return Parts((TemplatePart("times", ("times",)),), (ScopePart("steps", ()),))


class RepeatedMachine(Machine):
    """Counts rounds in the run's memory."""

    name: ClassVar[str] = "repeated"

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Begin the first round."""
        times = run.node.templates["times"].render(run.frame.names)
        run.memory = {"left": times, "rounds": []}
        self.next_round(kernel, x, run)

    def next_round(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Begin a round, or end with what all have yielded."""
        rounds = run.memory["rounds"]
        if len(rounds) == run.memory["left"]:
            kernel.succeed(x, run, rounds)
            return
        kernel.open_frame(x, run, "steps", f"#{len(rounds) + 1}/")

    def on_frame_completed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, output: JsonValue
    ) -> None:
        """Note the round."""
        del frame
        run.memory["rounds"].append(output)
        self.next_round(kernel, x, run)


def test_a_new_kind_needs_a_step_model_and_a_machine_and_nothing_else() -> None:
    plan = compile_text(FOUR_TIMES, name="x.yaml", catalog=Catalog([RepeatedStep])).plan
    machines = {**built_in_machines(), "repeated": RepeatedMachine()}
    sim = Simulation(plan, {}, input={"times": 4}, machines=machines)
    assert sim.result().output == {"every": [{"one": "x"}] * 4}
    assert sim.result().status_of("every#4/one") == "completed"


def test_a_thousand_rounds_do_not_recurse() -> None:
    plan = compile_text(FOUR_TIMES, name="x.yaml", catalog=Catalog([RepeatedStep])).plan
    machines = {**built_in_machines(), "repeated": RepeatedMachine()}
    sim = Simulation(plan, {}, input={"times": 2_000}, machines=machines)
    assert sim.result().status == "completed"


def test_a_file_dropped_into_the_package_is_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
from plait.kernel.machine import Machine

class Dropped(Machine):
    name = "dropped"

MACHINE = Dropped()
"""
    (tmp_path / "dropped.py").write_text(text)
    monkeypatch.setattr(
        machines_package, "__path__", [*machines_package.__path__, str(tmp_path)]
    )
    built_in_machines.cache_clear()
    assert "dropped" in built_in_machines()
    built_in_machines.cache_clear()
    del sys.modules["plait.kernel.machines.dropped"]
    monkeypatch.delattr(machines_package, "dropped")


@pytest.mark.parametrize("name", sorted(built_in_machines()))
def test_every_machine_is_in_a_file_of_its_own_name(name: str) -> None:
    module = sys.modules[type(built_in_machines()[name]).__module__]
    assert module.__name__.rpartition(".")[2].rstrip("_") == name

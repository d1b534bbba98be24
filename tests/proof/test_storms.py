"""Rows 1 and 8 of the scorecard, in little: storms, and the bugs that they have to find."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.proof import storms
from tests.proof.plants import PLANTS, Plant
from tests.proof.scorecard import Scale
from tests.proof.works import weather

LITTLE = Scale(share=0.0)


def test_no_storm_breaks_a_promise_and_every_kind_of_fault_has_fired() -> None:
    outcome = storms.run(LITTLE)
    assert outcome.broken == []
    assert outcome.figures["executions"] > 500


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_repeats_exactly_in_another_process(seed: int) -> None:
    code = f"from tests.proof.works import weather; print(weather({seed}).fingerprint)"
    own = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=own, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == weather(seed).fingerprint


def test_another_seed_is_another_storm() -> None:
    assert weather(2).fingerprint != weather(6).fingerprint


@pytest.mark.parametrize("planted", PLANTS, ids=lambda planted: planted.name)
def test_the_planted_bug_is_caught(planted: Plant) -> None:
    seed, text = storms.catch(planted)
    assert text is not None, f"nothing found in {seed} seeds"


def test_there_are_fifteen_planted_bugs_and_more() -> None:
    assert len({planted.name for planted in PLANTS}) == len(PLANTS) >= 15

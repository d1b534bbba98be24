"""The same expression on the same names gives the same bytes, every time, everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.expression.cel_itself import evaluate
from tests.unit.expression.evaluations import EXPRESSIONS, NAMES, TIMES, lines, outcome

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_gives_the_same_each_of_fifty_times(expression: str) -> None:
    assert len({outcome(expression) for _ in range(TIMES)}) == 1


@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_with_another_hash_seed_gives_the_same(seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "src"}
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tests.unit.expression.evaluations"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
    )
    assert elsewhere.stdout.split(b"\n") == lines()


def test_the_library_alone_does_not_keep_keys_in_order() -> None:
    in_order = sorted(f"key{number}" for number in range(20))
    assert any(evaluate("m.map(k, k)", NAMES) != in_order for _ in range(TIMES))

"""Our evaluation of CEL agrees with the conformance cases of its specification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plait.expression import ExpressionError, TemplateErrors, parse_template
from plait.model.place import NOWHERE

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "cases.json").read_text())

# Expressions whose outcome differs from the specification's, each with the reason. Exact:
# a case that begins to agree must be taken off.
DISAGREEMENTS: dict[str, str] = {}

# What stands for a failure, at compile time or at run time.
FAILURE = ("failure", None)


def outcome(expression: str) -> tuple[str, object]:
    """Return the type and value of `expression`, or FAILURE."""
    try:
        value = parse_template(f"${{{expression}}}", lambda _: NOWHERE).render({})
    except (TemplateErrors, ExpressionError):
        return FAILURE
    return type(value).__name__, value


def expected(case: dict[str, Any]) -> tuple[str, object]:
    """Return what the specification says of `case`."""
    if case.get("error"):
        return FAILURE
    return type(case["value"]).__name__, case["value"]


def test_the_disagreements_are_exactly_those_that_are_listed() -> None:
    found = [c["expression"] for c in CASES if outcome(c["expression"]) != expected(c)]
    assert found == list(DISAGREEMENTS)


@pytest.mark.parametrize("group", sorted({case["group"] for case in CASES}))
def test_every_group_agrees_on_values_and_not_only_on_failures(group: str) -> None:
    values = [case for case in CASES if case["group"] == group and "value" in case]
    assert values
    assert all(outcome(case["expression"]) != FAILURE for case in values)


def test_the_corpus_is_whole() -> None:
    assert len(CASES) == 1_164
    assert sum(bool(case.get("error")) for case in CASES) == 86


@pytest.mark.parametrize(
    ("expression", "value"),
    [("1 + 1", 2), ("1.0", 1.0), ("[1, 'a', null]", [1, "a", None])],
)
def test_a_wrong_value_would_be_noticed(expression: str, value: object) -> None:
    assert outcome(expression) == (type(value).__name__, value)
    assert outcome(expression) != ("int", 3)

"""Definitions that come as JSON: their size is that of what was sent."""

from __future__ import annotations

from typing import Any

import pytest

from plait.document.limits import SourceLimits
from plait.operations.definitions import InvalidDefinition, compiles
from tests.unit.operations.deploying import CATALOG


def nested(width: int) -> Any:
    value = [[[1] * width]]
    return {"name": "w", "steps": [{"id": "a", "type": "set", "value": value}]}


async def test_a_definition_is_measured_without_indentation() -> None:
    plan_of = compiles(CATALOG, SourceLimits(bytes_max=1_000))
    assert (await plan_of(nested(400))).name == "w"
    with pytest.raises(InvalidDefinition, match="at most 1000"):
        await plan_of(nested(500))


async def test_what_is_wrong_with_a_short_definition_is_told_line_by_line() -> None:
    plan_of = compiles(CATALOG, SourceLimits())
    wrong: Any = {"name": "w", "steps": [{"id": "a", "type": "set", "valu": 1}]}
    with pytest.raises(InvalidDefinition) as caught:
        await plan_of(wrong)
    found: Any = caught.value.details["diagnostics"]
    assert {one["line"] for one in found} == {4, 7}

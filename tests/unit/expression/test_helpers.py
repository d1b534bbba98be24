"""Our own functions give the same for the same, on every machine, for ever."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest

from plait.expression import ExpressionError
from plait.expression.helpers import uuid_of
from plait.model.json import JsonValue
from tests.unit.expression.making import value_of


def test_a_uuid_never_changes() -> None:
    assert uuid_of("run-1", "pay") == "8f99bff3-96b9-54bf-b91b-55216d783db6"


def test_a_uuid_is_a_uuid_of_version_5() -> None:
    made = UUID(uuid_of("run-1", "pay"))
    assert made == uuid5(UUID("7d9e2f52-c4b8-4a0e-9a6b-1f5c3e8d2a47"), "5/run-1/pay")


def test_a_uuid_depends_on_both_arguments_and_on_where_they_part() -> None:
    made = {uuid_of(a, b) for a, b in (("a", "b"), ("a", "c"), ("a/b", ""), ("a", "/b"))}
    assert len(made) == 4


def test_an_execution_and_its_id_give_the_same_uuid() -> None:
    execution: JsonValue = {"id": "run-1", "attempt": None}
    whole = value_of("uuid(execution, 'pay')", execution=execution)
    assert whole == value_of("uuid(execution.id, 'pay')", execution=execution)


def test_a_uuid_of_nothing_is_an_error() -> None:
    with pytest.raises(ExpressionError):
        value_of("uuid(execution, 'pay')", execution={"id": None})

"""Step models: what each kind says of itself, and how a new one is added."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from plait.document import Catalog
from plait.document.fields import RESERVED_NAMES
from plait.document.planned import STEP_TYPES
from plait.document.step import Parts, ScopePart, Step, TemplatePart
from plait.document.steps import built_in_steps
from plait.document.steps.fail import FailStep
from plait.kernel.machines import built_in_machines
from tests.simulation.asking import AskStep, plan_with

BRANCHES = {
    "l": {"steps": [{}], "order": "sequence"},
    "r": {"steps": [{}]},
    "m": {"steps": [{}]},
}


def parts_of(kind: str, **raw: Any) -> Parts:
    model = Catalog().models[kind]
    whole = {"id": "a", "type": kind, **raw}
    return model.model_validate(whole).parts(whole)


def test_the_catalog_has_the_built_in_kinds_and_those_it_is_given() -> None:
    assert "ask" not in Catalog().models
    assert Catalog([AskStep]).models["ask"] is AskStep
    assert set(Catalog([AskStep]).models) - set(Catalog().models) == {"ask"}


def test_every_kind_has_a_machine_of_the_kernel() -> None:
    assert {step.machine for step in built_in_steps()} <= set(built_in_machines())


def test_no_kind_is_both_here_and_to_come() -> None:
    assert not {step.type_name() for step in built_in_steps()} & STEP_TYPES


@pytest.mark.parametrize("kind", ["set", "return"])
def test_a_value_is_one_template(kind: str) -> None:
    assert parts_of(kind, value=1).templates == (TemplatePart("value", ("value",)),)


def test_a_wait_keeps_its_time_under_its_own_word() -> None:
    (part,) = parts_of("wait", **{"for": "2s"}).templates
    assert (part.name, part.path) == ("for", ("for",))


def test_fail_has_defaults_for_what_the_document_does_not_say() -> None:
    defaults = {part.name: part.default for part in parts_of("fail").templates}
    assert defaults == {
        "code": "workflow.failed",
        "message": "the workflow failed on purpose",
        "details": {},
    }


def test_a_sequence_is_one_scope_in_order() -> None:
    parts = parts_of("sequence", steps=[{}])
    assert parts.scopes == (ScopePart("steps", (), "sequence"),)


@pytest.mark.parametrize(("join", "count"), [("all", 3), ("any", 1), (2, 2), (None, 3)])
def test_a_parallel_is_a_scope_per_branch_and_the_number_to_wait_for(
    join: Any, count: int
) -> None:
    given = {} if join is None else {"join": join}
    parts = parts_of("parallel", branches=BRANCHES, **given)
    assert parts.options == {"join_count": count}
    assert parts.scopes == (
        ScopePart("l", ("branches", "l"), "sequence"),
        ScopePart("r", ("branches", "r")),
        ScopePart("m", ("branches", "m")),
    )


def test_a_kind_that_says_nothing_of_its_parts_is_no_kind() -> None:
    with pytest.raises(NotImplementedError):
        Step.parts(AskStep.model_construct(), {})


@pytest.mark.parametrize(("effect", "expected"), [(None, "read"), ("unsafe", "unsafe")])
def test_the_documents_effect_wins_over_the_kinds_own(
    effect: str | None, expected: str
) -> None:
    step: dict[str, Any] = {"id": "a", "type": "ask", "request": {}, "effect": effect}
    assert plan_with(step).scope.nodes[0].effect == expected


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_no_step_may_have_the_name_of_something_else(name: str) -> None:
    model = Catalog().models["set"]
    with pytest.raises(ValueError, match="is a name that templates use for something else"):
        model.model_validate({"id": name, "type": "set", "value": 1})


@pytest.mark.parametrize("code", ["sold out", "a..b", ".a", "a.", "ä"])
def test_a_fail_code_that_no_program_could_name_is_refused(code: str) -> None:
    with pytest.raises(ValidationError, match="words between dots"):
        FailStep.model_validate({"id": "f", "type": "fail", "code": code})


@pytest.mark.parametrize("code", ["sold_out", "order.Out-of-stock.2", "${input.code}"])
def test_a_fail_code_of_words_or_out_of_a_template_is_taken(code: str) -> None:
    step = FailStep.model_validate({"id": "f", "type": "fail", "code": code})
    assert step.code == code


def test_the_language_page_lists_every_name_that_no_id_may_be() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/language.md").read_text("utf-8")
    listed = page.partition("An id has letters")[2].partition("###")[0]
    assert set(re.findall(r"`(\w{2,})`", listed)) == RESERVED_NAMES

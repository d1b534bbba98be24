"""Repairs: what the compiler says of a draft is mended, each finding in its own way."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from plait.agent.repairs import ROUNDS_MAX, findings, in_templates, mend, text_of
from tests.unit.agent.drafts import CATALOG, steps_of, values

URL = "http://a/b"
CLOSED = {"type": "object", "additionalProperties": False, "properties": {}}


def http(step_id: str, **given: Any) -> dict[str, Any]:
    return {"id": step_id, "type": "http", "request": {"url": URL}, **given}


def mended(*steps: Any, **given: Any) -> tuple[Any, list[str], list[str]]:
    """Return a draft that compiles, what was done, and what was lost."""
    document: Any = copy.deepcopy({"name": "w", **given, "steps": list(steps)})
    done: list[str] = []
    lost: list[str] = []
    for _ in range(ROUNDS_MAX):
        text = text_of(document, ())
        wrong = findings(text, CATALOG)
        if not wrong:
            return values(text), done, lost
        one = mend(document, text, wrong)
        assert one.done, wrong
        done += one.done
        lost += one.lost
    raise AssertionError("it was not mended in time")


@pytest.mark.parametrize(
    ("steps", "given", "code"),
    [
        ([http("a", colour="red")], {}, "D101"),
        ([http("a", timeout="soon")], {}, "D103"),
        ([http("a")], {"name": "no good name"}, "D103"),
        ([http("a")], {"name": ".."}, "D103"),
        ([http("list")], {}, "D103"),
        ([http("a"), http("a")], {}, "P004"),
        ([http("a", depends_on=["nobody"])], {}, "P006"),
        ([http("a", depends_on=["b"]), http("b", depends_on=["a"])], {}, "P003"),
        ([{"id": "a", "type": "approval"}], {"mode": "express"}, "P018"),
        ([http("a")], {"endpoint": {"path": "/x/{id}"}, "input": CLOSED}, "P014"),
        ([http("a")], {"input": {"type": "object", "properties": {"b": 7}}}, "P013"),
        ([{"id": "a", "type": "set", "value": "${nobody.response}"}], {}, "P001"),
        ([http("abc"), {"id": "b", "type": "set", "value": "${abd.response}"}], {}, "P001"),
        (
            [{"id": "a", "type": "set", "value": "${input.b}"}],
            {"input": CLOSED},
            "P010",
        ),
        ([{"id": "a", "type": "set", "value": 1, "hedge": {"after": "1s"}}], {}, "P023"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_finding_is_mended_without_losing_a_step(
    steps: list[Any], given: dict[str, Any], code: str
) -> None:
    value, done, lost = mended(*steps, **given)
    assert any(line.startswith(code) for line in done), done
    assert lost == []
    assert len(steps_of(value)) == len(steps)


def test_a_renamed_step_is_read_by_its_new_name() -> None:
    value, _, _ = mended(
        http("item"), {"id": "b", "type": "set", "value": "${item.response.item}"}
    )
    assert steps_of(value)["b"]["value"] == "${item_step.response.item}"


def test_what_cannot_be_mended_is_taken_out_and_told() -> None:
    value, _, lost = mended(
        http("a"), {"id": "b", "type": "teleport"}, http("c", depends_on=["b"])
    )
    assert list(steps_of(value)) == ["a", "c"]
    assert len(lost) == 1
    assert lost[0].startswith("step 'b' was taken out")
    assert "depends_on" not in steps_of(value)["c"]


def test_a_group_that_lost_all_its_steps_goes_with_them() -> None:
    group = {"id": "g", "type": "sequence", "steps": [{"id": "b", "type": "teleport"}]}
    value, _, _ = mended(http("a"), group, http("c", depends_on=["g"]))
    assert list(steps_of(value)) == ["a", "c"]


def test_many_findings_are_mended_in_one_round() -> None:
    steps = [http(f"a{n}", colour="red") for n in range(20)]
    document: Any = {"name": "w", "steps": steps}
    text = text_of(document, ())
    assert len(mend(document, text, findings(text, CATALOG)).done) == 20
    assert findings(text_of(document, ()), CATALOG) == ()


@pytest.mark.parametrize(
    ("text", "renamed"),
    [
        ("${a.response}", "${c.response}"),
        ("${b.a + a.b}", "${b.a + c.b}"),
        ("a ${a} a", "a ${c} a"),
        ("$${a}", "$${a}"),
        ("${ab.a}", "${ab.a}"),
        ("${{'a': a}}", "${{'a': c}}"),
        ("${'}' + a}", "${'}' + c}"),
    ],
)
def test_only_reads_in_templates_are_renamed(text: str, renamed: str) -> None:
    assert in_templates(text, "a", "c") == renamed

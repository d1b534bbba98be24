"""Hostile and random texts: a finding or a plan, never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.documents import documents
from tests.unit.compile.reading import findings_in

START = "name: t\nsteps: [{id: a, type: set, value: 1}]\n"


def with_output(text: str) -> str:
    steps = [{"id": "a", "type": "set", "value": 1}]
    return json.dumps({"name": "t", "steps": steps, "output": text})


HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "more than 256 KB": (START + "#" + "x" * 262_144, "D002"),
    "5,000 brackets deep": (START + "output: " + "[" * 5_000 + "]" * 5_000, "D006"),
    "100,000 brackets deep, in JSON": ('{"a":' + "[" * 100_000, "D006"),
    "an alias": ("a: &x [1]\nb: *x\n", "D013"),
    "a billion laughs": ("a: &a [1,1]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "D013"),
    "a key twice": ("name: a\nname: b\n", "D009"),
    "not a number": (START + "output: .nan", "D019"),
    "not a number, in JSON": ('{"a": NaN}', "D019"),
    "a number of 5,000 digits": (START + "output: " + "9" * 5_000, "D018"),
    "a number beyond doubles": ('{"a": 1e999}', "D018"),
    "bytes that are no UTF-8": (b"name: \xff\xfe", "D001"),
    "half a surrogate": ('{"a": "\\ud800"}', "D023"),
    "5,000 parentheses": (
        with_output("${" + "(" * 5_000 + "1" + ")" * 5_000 + "}"),
        "E007",
    ),
    "50,000 open parentheses": (with_output("${" + "(" * 50_000 + "}"), "E007"),
    "20,000 times not": (with_output("${" + "!" * 20_000 + "true}"), "E007"),
    "a thousand parentheses": (
        with_output("${" + "(" * 1_000 + "1" + ")" * 1_000 + "}"),
        "E007",
    ),
    "60,000 expressions never closed": (with_output("${" * 60_000), "E001"),
    "15,000 unknown keys": (
        json.dumps({"name": "t", "steps": [], **{f"k{n}": 1 for n in range(15_000)}}),
        "D101",
    ),
    "3,000 names that are nearly right": (
        json.dumps(
            {
                "name": "t",
                "steps": [
                    {"id": f"step{n}", "type": "set", "value": f"${{stepp{n}.response}}"}
                    for n in range(3_000)
                ],
            }
        ),
        "P001",
    ),
    "5,000 equal ids": (
        json.dumps(
            {
                "name": "t",
                "steps": [{"id": "a", "type": "set", "value": 1} for _ in range(5_000)],
            }
        ),
        "P004",
    ),
    "a circle of 4,000 steps": (
        json.dumps(
            {
                "name": "t",
                "steps": [
                    {
                        "id": f"s{n}",
                        "type": "set",
                        "value": f"${{s{(n + 1) % 4_000}.response}}",
                    }
                    for n in range(4_000)
                ],
            }
        ),
        "P003",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_document_is_refused_by_name(case: str) -> None:
    text, code = HOSTILE[case]
    data = text if isinstance(text, bytes) else text.encode()
    found = findings_in(data, "w.json" if data.startswith(b"{") else "w.yaml")
    assert code in {one.code for one in found}
    assert len(found) <= 51


@given(st.binary(max_size=200))
def test_any_bytes_are_a_finding(data: bytes) -> None:
    assert findings_in(data)
    assert findings_in(data, "w.json")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats()
        | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "name",
                        "steps",
                        "id",
                        "type",
                        "value",
                        "retry",
                        "on",
                        "input",
                        "endpoint",
                        "path",
                        "branches",
                        "fallback",
                        "output",
                        "${x}",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_finding_or_a_plan(value: Any) -> None:
    findings_in(json.dumps(value), "w.json")


WRECKS: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        0,
        -1,
        1.5,
        True,
        "",
        "${",
        "${a.b.c}",
        "${1/0}",
        "x",
        [],
        {},
        [[]],
        {"type": "set"},
        {"steps": 5},
        "${s1.response}",
        10**30,
        {"${x}": 1},
    ]
)


@pytest.mark.slow
# Three hundred documents are compiled: on a busy machine that has taken two minutes.
@pytest.mark.timeout(300)
@settings(max_examples=3 * settings().max_examples)
@given(document=documents(), data=st.data())
def test_a_good_document_with_one_thing_wrecked_is_a_finding_or_a_plan(
    document: Any, data: st.DataObject
) -> None:
    spot: Any = document
    parents: list[Any] = []
    while (
        isinstance(spot, (dict, list))
        and spot
        and (not parents or data.draw(st.booleans()))
    ):
        keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
        key = data.draw(st.sampled_from(keys))
        parents.append((spot, key))
        spot = spot[key]
    holder, key = parents[-1]
    holder[key] = data.draw(WRECKS)
    for one in findings_in(json.dumps(document), "w.json"):
        assert one.message
        assert one.span.line >= 1


@given(document=documents(), data=st.data())
def test_any_key_of_a_good_document_may_be_missing(
    document: Any, data: st.DataObject
) -> None:
    holder = document
    while True:
        key = data.draw(st.sampled_from(sorted(holder)))
        inner = holder[key]
        inner = inner[0] if isinstance(inner, list) and inner else inner
        if not isinstance(inner, dict) or not inner or data.draw(st.booleans()):
            break
        holder = inner
    del holder[key]
    findings_in(json.dumps(document), "w.json")

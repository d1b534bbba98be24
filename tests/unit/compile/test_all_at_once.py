"""Whatever is wrong with a document is said at once, of whichever sort it is."""

from __future__ import annotations

import pytest

from plait.compile import CompileErrors, compile_text
from plait.compile.inside import all_steps
from plait.connectors.http.step import HttpStep
from plait.document import Catalog

CATALOG = Catalog([HttpStep])


def codes_of(text: str) -> list[tuple[str, int]]:
    with pytest.raises(CompileErrors) as caught:
        compile_text(text.encode(), name="w.yaml", catalog=CATALOG)
    return [(found.code, found.span.line) for found in caught.value.diagnostics]


def test_shape_names_circles_and_expressions_are_reported_together() -> None:
    text = """\
name: bad
endpont: {}
input: {type: object, additionalProperties: false, properties: {user_id: {}}}
steps:
  - {id: a, type: http, request: {url: "http://x/${input.usr_id}"}}
  - {id: b, type: htp}
  - {id: c, type: set, value: "${d.response}"}
  - {id: d, type: set, value: "${c.response}"}
  - {id: e, type: set, value: "${1 + }"}
  - {id: f, type: set, valu: 1}
"""
    assert codes_of(text) == [
        ("D101", 2),
        ("P010", 5),
        ("D102", 6),
        ("D104", 6),
        ("P003", 7),
        ("E004", 9),
        ("D102", 10),
        ("D101", 10),
    ]


def test_reading_a_step_whose_shape_is_wrong_is_no_second_mistake() -> None:
    text = """\
name: bad
steps:
  - {id: a, type: htp, request: {url: "http://x/"}}
  - {id: b, type: set, value: "${a.response.x}", depends_on: [a]}
output: ${a.response}
"""
    assert codes_of(text) == [("D104", 3)]


def test_a_document_without_steps_is_still_looked_through() -> None:
    assert codes_of("name: x\noutput: ${nobody.response}\n") == [
        ("D102", 1),
        ("P001", 2),
    ]


def test_a_fallback_may_have_the_id_of_a_step_inside_which_is_another_path() -> None:
    text = """\
name: fine
steps:
  - id: pay
    type: sequence
    steps: [{id: charge, type: set, value: 1}]
    fallback: {id: charge, type: set, value: 2}
"""
    plan = compile_text(text.encode(), name="w.yaml", catalog=CATALOG).plan
    paths = [step.path for step in all_steps(plan)]
    assert paths == ["pay", "pay/charge", "pay.fallback/charge"]


def test_depends_on_may_name_a_step_further_out() -> None:
    text = """
name: fine
steps:
  - {id: outer, type: wait, for: 30ms}
  - id: p
    type: parallel
    branches: {b: {steps: [{id: y, type: set, value: 1, depends_on: [outer]}]}}
"""
    plan = compile_text(text.encode(), name="w.yaml", catalog=CATALOG).plan
    assert plan.scope.nodes[1].deps == (0,)


def test_a_wrong_expression_hides_no_wrong_name_beside_it() -> None:
    text = """\
name: bad
steps:
  - {id: a, type: set, value: "${1 +} and ${nope.x} and ${2 *}"}
  - {id: b, type: set, value: ["${1 +}", "${nope.y}", "${c.response}"]}
  - {id: c, type: set, value: "${b.response} ${"}
output: {a: "${nope.z} ${1 +}"}
"""
    assert codes_of(text) == [
        ("E004", 3),
        ("P001", 3),
        ("E004", 3),
        ("P003", 4),
        ("E004", 4),
        ("P001", 4),
        ("E001", 5),
        ("P001", 6),
        ("E004", 6),
    ]

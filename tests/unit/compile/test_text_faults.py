"""What is wrong with the text hides nothing else, as long as it is clear what was meant."""

from __future__ import annotations

import json

import pytest

from plait.document.limits import DEFAULT_LIMITS
from tests.unit.compile.reading import findings_in, lines_of

WRONG_NAME = '  - {id: z, type: set, value: "${nope.x}"}\n'


def codes_in(text: str, name: str = "w.yaml") -> list[str]:
    return [found.code for found in findings_in(text, name)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("name: a\nname: b\nsteps:\n", "D009"),
        ("name: a\ntimeout: &t 5s\nsteps:\n", "D013"),
        ("name: a\ntimeout: !t 5s\nsteps:\n", "D015"),
        ("name: a\noutput: 99999999999999999999\nsteps:\n", "D018"),
        ("name: a\noutput: .inf\nsteps:\n", "D019"),
        ("name: a\noutput: {1.5: x}\nsteps:\n", "D017"),
        ("name: a\noutput: [x, ${z.response}]\nsteps:\n", "D026"),
        ("name: a\noutput: {x: http://h/${z.response}/b?c}\nsteps:\n", "D026"),
        ("name: a\noutput: ${true ? z.response : 'b'}\nsteps:\n", "D026"),
        ("name: a\noutput: ${ {'a': 1} }\nsteps:\n", "D026"),
    ],
)
def test_a_wrong_name_is_found_beside(text: str, code: str) -> None:
    assert codes_in(text + WRONG_NAME) == [code, "P001"]


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ('"name": "b",', "D009"),
        ('"timeout": null,,', None),
        ('"output": [1,],', "D020"),
        ('"output": 1, // note\n', "D021"),
        ("'output': 1,", "D022"),
        ('"output": NaN,', "D019"),
        ('"output": 01,', "D025"),
        ('"output": "\\q",', "D024"),
        ('"output": "\\ud800",', "D023"),
        ('"output": "a\tb",', "D005"),
    ],
)
def test_a_wrong_name_is_found_beside_a_mistake_of_json(
    member: str, code: str | None
) -> None:
    step = {"id": "z", "type": "set", "value": "${nope.x}"}
    text = f'{{"name": "a", {member} "steps": [{json.dumps(step)}]}}'
    expected = ["D010"] if code is None else [code, "P001"]
    assert codes_in(text, "w.json") == expected


def test_templates_without_quotes_are_all_found_and_read() -> None:
    assert lines_of("""
        name: test
        steps:
          - {id: a, type: set, value: ${b.response[0]}, condition: ${input.x ? 1 : 2}}
          - {id: b, type: set, value: [${nope.x}, "${nope.y}"], valu: 1}
          - id: c
            type: set
            value: ${input.x}
    """) == [
        '3:31: D026 this template needs quotes (write "${b.response[0]}")',
        '3:60: D026 this template needs quotes (write "${input.x ? 1 : 2}")',
        '4:32: D026 this template needs quotes (write "${nope.x}")',
        "4:34: P001 'nope' is neither a step that can be read here nor a known name",
        "4:46: P001 'nope' is neither a step that can be read here nor a known name",
        "4:57: D101 unknown key 'valu' (did you mean 'value'?)",
    ]


def test_a_text_that_breaks_off_is_reported_for_that_alone() -> None:
    assert codes_in("name: a\nsteps: [{id: x, type: set, value: ${b}}\n") == ["D026"]
    assert codes_in("name: a\nsteps:\n  - {id: x, type: set, valu: 1\n") == ["D011"]


def test_a_value_that_could_not_be_read_is_not_of_the_wrong_kind_too() -> None:
    assert codes_in("name: a\ntimeout: .inf\nretries: 1\nsteps: *s\n") == [
        "D019",
        "D101",
        "D013",
    ]


def test_steps_under_a_key_that_comes_again_can_be_read_all_the_same() -> None:
    assert codes_in("""
        name: a
        steps: [{id: x, type: set, value: 1}]
        steps: [{id: y, type: set, value: "${x.response}"}]
        output: ${x.response}
    """) == ["D009"]


def test_a_second_document_does_not_hide_what_is_wrong_with_the_first() -> None:
    assert codes_in("name: a\nsteps:\n" + WRONG_NAME + "---\nname: b\n") == ["P001", "D016"]


def test_numbers_may_be_keys_and_are_the_same_keys_as_their_texts() -> None:
    assert (
        codes_in("""
        name: a
        endpoint: {path: /x, status: {404: 404, 5xx: 502}}
        steps: [{id: a, type: set, value: {1: x}}]
    """)
        == []
    )
    assert lines_of("""
        name: a
        endpoint: {path: /x, status: {404: 404, "404": 500}}
        steps: [{id: a, type: set, value: 1}]
    """) == [
        "2:41: D009 key '404' stands twice in this mapping: first at line 2, column 31 "
        "(keep one of the two)"
    ]


def test_a_branch_named_by_a_number_is_told_of_at_its_name() -> None:
    (line,) = lines_of("""
        name: a
        steps:
          - id: p
            type: parallel
            branches:
              1: {steps: [{id: x, type: set, value: 1}]}
    """)
    assert line.startswith("6:7: D103 '1': an id has letters")


def test_a_text_with_more_faults_than_are_listed_is_not_looked_at_further() -> None:
    count = DEFAULT_LIMITS.diagnostics_max + 1
    text = "name: a\n" * count + "steps:\n" + WRONG_NAME
    assert set(codes_in(text)) == {"D009", "D099"}

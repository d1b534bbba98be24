"""Findings in the input schema, one test per case."""

from __future__ import annotations

import pytest

from tests.unit.compile.reading import lines_of


def test_p013_an_input_schema_that_is_none() -> None:
    assert lines_of("""
        name: test
        input: {type: objekt, properties: [a]}
        steps: [{id: a, type: set, value: "${input.a.b}"}]
    """) == [
        '2:15: P013 the input schema is invalid: "objekt" is not valid under any of the '
        "schemas listed in the 'anyOf' keyword",
        '2:35: P013 the input schema is invalid: ["a"] is not of type "object"',
    ]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{pattern: '('}", '"(" is not a "regex"'),
        ("{$ref: '#/$defs/nope'}", "Pointer '/$defs/nope' does not exist"),
        ("{properties: {a: {$dynamicRef: '#nope'}}}", "Anchor 'nope' does not exist"),
    ],
)
def test_p013_a_schema_that_no_input_can_be_checked_with(schema: str, message: str) -> None:
    text = f"name: t\ninput: {schema}\nsteps: [{{id: a, type: set, value: 1}}]"
    (line,) = lines_of(text)
    assert f"P013 the input schema is invalid: {message}" in line


@pytest.mark.parametrize("key", ["$ref", "$dynamicRef"])
def test_p013_nothing_is_ever_fetched_for_a_schema(key: str) -> None:
    schema = f"input: {{{key}: 'http://127.0.0.1:9/x'}}"
    lines = lines_of(f"name: t\n{schema}\nsteps: [{{id: a, type: set, value: 1}}]")
    assert lines
    assert all("P013" in line for line in lines)
    assert not any("127.0.0.1:9" in line and "sending" in line for line in lines)


def test_p013_a_reference_out_of_the_schema_says_what_to_do() -> None:
    (line,) = lines_of("""
        name: test
        input: {$ref: "https://example.org/user.json"}
        steps: [{id: a, type: set, value: 1}]
    """)
    assert line == (
        "2:8: P013 the input schema refers to 'https://example.org/user.json', "
        "which would have to be fetched (copy it under `$defs`)"
    )


def test_p013_a_schema_inside_is_no_document_of_its_own() -> None:
    assert lines_of("""
        name: test
        input:
          $id: urn:plait:test
          properties:
            $id: {type: string}
            a: {$ref: "urn:plait:test#/$defs/a"}
          $defs:
            a: {$id: "urn:plait:a", $defs: {b: {$id: "/b"}}, examples: [{$id: "c"}]}
        steps: [{id: a, type: set, value: 1}]
    """) == [
        f"8:{column}: P013 a schema inside the input schema cannot have an `$id` of its "
        "own (leave it out, and refer to it by `#/$defs/…` or an `$anchor`)"
        for column in (14, 46)
    ]


def test_p013_a_default_that_does_not_fit_its_schema() -> None:
    lines = lines_of("""
        name: test
        input:
          properties:
            n: {type: integer, default: "1"}
            "a b/ü%20": {$ref: "#/$defs/size", default: 9}
            id: {type: string, format: uuid, default: x}
            fine: {$ref: "#/$defs/size", default: 3}
            all: {type: array, items: {type: [integer, "null"], default: null}}
            default: {properties: {deep: {type: integer, default: null}}}
            some: {const: {default: x, type: integer}}
          $defs: {size: {maximum: 5}}
        steps: [{id: a, type: set, value: 1}]
    """)
    text = "P013 the default does not fit its schema:"
    assert [line.partition(": ")[0] for line in lines] == ["4:33", "5:49", "6:47", "9:59"]
    assert all(text in line for line in lines)
    assert lines[0] == f'4:33: {text} "1" is not of type "integer"'


def test_p013_defaults_of_a_schema_with_an_id_are_held_against_it() -> None:
    (line,) = lines_of("""
        name: test
        input: {$id: "https://x.org/s", properties: {n: {$ref: "#/$defs/n", default: 6}},
                $defs: {n: {maximum: 5}}}
        steps: [{id: a, type: set, value: 1}]
    """)
    assert "6 is greater than the maximum of 5" in line

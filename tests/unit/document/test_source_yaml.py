"""YAML: scalars by the core schema of 1.2, and a clear word about each mistake."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from plait.document import yaml_text
from plait.document.source import SourceErrors, read_source
from plait.model.diagnostic import Diagnostic
from plait.model.json import JsonValue


def findings(document: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(SourceErrors) as caught:
        read_source(document.encode(), name="w.yaml")
    return caught.value.diagnostics


def value_of(document: str) -> Any:
    return read_source(document.encode(), name="w.yaml").value


@pytest.mark.parametrize("parser", ["libyaml", "python"])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("true", True),
        ("FALSE", False),
        ("on", "on"),
        ("yes", "yes"),
        ("n", "n"),
        ("12", 12),
        ("012", 12),
        ("-0", 0),
        ("+7", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("0o18", "0o18"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("18446744073709551615", 2**64 - 1),
        ("0xFFFFFFFFFFFFFFFF", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("0" * 5_000 + "8", 8),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5E-3", -0.0015),
        (".", "."),
        ("-", None),
        ("5s", "5s"),
        ("1.2.3", "1.2.3"),
        ("2024-01-31", "2024-01-31"),
        ("'12'", "12"),
        ('"null"', "null"),
        ("'<<'", "<<"),
        ("<<", "<<"),
        ("|-\n  12", "12"),
        ("${input.id}", "${input.id}"),
        ("http://x/${a}?b=1&c=2#d", "http://x/${a}?b=1&c=2#d"),
        ('"\\u0000\\U0001F600"', "\0😀"),
        ("[a: 1, {b}]", [{"a": 1}, {"b": None}]),
    ],
)
def test_a_value_is_read_by_the_core_schema(
    parser: str, text: str, value: JsonValue, monkeypatch: pytest.MonkeyPatch
) -> None:
    if parser == "python":
        monkeypatch.setattr(yaml_text, "LOADER", yaml.SafeLoader)
    if text == "-":
        value = [None]
        text = "\n  -"
    found = value_of(f"before: 1\na: {text}\nafter: z\n")
    assert (found["a"], type(found["a"])) == (value, type(value))
    assert list(found) == ["before", "a", "after"]


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ("on: 1\nyes: 2\nno: 3", {"on": 1, "yes": 2, "no": 3}),
        ("'404': 1\n\"true\": 2", {"404": 1, "true": 2}),
        ("404: 1\n-1: 2\n0: 3", {"404": 1, "-1": 2, "0": 3}),
        ("a: {404: 404}", {"a": {"404": 404}}),
        ("? a\n: b", {"a": "b"}),
        ("%YAML 1.2\n--- # x\na: 1\n...\n", {"a": 1}),
        ('a: "\\ue000 \\U0000E001 x{b}"', {"a": "\ue000 \ue001 x{b}"}),
        ("a: 1\n---text: 2", {"a": 1, "---text": 2}),
        ('a: "one\n%TAG two"', {"a": "one %TAG two"}),
        ("a: é\r\nb: |\r\n  x\r\n  y\r\n", {"a": "é", "b": "x\ny\n"}),
    ],
)
def test_a_document_is_read_as_yaml_means_it(document: str, value: JsonValue) -> None:
    assert value_of(document) == value


@pytest.mark.parametrize(
    ("document", "code", "line", "column"),
    [
        ("a: &x 1", "D013", 1, 4),
        ("a: &x {b: 1}", "D013", 1, 4),
        ("a: *x", "D013", 1, 4),
        ("*x : 1", "D013", 1, 1),
        ("<<: {a: 1}", "D014", 1, 1),
        ("a: !!str 1", "D015", 1, 4),
        ("a: !t [1]", "D015", 1, 4),
        ("a: ! 1", "D015", 1, 4),
        ("!t\na: 1", "D015", 1, 1),
        ("# c\n\n%TAG ! !x\n---\na: 1", "D015", 3, 1),
        ("a: 1\n---\nb: 2", "D016", 2, 1),
        ("a: 1\n...\nb", "D016", 3, 1),
        ('"a" b', "D016", 1, 5),
        ("1.10: x", "D017", 1, 1),
        ("007: x", "D017", 1, 1),
        ("0x10: x", "D017", 1, 1),
        ("~: x", "D017", 1, 1),
        ("404: x\n'404': y", "D009", 2, 1),
        ("true: x", "D017", 1, 1),
        ("a: {1.5: x}", "D017", 1, 5),
        ("? \n: x", "D017", 1, 2),
        ("[a]: 1", "D017", 1, 1),
        ("a: {{x}}", "D017", 1, 5),
        ("a: 18446744073709551616", "D018", 1, 4),
        ("a: -9223372036854775809", "D018", 1, 4),
        ("a: 0x1FFFFFFFFFFFFFFFF", "D018", 1, 4),
        ("a: 1e999", "D018", 1, 4),
        ("a: .inf", "D019", 1, 4),
        ("a: -.INF", "D019", 1, 4),
        ("a: .NaN", "D019", 1, 4),
        ("a: 1\nb: 2\na: 3", "D009", 3, 1),
        ("a: {b: 1, 'b': 2}", "D009", 1, 11),
        ("a: \x07", "D005", 1, 4),
        ("a: \x00", "D005", 1, 4),
        ("a: 'x\u2028y'", "D005", 1, 6),
        ("a: x\x85", "D005", 1, 5),
        ("a: 1\n\ufeffb: 2", "D005", 2, 1),
        ("a:\n\tb: 1", "D012", 2, 1),
        ("a: |\n \tx", "D012", 2, 2),
        ("a: {b: ${c}}", "D026", 1, 8),
        ("a: [${c}]", "D026", 1, 5),
        ("a: ${b ? c : d}", "D026", 1, 4),
        ("a: ${b ? {c: 1} : d}", "D026", 1, 4),
        ("a: 1\n b: 2", "D010", 2, 3),
        ("a: b: c", "D010", 1, 5),
        ("a: ${b} c: d", "D010", 1, 10),
        ("a: 'x ${b == 'c'}'", "D010", 1, 15),
        ("- a\nb: 1", "D010", 2, 1),
        ("a:\n  - b\n - c", "D010", 3, 2),
        ("a: - b", "D010", 1, 4),
        ("a: 1\nb\nc: 1", "D010", 3, 1),
        ("a: @b", "D010", 1, 4),
        ("a: *", "D010", 1, 4),
        ("a: ]", "D010", 1, 4),
        ("a: > x", "D010", 1, 6),
        ('a: "b" c', "D010", 1, 8),
        ("a: [1, 2}", "D010", 1, 9),
        ("%FOO\n---\na: 1", "D010", 1, 5),
        ("a: [1, 2", "D011", 1, 4),
        ("a: {b: 1\n", "D011", 1, 4),
        ("a: 'b\nc: 1\n", "D011", 1, 4),
        ('a: "b\n---\n', "D011", 1, 4),
        (r'a: "\q"', "D024", 1, 5),
        (r'a: "b\u12"', "D024", 1, 8),
        (r'a: "\ud83d\ude00"', "D023", 1, 5),
    ],
)
def test_a_mistake_is_found_where_it_stands(
    document: str, code: str, line: int, column: int
) -> None:
    (found,) = findings(document)
    assert (found.code, found.span.line, found.span.column) == (code, line, column)
    assert found.message


def test_mistakes_do_not_hide_each_other() -> None:
    document = "a: &x 1\nb: *x\ntrue: !t .nan\na: 2\n<<: 3\nc: [1"
    assert [(f.span.line, f.code) for f in findings(document)] == [
        (1, "D013"),
        (2, "D013"),
        (3, "D017"),
        (3, "D015"),
        (3, "D019"),
        (4, "D009"),
        (5, "D014"),
        (6, "D011"),
    ]


def test_an_anchor_and_a_tag_on_one_value_are_both_reported() -> None:
    found = findings("a: &x !t 1")
    assert [(f.code, f.span.column) for f in found] == [("D013", 4), ("D015", 7)]


def test_an_anchor_on_nothing_is_not_mixed_up_with_the_next_one() -> None:
    found = findings("a: &x\n&y b: 1")
    assert [(f.code, f.span.line) for f in found] == [("D013", 1), ("D013", 2)]


def test_every_forbidden_character_is_reported() -> None:
    found = findings("a: \x07\nb: \x1b\n")
    assert [(f.code, f.span.line) for f in found] == [("D005", 1), ("D005", 2)]
    assert "U+001B" in found[1].message


def test_a_key_that_stands_twice_is_reported_with_both_places() -> None:
    (found,) = findings("é:\n  id: 1\n  b: [{id: 1}]\n  id: 2")
    assert (found.span.line, found.span.column) == (4, 3)
    assert "first at line 2, column 3" in found.message


@pytest.mark.parametrize(
    ("document", "message", "hint"),
    [
        ("1.5: x", "a key is text, and 1.5 is not", 'write "1.5"'),
        ("a: {b: ${c.d}}", "this template needs quotes", 'write "${c.d}"'),
        ('a: {b: ${c["d"]}}', "this template needs quotes", "write '${c[\"d\"]}'"),
        ("a: `b`", "text cannot start with '`'", "put the whole text in quotes"),
        (
            "a: {b: 1\nc: 2",
            "expected ',' or '}', not ':': the '{' at line 1, column 4 is still open",
            "",
        ),
        (
            'a: "b" c',
            "text after a closing quote",
            "put the whole value in quotes of the other kind",
        ),
        (
            "a: {b: 1",
            "this '{' is never closed",
            "the text ends where a '}' is missing",
        ),
    ],
)
def test_a_mistake_comes_with_its_remedy(document: str, message: str, hint: str) -> None:
    (found,) = findings(document)
    assert (found.message, found.hint) == (message, hint)


def test_what_the_parser_says_in_words_of_its_own_is_passed_on() -> None:
    (found,) = findings("%FOO\n---\na: 1")
    assert found.message == "while scanning a directive, found unknown directive name"


@pytest.mark.parametrize(
    "document",
    ["a: [1, 2", "a:\n\tb: 1", "a: 'b", "a: b: c", "- a\nb: 1", "a: 1\n---\nb: 2", "a: *x"],
)
def test_the_parser_without_libyaml_finds_the_same_mistakes(
    document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [(f.span.line, f.span.column) for f in findings(document)]
    monkeypatch.setattr(yaml_text, "LOADER", yaml.SafeLoader)
    found = findings(document)
    assert [f.span.line for f in found] == [line for line, _ in places]

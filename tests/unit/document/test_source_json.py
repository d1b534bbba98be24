"""JSON: what RFC 8259 allows is read, and each mistake is found where it stands."""

from __future__ import annotations

import pytest

from plait.document.source import SourceErrors, read_source
from plait.model.diagnostic import Diagnostic
from plait.model.json import JsonValue


def findings(document: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(SourceErrors) as caught:
        read_source(document.encode(), name="w.json")
    return caught.value.diagnostics


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("-12", -12),
        ("9223372036854775808", 2**63),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1.0", 1.0),
        ("-0.5e-3", -0.0005),
        ("1E+2", 100.0),
        ("1e-999", 0.0),
        ("true", True),
        ("false", False),
        ("null", None),
        ('""', ""),
        (r'"\"\\\/\b\f\n\r\t"', '"\\/\b\f\n\r\t'),
        (r'"\u0000\u00E9\uD83D\uDE00"', "\0é😀"),
        ('"\x7f\u2028"', "\x7f\u2028"),
        ("{}", {}),
        ("{ }", {}),
        ("[]", []),
        ("[\n]", []),
        ("[[], {}, [1]]", [[], {}, [1]]),
        ('{"a": {"b": [{"c": 1}, 2]}}', {"a": {"b": [{"c": 1}, 2]}}),
    ],
)
def test_a_value_is_read_as_json_means_it(text: str, value: JsonValue) -> None:
    document = f'\t{{ "before" :\r\n[1 , 2 ], "a":{text} ,"after": "z" }}\n'
    found = read_source(document.encode(), name="w.json").value
    assert isinstance(found, dict)
    assert list(found) == ["before", "a", "after"]
    assert (found["a"], type(found["a"])) == (value, type(value))


@pytest.mark.parametrize(
    ("document", "code", "column"),
    [
        ('{"a": 1,}', "D020", 8),
        ('{"a": [1, 2, ]}', "D020", 12),
        ('{"a": 1 // c\n}', "D021", 9),
        ('{"a": 1 # c\n}', "D021", 9),
        ('{/* c */"a": 1}', "D021", 2),
        ('{"a": 1} // c', "D021", 10),
        ("{'a': 1}", "D022", 2),
        ("{\"a\": 'b'}", "D022", 7),
        ("{a: 1}", "D022", 2),
        ('{"a": True}', "D022", 7),
        ('{"a": undefined}', "D022", 7),
        ('{"a": yes}', "D022", 7),
        ('{"a": -}', "D022", 7),
        ('{"a": NaN}', "D019", 7),
        ('{"a": -Infinity}', "D019", 7),
        ('{"a": 012}', "D025", 7),
        ('{"a": -01}', "D025", 7),
        ('{"a": 1.}', "D025", 7),
        ('{"a": .5}', "D025", 7),
        ('{"a": +1}', "D025", 7),
        ('{"a": 1e}', "D025", 7),
        ('{"a": 0x1F}', "D025", 7),
        ('{"a": 1_000}', "D025", 7),
        ('{"a": 18446744073709551616}', "D018", 7),
        ('{"a": -9223372036854775809}', "D018", 7),
        ('{"a": 1e400}', "D018", 7),
        ('{"a": -1e400}', "D018", 7),
        (r'{"a": "x\ud800"}', "D023", 9),
        (r'{"a": "\\\udc00"}', "D023", 10),
        (r'{"\ud83d": 1}', "D023", 3),
        ('{"a": "x\ty"}', "D005", 9),
        ('{"a": "\x00"}', "D005", 8),
        (r'{"a": "x\q"}', "D024", 9),
        (r'{"a": "\u12g4"}', "D024", 8),
        ('{"a": "\\\u200b"}', "D024", 8),
        ('{"a": "x}', "D011", 7),
        ('{"a": "x\ny"}', "D011", 7),
        (r'{"a": "x\"}', "D011", 7),
        ('{"a": \'x}', "D011", 7),
        ('{"a": [1, 2}', "D010", 12),
        ('{"a": [1, 2', "D011", 7),
        ('{"a": {"b": 1', "D011", 7),
        ('{"a":', "D011", 1),
        ("{", "D011", 1),
        ('{"a": 1 /* }', "D011", 9),
        ('{"a" 1}', "D010", 6),
        ('{"a"', "D010", 5),
        ('{"a": }', "D010", 7),
        ('{"a": 1 "b": 2}', "D010", 9),
        ('{"a": [1 2]}', "D010", 10),
        ('{"a": 1; "b": 2}', "D010", 8),
        ('{"a": 1, , "b": 2}', "D010", 10),
        ('{"a": [1,,2]}', "D010", 10),
        ("{1: 2}", "D022", 2),
        ("{[1]: 2}", "D010", 2),
        ('{"a": /}', "D010", 7),
        ('{"a": \x00}', "D010", 7),
        ('{"a": 1}}', "D016", 9),
        ('{"a": 1} {"b": 2}', "D016", 10),
        ('{"a": 1, "a": 2}', "D009", 10),
        ('{"a": 1, "\\u0061": 2}', "D009", 10),
        ('{"a": [], "a": {}}', "D009", 11),
        ("name: x", "D004", 1),
    ],
)
def test_a_mistake_is_found_where_it_stands(document: str, code: str, column: int) -> None:
    (found,) = findings(document)
    assert (found.code, found.span.line, found.span.column) == (code, 1, column)
    assert found.message


def test_mistakes_do_not_hide_each_other() -> None:
    document = """{
  'name': NaN, // no
  "steps": [1, 02, tru, "a\tb", ],
  "name": 1e999
  "x": [[}
"""
    found = [(f.span.line, f.span.column, f.code) for f in findings(document)]
    assert found == [
        (2, 3, "D022"),
        (2, 11, "D019"),
        (2, 16, "D021"),
        (3, 16, "D025"),
        (3, 20, "D022"),
        (3, 27, "D005"),
        (3, 30, "D020"),
        (4, 3, "D009"),
        (4, 11, "D018"),
        (5, 3, "D010"),
        (5, 10, "D010"),
    ]


def test_a_key_that_stands_twice_is_reported_with_both_places() -> None:
    (found,) = findings('{\n  "id": 1,\n  "b": [{"id": 1}],\n  "id": 2}')
    assert (found.span.line, found.span.column) == (4, 3)
    assert "'id'" in found.message
    assert "first at line 2, column 3" in found.message


def test_a_bracket_that_closes_the_wrong_one_is_reported_with_both_places() -> None:
    (found,) = findings('{\n "a": [1, 2\n}')
    assert found.message == (
        "expected ']', not '}': the '[' at line 2, column 7 is still open"
    )
    assert found.span.line == 3


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ("{a: 1}", 'write "a"'),
        ('{"a": None}', "write null"),
        ('{"a": "\t"}', r"write \t"),
        ('{"a": "\x01"}', r"write \u0001"),
        ('{"a": 1 "b": 2}', "is a comma missing before it?"),
        (r'{"a": "\u12"}', r"\u needs four hexadecimal digits"),
        ("name: x", "YAML belongs into a file whose name ends in .yaml"),
    ],
)
def test_a_mistake_comes_with_its_remedy(document: str, hint: str) -> None:
    assert findings(document)[0].hint == hint


def test_a_message_shows_no_more_than_the_start_of_a_long_text() -> None:
    (found,) = findings('{"a": ' + "9" * 200_000 + "}")
    assert found.code == "D018"
    assert len(found.message) < 100
    assert found.span.end_column == 200_007

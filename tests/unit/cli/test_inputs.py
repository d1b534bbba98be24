"""`--input`: from text, file or standard input, checked against the schema."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import typer

from plait.cli.inputs import Given, checked_input, read_input
from tests.unit.compile.plans import call, plan_of

SCHEMA = {
    "type": "object",
    "required": ["user_id"],
    "additionalProperties": False,
    "properties": {
        "user_id": {"type": "string"},
        "limit": {"type": "integer", "maximum": 10, "default": 5},
    },
}


def refused(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(typer.Exit) as caught:
        read_input(text)
    assert caught.value.exit_code == 2
    return capsys.readouterr().err


def test_json_a_file_and_standard_input_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.json").write_text('{"a": 1}')
    assert read_input(f"@{tmp_path / 'in.json'}").value == {"a": 1}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[1]")))
    assert read_input("-").value == [1]
    assert read_input('"text"').value == "text"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1', "input:1:"),
        ("", "input: the input is empty; write {} for none\n"),
        (" \n", "input: the input is empty; write {} for none\n"),
        ("{'a': 1}", "input:1:2: the input is not JSON"),
        ("NaN", "input:1:"),
        ('{"a": 1, "a": 2}', "input: the input has the key 'a' twice"),
        ("[" * 100 + "]" * 100, "input: the input is nested deeper than 64 levels"),
        ('{\n"é": "\udcff"}', "input:2:7: byte 0xFF is not UTF-8\n"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(
    text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(text, capsys).startswith(said)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_input(f"@{tmp_path / 'in.json'}").value == {"a": 1}


def test_an_input_that_is_no_object_is_told_without_a_path(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit):
        checked_input(plan_of(call("a"), input=SCHEMA), Given([1]))
    assert capsys.readouterr().err == 'input: [1] is not of type "object"\n'


def test_a_file_that_is_missing_or_broken_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none.json"
    assert refused(f"@{missing}", capsys) == (
        f"{missing}: cannot be read: No such file or directory\n"
    )
    bad = tmp_path / "bad.json"
    bad.write_text('{\n  "a": \n}')
    assert refused(f"@{bad}", capsys).startswith(f"{bad}:3:1: ")


def test_every_violation_is_told_with_its_path(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(call("a"), input=SCHEMA)
    with pytest.raises(typer.Exit):
        checked_input(plan, Given({"limit": 11, "extra": 1}))
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.split(": ")[0] for line in lines) == [
        "input:/extra",
        "input:/limit",
        "input:/user_id",
    ]


def test_defaults_of_the_schema_are_filled_in() -> None:
    plan = plan_of(call("a"), input=SCHEMA)
    assert checked_input(plan, Given({"user_id": "u"})) == {"user_id": "u", "limit": 5}


def test_without_a_schema_anything_goes() -> None:
    assert checked_input(plan_of(call("a")), Given([1, None])) == [1, None]


WIDE = '{"n": 18446744073709551616}'


def test_an_integer_beyond_64_bits_is_refused_as_the_gateway_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit):
        checked_input(plan_of(call("a")), read_input(WIDE))
    assert capsys.readouterr().err == (
        "input:/n: the integer does not fit 64 bits; send it as a string\n"
    )


def test_an_integer_beyond_64_bits_is_a_number_where_the_schema_says_so() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "number"}}}
    plan = plan_of(call("a"), input=schema)
    assert checked_input(plan, read_input(WIDE)) == {"n": 1.8446744073709552e19}

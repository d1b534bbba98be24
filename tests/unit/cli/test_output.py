"""How commands write what programs read."""

from __future__ import annotations

import sys

import pytest

from plait.cli.output import write_json, write_json_line

TOLD = {"name": "hello", "tags": ["a"]}


def test_json_for_programs_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    write_json(TOLD)
    assert capsys.readouterr().out == '{"name":"hello","tags":["a"]}\n'


def test_lines_of_json_stay_lines_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    write_json_line(TOLD)
    assert capsys.readouterr().out == '{"name":"hello","tags":["a"]}\n'


def test_json_for_people_is_indented(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    write_json(TOLD)
    assert capsys.readouterr().out == (
        '{\n  "name": "hello",\n  "tags": [\n    "a"\n  ]\n}\n'
    )

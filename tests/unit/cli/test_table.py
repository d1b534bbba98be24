"""Tables: nothing is folded where a program reads them, and nothing is taken for markup."""

from __future__ import annotations

import re
import sys

import pytest

from plait.cli.table import print_rows

LONG = "x" * 150


def test_what_a_program_reads_is_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("NAME", "WHAT"), [("a", LONG), ("b", "y")])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["NAME", "WHAT"], ["a", LONG], ["b", "y"]]


def test_a_terminal_gets_lines_of_its_own_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    print_rows(("WHAT",), [(LONG,)])
    lines = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
    assert "".join(line.strip() for line in lines) == "WHAT" + LONG
    assert max(map(len, lines)) <= 60


def test_a_name_in_brackets_stays(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("NAME",), [("[red]shop[/red]",)])
    assert "[red]shop[/red]" in capsys.readouterr().out

"""What others wrote is shown, and commands no terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from plait.cli.output import write_json
from plait.cli.streams import say, write, write_document, write_if_heard
from plait.cli.table import print_rows
from plait.cli.timeline import timeline

# Clears the screen; C1 CSI; turns text around; rings.
NAME = "\x1b[2Jann\x9b1m\u202e\x07\r"
SHOWN = r"\x1b[2Jann\x9b1m\u202e\x07\x0d"


@pytest.mark.parametrize("told", [say, write, write_if_heard])
def test_control_characters_are_shown_as_codes(
    told: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told(f"a\n\tuser:{NAME} é\n")
    heard = capsys.readouterr()
    assert (heard.out + heard.err).rstrip() == f"a\n\tuser:{SHOWN} é"


def test_json_says_the_same_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_json({NAME: "\x7f"})
    heard = capsys.readouterr().out
    assert heard.strip().isprintable()
    assert json.loads(heard) == {NAME: "\x7f"}


def test_a_cell_of_a_table_is_text_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("NAME", "B"), [(f"{NAME}\n[/a] [bold]x[/bold] :smile:", "b")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [rf"{SHOWN}\n[/a] [bold]x[/bold] :smile:  b"]


def test_a_name_in_a_timeline_is_text() -> None:
    line = {"step": NAME, "status": "completed", "attempt": 1, "attempts": []}
    (text,) = timeline([{**line, "started_ms": 0.0, "ended_ms": 1.0}], 200)
    assert SHOWN in text.plain


def test_a_document_stays_as_it_is_unless_a_terminal_shows_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_document(f"{NAME}\n")
    assert capsys.readouterr().out == f"{NAME}\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    write_document(f"{NAME}\n")
    assert capsys.readouterr().out == f"{SHOWN}\n"

"""How commands speak: lines, JSON, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final, NoReturn

import orjson
import typer

EXIT_FAILED: Final = 1
EXIT_INVALID: Final = 2


def say(line: str) -> None:
    """Write a line to standard error."""
    typer.echo(line, err=True)


def stop(*lines: str, code: int = EXIT_INVALID) -> NoReturn:
    """Write `lines` to standard error and end with exit code `code`."""
    for line in lines:
        say(line)
    raise typer.Exit(code)


def stop_unless_fine(findings: Iterable[str]) -> None:
    """Go on if there are no findings; else write them all and end with EXIT_INVALID."""
    lines = list(findings)
    if lines:
        stop(*lines)


def json_text(value: Any, *, is_pretty: bool) -> str:
    """Return `value` as JSON: on one line, or indented by two spaces."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if is_pretty else None).decode()


def write(text: str) -> None:
    """Write `text`, which ends in a line end, to standard output, as UTF-8."""
    sys.stdout.flush()
    typer.echo(text.encode(), nl=False)

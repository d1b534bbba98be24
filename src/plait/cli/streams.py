"""The standard streams, whatever whoever started the command has made of them.

Rule 1. Output that cannot be written is told in a line and ends the command with
        EXIT_FAILED: an empty file must not look like a workflow without output. A reader
        that left (`| head`) knows it did; it is told nothing.
Rule 2. What is said beside the output, on standard error, is said if it can be: a full
        disk under a log changes neither the output nor the exit code.
Rule 3. A stream that failed is pointed at nothing, or the interpreter would try to write
        its buffer again on leaving, complain, and end with code 120.
Rule 4. What others wrote commands no terminal: names, errors and inputs are shown with
        their control characters as codes. Only whole documents go out as they are.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, Final, NoReturn, TextIO

import typer

from plait.model.visible import visible

EXIT_FAILED: Final = 1


def prepare() -> None:
    """Make the streams fit for any text. Called once, before anything is written."""
    if sys.stderr is None:  # closed by `2>&-`
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that cannot show a letter shows its code instead of an error.
            stream.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """Write a line to standard error, if that can be."""
    try:
        typer.echo(visible(line), err=True)
    except OSError:
        _give_up(sys.stderr)


def write(text: str) -> None:
    """Write `text`, which is empty or ends in a line end, to standard output, as UTF-8.

    Ends with EXIT_FAILED when it cannot be written.
    """
    write_document(visible(text))


def write_document(text: str) -> None:
    """Write a document as it is, or, where a terminal shows it, as `write` does.

    Ends with EXIT_FAILED when it cannot be written.
    """
    if is_terminal(sys.stdout):
        text = visible(text)
    if not text:
        return
    if sys.stdout is None:
        leave_unwritten("it is closed")
    try:
        typer.echo(text.encode(), nl=False)
    except OSError as error:
        leave_unwritten(error)


def write_if_heard(line: str) -> None:
    """Write a line to standard output; that nobody can hear it matters to nobody."""
    try:
        typer.echo(visible(line))
    except OSError:
        _give_up(sys.stdout)


def leave_unwritten(why: OSError | str) -> NoReturn:
    """Say why standard output cannot be written, and leave with EXIT_FAILED."""
    _give_up(sys.stdout)
    if not isinstance(why, BrokenPipeError):
        reason = why if isinstance(why, str) else why.strerror or str(why)
        say(f"standard output cannot be written: {reason}")
    raise SystemExit(EXIT_FAILED)


def is_terminal(stream: Any) -> bool:
    """Return whether a person reads `stream`; nobody reads one that is closed."""
    return stream is not None and stream.isatty()


def _give_up(stream: TextIO | None) -> None:
    # ValueError: a stream that a test put there may have no descriptor.
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)

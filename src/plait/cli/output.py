"""How commands speak: lines, JSON, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import orjson
import typer

from plait.cli.streams import (
    EXIT_FAILED,
    is_terminal,
    say,
    write,
    write_document,
)
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.visible import visible_json

__all__ = [
    "EXIT_FAILED",
    "EXIT_INVALID",
    "check_texts",
    "error_json",
    "is_terminal",
    "json_text",
    "say",
    "stop",
    "write",
    "write_document",
    "write_json",
    "write_json_line",
]

EXIT_INVALID: Final = 2
# orjson writes 254 levels; what an error quotes is for reading, and stays far below.
_QUOTED_DEPTH_MAX: Final = 32
_CUT: Final = "…"


def stop(*lines: str, code: int = EXIT_INVALID) -> NoReturn:
    """Write `lines` to standard error and end with exit code `code`."""
    for line in lines:
        say(line)
    raise typer.Exit(code)


def check_texts(given: Mapping[str, str | None]) -> None:
    """End with EXIT_INVALID when one of the texts that were `given` cannot be kept.

    Args:
        given: From an option's name to its text; None: it was not given.
    """
    for option, text in given.items():
        try:
            (text or "").encode()
        except UnicodeEncodeError:
            stop(f"{option}: this is not UTF-8")


def json_text(value: Any, *, is_pretty: bool) -> str:
    """Return `value` as JSON without control characters: on one line, or indented.

    Raises:
        TypeError: it is nested deeper than 254 levels, or nothing that JSON can hold.
    """
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if is_pretty else None)
    return visible_json(text.decode())


def write_json(value: Any) -> None:
    """Write `value` to standard output: indented where a terminal reads it.

    Raises:
        TypeError: See `json_text`.
    """
    write(json_text(value, is_pretty=is_terminal(sys.stdout)) + "\n")


def write_json_line(value: Any) -> None:
    """Write `value` to standard output as one line of JSON, whoever reads it.

    Raises:
        TypeError: See `json_text`.
    """
    write(json_text(value, is_pretty=False) + "\n")


def error_json(failure: Failure) -> JsonObject:
    """Return `failure` as `error` shows it; what its details nest too deep is cut off.

    >>> error_json(Failure("a.b", "m", {"x": [1]}))
    {'code': 'a.b', 'message': 'm', 'details': {'x': [1]}}
    """
    shown = failure.as_json()
    return {**shown, "details": cut_deep(shown["details"])}


def cut_deep(value: JsonValue, depth_max: int = _QUOTED_DEPTH_MAX) -> JsonValue:
    """Return `value` with `…` in place of what stands deeper than `depth_max` levels.

    >>> cut_deep({"a": [[1], 2]}, 2)
    {'a': ['…', 2]}
    """
    if not isinstance(value, (list, dict)):
        return value
    if not depth_max:
        return _CUT
    if isinstance(value, list):
        return [cut_deep(one, depth_max - 1) for one in value]
    return {key: cut_deep(one, depth_max - 1) for key, one in value.items()}

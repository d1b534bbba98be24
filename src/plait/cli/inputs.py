"""The `--input` of an execution: JSON from the command line, a file, or standard input."""

from __future__ import annotations

import codecs
from dataclasses import field
from pathlib import Path as FilePath

from plait.cli.output import stop
from plait.cli.standard_input import standard_input
from plait.drivers.inputs import Violation
from plait.gateway.body import Path, read_json, wide_integers
from plait.gateway.contract import InputContract
from plait.gateway.refusal import Malformed
from plait.model.json import JsonValue
from plait.model.record import record
from plait.plan import Plan


@record
class Given:
    """An input as it was given. `wide`: where it has integers beyond 64 bits."""

    value: JsonValue
    wide: list[Path] = field(default_factory=list)


def read_input(text: str) -> Given:
    """Return what `--input TEXT` says; ends with EXIT_INVALID when it cannot be read.

    Args:
        text: JSON, `@file`, or `-` for standard input.
    """
    name, data = _data_of(text)
    # Editors on Windows put a byte order mark before what they save.
    data = data.removeprefix(codecs.BOM_UTF8)
    _check_text(name, data)
    try:
        return Given(read_json(data), wide_integers(data))
    except Malformed as error:
        details = error.details or {}
        where = f":{details['line']}:{details['column']}" if "line" in details else ""
        said = str(error).replace("the body", "the input", 1)
        stop(f"{name}{where}: {said}{_hint(text)}")


def _check_text(name: str, data: bytes) -> None:
    if not data.strip():
        stop(f"{name}: the input is empty; write {{}} for none")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode()) + 1
        stop(f"{name}:{line}:{column}: byte 0x{data[error.start]:02X} is not UTF-8")


def _hint(text: str) -> str:
    """Return what to write instead, when the @ before a file's name was forgotten."""
    try:
        is_file = FilePath(text).is_file()
    except (OSError, ValueError):  # too long for a name, or a NUL in it
        return ""
    return f" (to read the file, write --input @{text})" if is_file else ""


def _data_of(text: str) -> tuple[str, bytes]:
    if text == "-":
        return "input", standard_input()
    if not text.startswith("@"):
        return "input", text.encode("utf-8", "surrogateescape")
    name = text[1:]
    if not name:
        stop("--input @: name a file after the @")
    try:
        return name, FilePath(name).read_bytes()
    except (OSError, ValueError) as error:
        stop(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}")


def checked_input(plan: Plan, given: Given) -> JsonValue:
    """Return the input with the schema's defaults filled in, as the gateway does.

    Ends with EXIT_INVALID, and every violation, when it does not fit the input schema.
    """
    contract, value = InputContract(plan.input_schema), given.value
    if isinstance(value, dict):
        contract.fill(value)
    violations = contract.without_room(given.wide) + contract.violations(value)
    if violations:
        stop(*(f"{_place(found)}: {found['message']}" for found in violations))
    return value


def _place(violation: Violation) -> str:
    return f"input:{violation['path']}" if violation["path"] else "input"

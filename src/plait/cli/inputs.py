"""The `--input` of an execution: JSON from the command line, a file, or standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from plait.cli.output import stop
from plait.gateway.body import read_json
from plait.gateway.contract import InputContract
from plait.gateway.refusal import Malformed
from plait.model.json import JsonValue
from plait.plan import Plan


def read_input(text: str) -> JsonValue:
    """Return the value of `--input TEXT`; ends with EXIT_INVALID when it cannot be read.

    Args:
        text: JSON, `@file`, or `-` for standard input.
    """
    name, data = _data_of(text)
    try:
        return read_json(data)
    except Malformed as error:
        details = error.details or {}
        where = f":{details['line']}:{details['column']}" if "line" in details else ""
        stop(f"{name}{where}: {str(error).replace('the body', 'the input', 1)}")


def _data_of(text: str) -> tuple[str, bytes]:
    if text == "-":
        return "input", sys.stdin.buffer.read()
    if not text.startswith("@"):
        return "input", text.encode("utf-8", "surrogateescape")
    name = text[1:]
    try:
        return name, Path(name).read_bytes()
    except OSError as error:
        stop(f"{name}: cannot be read: {error.strerror}")


def checked_input(plan: Plan, value: JsonValue) -> JsonValue:
    """Return `value` with the schema's defaults filled in, as the gateway does.

    Ends with EXIT_INVALID, and every violation, when it does not fit the input schema.
    """
    contract = InputContract(plan.input_schema)
    if isinstance(value, dict):
        contract.fill(value)
    violations = contract.violations(value)
    if violations:
        stop(*(f"input:{found['path']}: {found['message']}" for found in violations))
    return value

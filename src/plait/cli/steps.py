"""What each step was asked and answered, for people, under its timeline.

charge
  request    {"method":"POST","url":"http://bank/charge","body":{"amount":7}}
  attempt 1  connector.http.503: POST http://bank/charge answered 503
  response   {"receipt":17}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from plait.cli.output import cut_deep, json_text

# What fits two lines of a usual terminal; whoever wants all of it asks for all.
_CELLS_MAX: Final = 160


def step_lines(steps: Iterable[dict[str, Any]], *, is_whole: bool) -> Iterator[str]:
    """Yield the lines about the steps that have something to tell.

    Args:
        steps: As `plait.operations.shown_json` gives them.
        is_whole: Whether values are told whole, indented, however long they are.
    """
    for step in steps:
        told = list(_facts(step, is_whole=is_whole))
        if told:
            yield str(step["step"])
        for name, text in told:
            yield f"  {name:9}  {text}"


def _facts(step: dict[str, Any], *, is_whole: bool) -> Iterator[tuple[str, str]]:
    if "request" in step:
        yield "request", _value(step["request"], is_whole=is_whole)
    attempts = step["attempts"]
    if len(attempts) > 1:
        for number, attempt in enumerate(attempts, start=1):
            if "error" in attempt:
                yield f"attempt {number}", _error(attempt["error"])
    if "response" in step:
        yield "response", _value(step["response"], is_whole=is_whole)
    if "error" in step:
        yield "error", _error(step["error"])


def _value(value: Any, *, is_whole: bool) -> str:
    text = json_text(cut_deep(value), is_pretty=is_whole)
    if is_whole:
        return text.replace("\n", "\n" + " " * 13)
    return text if len(text) <= _CELLS_MAX else text[: _CELLS_MAX - 1] + "…"


def _error(error: dict[str, Any]) -> str:
    text = f"{error['code']}: {error['message']}"
    place = error.get("details", {}).get("place")
    return f"{text} (line {place['line']}, column {place['column']})" if place else text

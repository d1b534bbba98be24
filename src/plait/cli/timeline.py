"""The timeline of an execution for people: a bar per step on a common scale.

    user      ████████┄┄┄┄██████            0 – 212 ms   completed, 2 attempts
    orders    ██████                        0 – 91 ms    completed
    offers                      ██████    212 – 301 ms   failed: connector.http.503

A bar shows attempts; dots between them are waits before the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from rich.console import Console
from rich.text import Text

from plait.model.duration import format_ms
from plait.model.visible import visible_line

Line: TypeAlias = "dict[str, Any]"

_COLOURS: Final = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "skipped": "bright_black",
    "running": "cyan",
}
_CACHED: Final = {
    "hit": "cached",
    "stale": "cached, stale",
    "failed_over": "cached, as the call failed",
}
_ONCE: Final = {
    "replayed": "called before under its key",
    "shared": "called by another under its key",
    "unkept": "its reply could not be kept under its key",
}
_BAR_CELLS_MIN: Final = 12
_BAR_CELLS_MAX: Final = 60
_NAME_CELLS_MAX: Final = 36
_STEPS_SHOWN_MAX: Final = 200


def print_timeline(lines: Sequence[Line], *, title: str) -> None:
    """Write the timeline to standard error.

    Args:
        lines: As `plait.drivers.inline.Trace.as_json` gives them.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text(visible_line(title), style="bold"))
    for text in timeline(lines, console.width):
        console.print(text)


def timeline(lines: Sequence[Line], width: int) -> list[Text]:
    """Return a text per step, for a terminal of `width` cells."""
    shown = lines[:_STEPS_SHOWN_MAX]
    total_ms = max((line["ended_ms"] for line in lines), default=0.0)
    names = [visible_line(line["step"]) for line in shown]
    name_cells = min(max(map(len, names), default=0), _NAME_CELLS_MAX)
    notes = [visible_line(_note(line)) for line in shown]
    note_cells = max(map(len, notes), default=0)
    room = width - name_cells - note_cells - len("  1234567 – 1234567 ms   ") - 4
    bar_cells = max(_BAR_CELLS_MIN, min(room, _BAR_CELLS_MAX))
    texts = []
    for line, name, note in zip(shown, names, notes, strict=True):
        colour = _COLOURS.get(line["status"], "white")
        text = Text(f"  {_cut(name, name_cells):{name_cells}}  ", no_wrap=True)
        text.append(f"{_bar(line, total_ms, bar_cells):{bar_cells}}", style=colour)
        text.append(f" {line['started_ms']:>7.0f} – {line['ended_ms']:.0f} ms".ljust(22))
        texts.append(text.append(note, style=colour))
    if len(lines) > len(shown):
        texts.append(Text(f"  … and {len(lines) - len(shown)} more steps"))
    return texts


def _bar(line: Line, total_ms: float, cells: int) -> str:
    if line["status"] == "skipped":
        return ""
    bar = [" "] * cells
    _fill(bar, line["started_ms"], line["ended_ms"], total_ms, "┄")
    for attempt in line["attempts"]:
        _fill(bar, attempt["started_ms"], attempt["ended_ms"], total_ms, "█")
    return "".join(bar)


def _fill(
    bar: list[str], start_ms: float, end_ms: float, total_ms: float, sign: str
) -> None:
    """Draw a stretch; even the shortest takes one cell."""
    scale = len(bar) / total_ms if total_ms else 0.0
    first = min(int(start_ms * scale), len(bar) - 1)
    last = min(max(first + 1, round(end_ms * scale)), len(bar))
    bar[first:last] = sign * (last - first)


def _note(line: Line) -> str:
    note = str(line["status"])
    if line["attempt"] > 1:
        note += f", {line['attempt']} attempts"
    for attempt in line["attempts"]:
        note += "".join(f", {_said(one)}" for one in attempt.get("policies", ()))
    if line.get("by_fallback"):
        note += ", by fallback"
    if "error" in line:
        note += f": {line['error']['code']}"
    return note


def _said(note: dict[str, Any]) -> str:
    """Return what a policy did on the way of an attempt."""
    if note["policy"] == "hedge":
        by = note["answered"]
        end = "all failed" if by is None else f"call {by} answered"
        return f"{note['calls']} calls, {end}"
    if note["policy"] == "batch":
        return f"one of {note['lookups']} lookups in one call"
    if note["policy"] == "idempotency_key":
        age = f", {format_ms(note['age_ms'])} ago" if "age_ms" in note else ""
        return _ONCE[note["did"]] + age
    if note["policy"] != "cache":
        return f"waited {note['waited_ms']} ms for {note['policy']}"
    said = _CACHED[note["did"]]
    return said if "age_ms" not in note else f"{said}, {format_ms(note['age_ms'])} old"


def _cut(text: str, cells: int) -> str:
    return text if len(text) <= cells else text[: cells - 1] + "…"

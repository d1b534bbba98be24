"""Pictures for the terminal: a request's timeline, a workflow's graph, colours.

Nothing here talks to anything; text comes in, text goes out.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | float | None"

BAR_WIDTH = 44
BLOCKS = "█"
COLOURS = {"bold": "1", "dim": "2", "green": "32", "cyan": "36", "red": "31"}


def paint(colour: str, text: str) -> str:
    """Return `text` in a colour, when standard output is a terminal that wants any."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def pretty(value: JsonValue, margin: str = "", key: str = "", room: int = 92) -> str:
    """Return `value` as JSON text, each part on one line as long as it fits in `room`.

    Args:
        margin: Spaces before the value's lines.
        key: What stands before the value on its first line.

    >>> print(pretty({"a": [1, 2], "b": {"c": "long text", "d": 3}}, room=34))
    {
      "a": [1, 2],
      "b": {"c": "long text", "d": 3}
    }
    """
    line = key + json.dumps(value, ensure_ascii=False)
    if len(margin) + len(line) <= room or not isinstance(value, (dict, list)):
        return margin + line
    inner = margin + "  "
    if isinstance(value, dict):
        first, last = "{", "}"
        parts = [
            pretty(part, inner, f"{json.dumps(name)}: ", room)
            for name, part in value.items()
        ]
    else:
        first, last = "[", "]"
        parts = [pretty(item, inner, "", room) for item in value]
    return margin + key + first + "\n" + ",\n".join(parts) + f"\n{margin}{last}"


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of a timeline; moments in milliseconds since the request came in."""

    step: str
    started_ms: float
    ended_ms: float

    def overlaps(self, other: Bar) -> bool:
        """Tell whether both ran at some same moment."""
        return self.started_ms < other.ended_ms and other.started_ms < self.ended_ms


def read_server_timing(header: str) -> list[Bar]:
    """Return the steps that a `Server-Timing` header tells of, in order of their start.

    Skipped steps, and the total, are left out.

    >>> read_server_timing('user;start=0.3;dur=41.2;desc="completed", total;dur=45.1')
    [Bar(step='user', started_ms=0.3, ended_ms=41.5)]
    """
    bars = []
    for entry in re.findall(r'(?:[^,"]|"[^"]*")+', header):
        name = entry.strip().split(";")[0]
        taken = re.search(r"\bdur=([\d.]+)", entry)
        started = re.search(r"\bstart=([\d.]+)", entry)
        if taken and started and 'desc="skipped' not in entry:
            started_ms = float(started[1])
            bars.append(Bar(name, started_ms, round(started_ms + float(taken[1]), 3)))
    return sorted(bars, key=lambda bar: bar.started_ms)


def draw_timeline(bars: Sequence[Bar]) -> list[str]:
    """Return a line per step, its bar from start to end on a common scale.

    >>> for line in draw_timeline([Bar("a", 0, 20), Bar("b", 10, 40)]):
    ...     print(line)
      a  ██████████████████████                           0 –  20 ms
      b             █████████████████████████████████    10 –  40 ms
    """
    if not bars:
        return ["  (the reply told no timings)"]
    name_width = max(len(bar.step) for bar in bars)
    scale = BAR_WIDTH / max(max(bar.ended_ms for bar in bars), 1)
    lines = []
    for bar in bars:
        start = round(bar.started_ms * scale)
        length = max(round(bar.ended_ms * scale) - start, 1)
        picture = " " * start + paint("green", BLOCKS * length)
        picture += " " * (BAR_WIDTH - start - length)
        moments = f"{bar.started_ms:4.0f} – {bar.ended_ms:3.0f} ms"
        lines.append(f"  {bar.step:{name_width}}  {picture}  {moments}")
    return lines


def describe_overlap(bars: Sequence[Bar]) -> str:
    """Return a sentence about what ran at the same time, and what that saved.

    >>> describe_overlap([Bar("a", 0, 30), Bar("b", 0, 40), Bar("c", 30, 50)])
    'a and b ran at the same time: 90 ms of calls took 50 ms.'
    >>> describe_overlap([Bar("a", 0, 30), Bar("c", 30, 50)])
    'No two calls ran at the same time.'
    """
    first = [bar for bar in bars if all(bar.overlaps(b) for b in bars[:1])]
    if len(first) < 2:
        return "No two calls ran at the same time."
    names = [bar.step for bar in first]
    together = f"{', '.join(names[:-1])} and {names[-1]}"
    sum_ms = sum(bar.ended_ms - bar.started_ms for bar in bars)
    took_ms = max(bar.ended_ms for bar in bars) - min(bar.started_ms for bar in bars)
    return (
        f"{together} ran at the same time: {sum_ms:.0f} ms of calls took {took_ms:.0f} ms."
    )


def draw_graph(
    title: str,
    steps: Sequence[str],
    waits_for: Mapping[str, Sequence[str]],
    conditions: Mapping[str, str],
) -> list[str]:
    """Return a tree: each step below the step it waits for.

    A step that waits for several stands below the last of them and names the others.

    Args:
        title: What starts it all.
        steps: In document order.
        waits_for: Per step, the steps that must settle first.
        conditions: What must be true for a step to run, of those that have a condition.

    >>> waits = {"rewards": ["user"], "payment": ["user", "cart"]}
    >>> steps = ["user", "cart", "rewards", "payment"]
    >>> for line in draw_graph("request", steps, waits, {"rewards": "user.vip"}):
    ...     print(line)
      request
      ├─▶ user
      │   └─▶ rewards  (if user.vip)
      └─▶ cart
          └─▶ payment  (also after user)
    """
    below: dict[str, list[str]] = {}
    for step in steps:
        parents = sorted(waits_for.get(step, ()), key=list(steps).index)
        below.setdefault(parents[-1] if parents else "", []).append(step)
    lines = ["  " + paint("bold", title)]

    def draw(parent: str, margin: str) -> None:
        children = below.get(parent, [])
        for step in children:
            is_last = step == children[-1]
            lines.append(margin + ("└─▶ " if is_last else "├─▶ ") + step)
            others = sorted(set(waits_for.get(step, ())) - {parent}, key=steps.index)
            notes = [f"if {conditions[step]}"] if step in conditions else []
            notes += [f"also after {', '.join(others)}"] if others else []
            if notes:
                lines[-1] += paint("dim", f"  ({'; '.join(notes)})")
            draw(step, margin + ("    " if is_last else "│   "))

    draw("", "  ")
    return lines

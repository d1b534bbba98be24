"""Draw figures as bar charts: `python -m benchmarks.plot`.

Reads benchmarks/results/aggregate.json and durable.json, writes charts of the same names
to docs/benchmarks; what was not measured keeps the chart it has. The charts are plain SVG
that follows the reader's light or dark colours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from benchmarks.durable.peers import RAW
from benchmarks.durable.targets import W3_64, W3N_64
from benchmarks.harness.processes import ROOT
from benchmarks.harness.report import RESULTS

CHARTS: Final = ROOT / "docs" / "benchmarks"

WIDTH: Final = 720
LABEL_WIDTH: Final = 210
VALUE_WIDTH: Final = 150
TOP: Final = 64
ROW: Final = 38
BAR: Final = 22
HEADING: Final = 30

STYLE: Final = """
  text { font: 14px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .note { font-size: 12px; fill: #59636e; }
  .own { fill: #1a7f5a; }
  .other { fill: #afb8c1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .note { fill: #9198a1; }
    .own { fill: #2ea87a; }
    .other { fill: #545d68; }
  }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: as long as `per_s` is of the group's largest, with `value` behind it."""

    title: str
    per_s: float
    value: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Bars that are compared with each other, the longest first; a heading, or none."""

    heading: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        """How much room it takes."""
        return ROW * len(self.bars) + (HEADING if self.heading else 0)


def draw(results: dict[str, Any]) -> str:
    """Return the chart of `results` (the content of aggregate.json) as SVG text."""
    bars = [
        Bar(
            peer["title"],
            peer["per_s_median"],
            f"{peer['per_s_median']:,.0f}/s · p99 {peer['p99_ms_median']:.0f} ms",
            peer["name"] == "plait",
        )
        for peer in results["peers"]
    ]
    settings = results["settings"]
    conditions = (
        f"One core for the server, {settings['connections']} keep-alive connections, "
        f"median of {settings['rounds']} interleaved rounds; longer is better"
    )
    title = "Requests per second: one endpoint that makes three calls"
    return _chart(title, conditions, [_group("", bars)], results)


def draw_durable(results: dict[str, Any]) -> str:
    """Return the chart of `results` (the content of durable.json) as SVG text."""
    groups = []
    for kind, heading in (
        (W3N_64, "Three steps that do nothing"),
        (W3_64, "Three HTTP calls, each with the result of the one before"),
    ):
        bars = [
            Bar(
                title,
                one["per_s_median"],
                f"{one['per_s_median']:,.0f}/s · p50 {one['p50_ms_median'] or 0:,.0f} ms",
                title.startswith("Plait"),
            )
            for title, one in results["figures"].get(kind, {}).items()
            if title != RAW
        ]
        groups += [_group(heading, bars)] if bars else []
    conditions = (
        "64 in flight, each result on the disk before the next step, median of "
        f"{results['settings']['rounds']} interleaved rounds; longer is better"
    )
    return _chart("Durable workflows per second", conditions, groups, results)


def _group(heading: str, bars: Sequence[Bar]) -> Group:
    return Group(heading, sorted(bars, key=lambda bar: -bar.per_s))


def _chart(
    title: str, conditions: str, groups: Sequence[Group], results: dict[str, Any]
) -> str:
    height = TOP + sum(group.height for group in groups) + 34
    lines, y = [], TOP
    for group in groups:
        lines += _group_lines(group, y)
        y += group.height
    body = "\n".join(lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title">\n'
        f"<style>{STYLE}</style>\n"
        f'<text id="title" class="title" x="0" y="20">{escape(title)}</text>\n'
        f'<text class="note" x="0" y="42">{escape(conditions)}</text>\n'
        f"{body}\n"
        f'<text class="note" x="0" y="{height - 8}">{escape(_machine(results))}</text>\n'
        "</svg>\n"
    )


def _group_lines(group: Group, y: int) -> list[str]:
    lines = []
    if group.heading:
        lines.append(f'<text x="0" y="{y + 12}">{escape(group.heading)}</text>')
        y += HEADING
    longest = max((bar.per_s for bar in group.bars), default=0) or 1
    for index, bar in enumerate(group.bars):
        length = bar.per_s / longest * (WIDTH - LABEL_WIDTH - VALUE_WIDTH)
        lines.append(_row(bar, max(length, 2), y + ROW * index))
    return lines


def _row(bar: Bar, length: float, y: int) -> str:
    kind = "own" if bar.is_own else "other"
    return (
        f'<text x="0" y="{y + 16}">{escape(bar.title)}</text>'
        f'<rect class="{kind}" x="{LABEL_WIDTH}" y="{y}" rx="3" '
        f'width="{length:.1f}" height="{BAR}"/>'
        f'<text x="{LABEL_WIDTH + length + 8:.1f}" y="{y + 16}">{escape(bar.value)}</text>'
    )


def _machine(results: dict[str, Any]) -> str:
    facts = results["machine"]
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}, "
        f"Python {facts['python']}, {results['taken_at'][:10]}"
    )


DRAWN: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "aggregate": draw,
    "durable": draw_durable,
}


def main(source: Path = RESULTS, target: Path = CHARTS) -> int:
    """Draw the charts of what is in the folder `source`; return the exit code."""
    target.mkdir(parents=True, exist_ok=True)
    found = [name for name in DRAWN if (source / f"{name}.json").exists()]
    for name in found:
        results = json.loads((source / f"{name}.json").read_text())
        path = target / f"{name}.svg"
        path.write_text(DRAWN[name](results))
        print(f"written to {path}")
    if not found:
        print(f"there are no results in {source}: run `make bench` first")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())

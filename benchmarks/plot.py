"""Draw the aggregate figures as a bar chart: `python -m benchmarks.plot`.

Reads benchmarks/results/aggregate.json, writes docs/benchmarks/aggregate.svg. The chart
is plain SVG that follows the reader's light or dark colours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from benchmarks.harness.processes import ROOT
from benchmarks.harness.report import RESULTS

SOURCE: Final = RESULTS / "aggregate.json"
TARGET: Final = ROOT / "docs" / "benchmarks" / "aggregate.svg"

WIDTH: Final = 720
LABEL_WIDTH: Final = 210
VALUE_WIDTH: Final = 150
TOP: Final = 64
ROW: Final = 38
BAR: Final = 22

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


def draw(results: dict[str, Any]) -> str:
    """Return the chart of `results` (the content of aggregate.json) as SVG text."""
    peers = sorted(results["peers"], key=lambda peer: -float(peer["per_s_median"]))
    height = TOP + ROW * len(peers) + 34
    bars = "\n".join(_row(peer, index, peers) for index, peer in enumerate(peers))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title">\n'
        f"<style>{STYLE}</style>\n"
        f'<text id="title" class="title" x="0" y="20">'
        "Requests per second: one endpoint that makes three calls</text>\n"
        f'<text class="note" x="0" y="42">{escape(_conditions(results))}</text>\n'
        f"{bars}\n"
        f'<text class="note" x="0" y="{height - 8}">{escape(_machine(results))}</text>\n'
        "</svg>\n"
    )


def _row(peer: dict[str, Any], index: int, peers: Sequence[dict[str, Any]]) -> str:
    per_s = float(peer["per_s_median"])
    length = per_s / float(peers[0]["per_s_median"]) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH)
    y = TOP + ROW * index
    kind = "own" if peer["name"] == "plait" else "other"
    value = f"{per_s:,.0f}/s · p99 {peer['p99_ms_median']:.0f} ms"
    return (
        f'<text x="0" y="{y + 16}">{escape(peer["title"])}</text>'
        f'<rect class="{kind}" x="{LABEL_WIDTH}" y="{y}" rx="3" '
        f'width="{max(length, 2):.1f}" height="{BAR}"/>'
        f'<text x="{LABEL_WIDTH + max(length, 2) + 8:.1f}" y="{y + 16}">{value}</text>'
    )


def _conditions(results: dict[str, Any]) -> str:
    settings = results["settings"]
    return (
        f"One core for the server, {settings['connections']} keep-alive connections, "
        f"median of {settings['rounds']} interleaved rounds; longer is better"
    )


def _machine(results: dict[str, Any]) -> str:
    facts = results["machine"]
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}, "
        f"Python {facts['python']}, {results['taken_at'][:10]}"
    )


def main(source: Path = SOURCE, target: Path = TARGET) -> int:
    """Draw the chart; return the exit code."""
    if not source.exists():
        print(f"{source} is not there: run `python -m benchmarks aggregate` first")
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(draw(json.loads(source.read_text())))
    print(f"written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

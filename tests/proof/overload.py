"""Row 9: three times as much is asked of the gateway as it can do.

Express executions, whose cost is the processor's, and starts of durable ones, whose cost is
the store's: those whose result is waited for, and large ones that are only accepted. All
with the settings that a gateway has by default. What it can do is measured in the same run.
Then three times that is offered at a steady rate, whatever becomes of it: answers count
from the moment when their requests were due. What was accepted has to end.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from tests.acceptance.gateways import ROOT, GatewayProcess, request_bytes, serving
from tests.proof.scorecard import Outcome, Scale
from tests.proof.traffic import Seen, Traffic

TIMES: Final = 3.0
GOODPUT_MIN: Final = 0.8
P99_MS_MAX: Final = 1_000.0
GROWTH_MAX: Final = 1.2
PLANTED: Final = Path(__file__).parent / "planted_endless"
_WHOLE_S: Final = 60.0
_LITTLE_S: Final = 2.0
_CAPACITY_S: Final = (2.0, 8.0)
_CLIENTS: Final = 32
_LOOK_EVERY_S: Final = 1.0
# In an interpreter memory is handed back in lumps.
_LUMP_KB: Final = 30_000
# About 6 ms of the processor: far more than it costs to say no, as workflows do.
_COSTLY: Final = f"""\
name: costly
mode: express
endpoint: {{path: /costly}}
steps:
  - id: a
    type: foreach
    items: {[*range(200)]}
    steps: [{{id: b, type: set, value: "${{item * 2}}"}}]
output: done
"""
_KEPT: Final = """\
name: kept
mode: durable
endpoint: {method: POST, path: /kept, wait: 9s}
steps: [{id: a, type: set, value: 1}]
output: done
"""
# Between accepting it and its end there is a moment in which others come.
_LATER: Final = """\
name: later
mode: durable
endpoint: {method: POST, path: /later, wait: 0s}
steps: [{id: nap, type: wait, for: 500ms}]
output: done
"""
_DRAIN_S: Final = 120.0


@dataclass(frozen=True)
class _Load:
    """One kind of work."""

    name: str
    request: bytes


_LOADS: Final = (
    _Load("express", request_bytes("/costly")),
    _Load("durable", request_bytes("/kept", "POST", body={"pad": "x" * 20_000})),
    _Load("accepted", request_bytes("/later", "POST", body={"pad": "x" * 100_000})),
)


def run(scale: Scale) -> Outcome:
    """Offer too much of each kind; then to a gateway that refuses nothing."""
    is_whole = scale.share >= 1
    outcome = Outcome()
    for load in _LOADS:
        uvloop.run(_overload(load, outcome, is_whole=is_whole))
    planted = Outcome()
    uvloop.run(_overload(_LOADS[0], planted, is_whole=False, planted=PLANTED))
    nothing = [one for one in planted.broken if "nothing was refused" in one]
    name = "planted: everything is taken in"
    outcome.figures[name] = nothing[0] if nothing else "not caught"
    if not nothing:
        outcome.broken.append("a gateway that takes everything in is not caught")
    return outcome


async def _overload(
    load: _Load, outcome: Outcome, *, is_whole: bool, planted: Path | None = None
) -> None:
    async with _served(planted) as gateway:
        traffic = Traffic(gateway.address, load.request)
        await traffic.rush(_CLIENTS, 1.0)
        rush_s, begun_s = _CAPACITY_S[is_whole], _busy_s(gateway)
        rush = await traffic.rush(_CLIENTS, rush_s)
        capacity = rush.good / rush_s
        each_s = (_busy_s(gateway) - begun_s) / max(rush.good, 1)
        seconds = _WHOLE_S if is_whole else _LITTLE_S
        sizes: list[int] = []
        looking = asyncio.create_task(_look(gateway, sizes))
        begun_s = _busy_s(gateway)
        seen = await traffic.stream(TIMES * capacity, seconds)
        busy_s = _busy_s(gateway) - begun_s
        looking.cancel()
        after = await traffic.rush(_CLIENTS, rush_s)
        # What else runs on the machine may have come or gone meanwhile.
        capacity = (capacity + after.good / rush_s) / 2
        await traffic.close()
        left = await _left(gateway)
    figures = outcome.figures
    figures |= {
        f"{load.name}: capacity, 1/s": round(capacity, 1),
        f"{load.name}: offered": seen.statuses.total(),
        f"{load.name}: done": seen.good,
        f"{load.name}: refused with advice": seen.refused - seen.without_advice,
        f"{load.name}: goodput / capacity": round(seen.good / seconds / capacity, 2),
        f"{load.name}: the same by the processor's time": round(
            seen.good * each_s / max(busy_s, each_s), 2
        ),
        f"{load.name}: p99 of what was done, ms": round(seen.quantile_ms(0.99)),
        f"{load.name}: memory, MB": f"{sizes[0] // 1024} … {sizes[-1] // 1024}",
    }
    _judge(load.name, seen, after, outcome)
    if left:
        outcome.broken.append(f"{load.name}: {left:.0f} that were accepted have not ended")
    if is_whole:
        _judge_memory(load.name, sizes, outcome)
        _judge_figures(load.name, seen, seconds * capacity, outcome)


def _judge(name: str, seen: Seen, after: Seen, outcome: Outcome) -> None:
    """Judge answers: what holds on every machine."""
    if seen.others():
        outcome.broken.append(f"{name}: answers were {seen.others()}")
    if seen.without_advice:
        text = f"{seen.without_advice} refusals do not say when to come again"
        outcome.broken.append(f"{name}: {text}")
    if not seen.refused:
        outcome.broken.append(f"{name}: nothing was refused: nothing is proved")
    if not seen.good:
        outcome.broken.append(f"{name}: nothing was done")
    if not after.good:
        outcome.broken.append(f"{name}: nothing is done when the rush is over")


def _judge_figures(name: str, seen: Seen, could_be: float, outcome: Outcome) -> None:
    if seen.good < GOODPUT_MIN * could_be:
        outcome.broken.append(f"{name}: goodput is {seen.good / could_be:.2f} of capacity")
    p99_ms = seen.quantile_ms(0.99)
    if p99_ms > P99_MS_MAX:
        outcome.broken.append(f"{name}: p99 of what was done is {p99_ms:.0f} ms")


def _judge_memory(name: str, sizes: list[int], outcome: Outcome) -> None:
    early = max(sizes[: max(len(sizes) // 4, 1)])
    if sizes[-1] > max(GROWTH_MAX * early, early + _LUMP_KB):
        text = f"from {early // 1024} to {sizes[-1] // 1024} MB"
        outcome.broken.append(f"{name}: memory grew {text}")


async def _look(gateway: GatewayProcess, sizes: list[int]) -> None:
    """Note how much memory the gateway holds, kB, again and again."""
    status = Path(f"/proc/{gateway.process.pid}/status")
    while True:
        lines = status.read_text().splitlines()
        sizes += [int(one.split()[1]) for one in lines if one.startswith("VmRSS:")]
        await asyncio.sleep(_LOOK_EVERY_S)


def _busy_s(gateway: GatewayProcess) -> float:
    """Return how long the gateway has kept processors busy.

    On a machine where others work too this tells what refusing costs; the clock does not.
    """
    stat = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


async def _left(gateway: GatewayProcess) -> float:
    """Return how many executions began and have not ended, when they have had time to."""
    until_s = time.monotonic() + _DRAIN_S
    while True:
        text = (await gateway.ask("/metrics")).body.decode()
        left = _total(text, "started") - _total(text, "ended")
        if left <= 0 or time.monotonic() > until_s:
            return left
        await asyncio.sleep(_LOOK_EVERY_S)


def _total(metrics: str, what: str) -> float:
    found = re.findall(rf"(?m)^plait_executions_{what}_total{{.*}} (\S+)$", metrics)
    return sum(map(float, found))


@asynccontextmanager
async def _served(planted: Path | None) -> AsyncIterator[GatewayProcess]:
    first = [] if planted is None else [planted]
    path = os.pathsep.join(map(str, (*first, ROOT / "src")))
    settings = {"PYTHONPATH": path}
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        for word, text in (("costly", _COSTLY), ("kept", _KEPT), ("later", _LATER)):
            (Path(name) / f"{word}.yaml").write_text(text)
        async with serving(Path(name), settings=settings) as gateway:
            yield gateway

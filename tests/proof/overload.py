"""Row 9: three times as much is asked of the gateway as it can do.

Express executions, whose cost is the processor's, and starts of durable ones, whose cost is
the store's. What it can do is measured in the same run. Then three times that is offered at
a steady rate, whatever becomes of it: answers count from the moment when their requests
were due.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
# About 5 ms of the processor: far more than it costs to say no, as workflows do.
_COSTLY: Final = f"""\
name: costly
mode: express
endpoint: {{path: /costly}}
steps:
  - id: a
    type: foreach
    items: {[*range(100)]}
    steps: [{{id: b, type: set, value: "${{item * 2}}"}}]
output: done
"""
_KEPT: Final = """\
name: kept
mode: durable
endpoint: {method: POST, path: /kept, wait: 0s}
steps: [{id: a, type: set, value: 1}]
output: done
"""


@dataclass(frozen=True)
class _Load:
    """One kind of work.

    Attributes:
        p99_ms_max: What it is to keep to; None: it is only told. A durable start goes
            through several turns of the loop, and then waits for the store.
    """

    name: str
    request: bytes
    p99_ms_max: float | None = None


_LOADS: Final = (
    _Load("express", request_bytes("/costly"), P99_MS_MAX),
    _Load("durable", request_bytes("/kept", "POST", body={"pad": "x" * 100_000})),
)


def run(scale: Scale) -> Outcome:
    """Offer too much of each kind; then to a gateway that refuses nothing."""
    is_whole = scale.share >= 1
    outcome = Outcome()
    for load in _LOADS:
        asyncio.run(_overload(load, outcome, is_whole=is_whole))
    planted = Outcome()
    asyncio.run(_overload(_LOADS[0], planted, is_whole=False, planted=PLANTED))
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
        easy = await traffic.rush(_CLIENTS, _CAPACITY_S[is_whole])
        capacity = easy.good / _CAPACITY_S[is_whole]
        seconds = _WHOLE_S if is_whole else _LITTLE_S
        sizes: list[int] = []
        looking = asyncio.create_task(_look(gateway, sizes))
        seen = await traffic.stream(TIMES * capacity, seconds)
        looking.cancel()
        after = await traffic.rush(1, 0.2)
        await traffic.close()
    figures = outcome.figures
    figures |= {
        f"{load.name}: capacity, 1/s": round(capacity, 1),
        f"{load.name}: offered": seen.statuses.total(),
        f"{load.name}: done": seen.good,
        f"{load.name}: refused with advice": seen.refused - seen.without_advice,
        f"{load.name}: goodput / capacity": round(seen.good / seconds / capacity, 2),
        f"{load.name}: p99 of what was done, ms": round(seen.quantile_ms(0.99)),
        f"{load.name}: memory, MB": f"{sizes[0] // 1024} … {sizes[-1] // 1024}",
    }
    _judge(load, seen, after, outcome)
    if is_whole:
        _judge_memory(load.name, sizes, outcome)
        if load.p99_ms_max is not None:
            _judge_figures(load, seen, seconds * capacity, outcome)


def _judge(load: _Load, seen: Seen, after: Seen, outcome: Outcome) -> None:
    """Judge answers: what holds on every machine."""
    name = load.name
    if seen.others():
        outcome.broken.append(f"{name}: answers were {seen.others()}")
    if seen.without_advice:
        text = f"{seen.without_advice} refusals do not say when to come again"
        outcome.broken.append(f"{name}: {text}")
    # One process of clients may not be able to ask for too many durable starts.
    if not seen.refused and load.p99_ms_max is not None:
        outcome.broken.append(f"{name}: nothing was refused: nothing is proved")
    if not seen.good:
        outcome.broken.append(f"{name}: nothing was done")
    if not after.good:
        outcome.broken.append(f"{name}: nothing is done when the rush is over")


def _judge_figures(load: _Load, seen: Seen, could_be: float, outcome: Outcome) -> None:
    if seen.good < GOODPUT_MIN * could_be:
        share = seen.good / could_be
        outcome.broken.append(f"{load.name}: goodput is {share:.2f} of capacity")
    p99_ms = seen.quantile_ms(0.99)
    if load.p99_ms_max is not None and p99_ms > load.p99_ms_max:
        outcome.broken.append(f"{load.name}: p99 of what was done is {p99_ms:.0f} ms")


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


@asynccontextmanager
async def _served(planted: Path | None) -> AsyncIterator[GatewayProcess]:
    first = [] if planted is None else [planted]
    settings = {"PYTHONPATH": os.pathsep.join(map(str, (*first, ROOT / "src")))}
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        for word, text in (("costly", _COSTLY), ("kept", _KEPT)):
            (Path(name) / f"{word}.yaml").write_text(text)
        async with serving(Path(name), settings=settings) as gateway:
            yield gateway

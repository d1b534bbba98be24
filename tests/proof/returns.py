"""Row 16, of the real gateway: `kill -9` with 64 executions in flight, and how long after
the next start all of them run again.

An execution runs again when the call that was cut off has reached its service once more.
The clock starts before the process does, so that Python's own start counts.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Final

from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.gateways import GatewayProcess, serving
from tests.proof.paying import until_nothing_runs
from tests.proof.scorecard import Outcome, Scale

KILLS: Final = 20
IN_FLIGHT: Final = 64
RETURN_S_MAX: Final = 1.0
STUCK_S_MAX: Final = 60
HOLD: Final = """\
name: hold
endpoint: {method: POST, path: /hold, wait: 5s}
input:
  type: object
  required: [order]
  properties: {order: {type: integer}}
steps:
  - {id: first, type: http, request: {method: POST, url: http://bank/first}}
  - {id: hold, type: http, depends_on: [first],
     request: {method: POST, url: "http://bank/hold/${input.order}"}}
"""


class Holding:
    """Answers at once, but keeps `hold` calls waiting until it is told to go on."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.goes_on = asyncio.Event()
        self._change = asyncio.Condition()

    async def answer(self, peer: Peer, request: Request) -> None:
        """Take in a request; answer it, sooner or later."""
        if request.target.startswith("/hold"):
            async with self._change:
                self.asked.add(request.headers["idempotency-key"])
                self._change.notify_all()
            await self.goes_on.wait()
        with suppress(ConnectionError):  # whoever asked may be dead by now
            await reply(json={})(peer, request)

    async def until_asked(self, count: int) -> float:
        """Return when so many different calls have come, and at what moment."""
        async with asyncio.timeout(STUCK_S_MAX), self._change:
            await self._change.wait_for(lambda: len(self.asked) >= count)
        return time.monotonic()


def run(scale: Scale) -> Outcome:
    """Kill the gateway again and again; time how long everything takes to run again."""
    return asyncio.run(_run(scale.of(KILLS, 2)))


async def _run(kills: int) -> Outcome:
    outcome, bank = Outcome({"kills": 0}), Holding()
    after_s: list[float] = []
    ready_s: list[float] = []
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        folder = Path(name)
        (folder / "hold.yaml").write_text(HOLD)
        async with Upstream(bank.answer) as upstream:
            for kill in range(kills):
                known = await _killed_in_flight(folder, upstream, bank, kill)
                outcome.figures["kills"] += 1
                bank.asked, bank.goes_on = set(), asyncio.Event()
                begun_at = time.monotonic()
                async with _gateway(folder, upstream):
                    ready_s.append(time.monotonic() - begun_at)
                    after_s.append(await bank.until_asked(IN_FLIGHT) - begun_at)
                    if bank.asked != known:
                        outcome.broken.append(f"kill {kill + 1}: other calls came again")
                    bank.goes_on.set()
                    await until_nothing_runs(folder, outcome)
    outcome.figures |= {
        "in flight": IN_FLIGHT,
        "all run again after, s, median": round(statistics.median(after_s), 2),
        "all run again after, s, worst": round(max(after_s), 2),
        "it listens after, s, median": round(statistics.median(ready_s), 2),
        "of the kills within 1 s": sum(one <= RETURN_S_MAX for one in after_s),
    }
    return outcome


async def _killed_in_flight(
    folder: Path, upstream: Upstream, bank: Holding, kill: int
) -> set[str]:
    """Kill a gateway with all in flight; return the keys of their calls."""
    bank.asked, bank.goes_on = set(), asyncio.Event()
    async with _gateway(folder, upstream) as gateway:
        orders = range(kill * IN_FLIGHT, (kill + 1) * IN_FLIGHT)
        await asyncio.gather(*(_order(gateway, order) for order in orders))
        await bank.until_asked(IN_FLIGHT)
        gateway.process.kill()
        await gateway.process.wait()
    return bank.asked


async def _order(gateway: GatewayProcess, order: int) -> None:
    headers = {"idempotency_key": f"order-{order}", "prefer": "respond-async"}
    answer = await gateway.ask("/hold", "POST", body={"order": order}, **headers)
    assert answer.status == 202, answer


def _gateway(
    folder: Path, upstream: Upstream
) -> AbstractAsyncContextManager[GatewayProcess]:
    store = f"--store={folder / 'plait.db'}"
    return serving(folder / "hold.yaml", upstreams={"bank": upstream}, arguments=[store])

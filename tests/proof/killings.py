"""Row 3: `kill -9` of the real gateway under load, again and again, with a payment service
that counts.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from plait.testing.upstream import Upstream
from tests.acceptance.gateways import GatewayProcess, serving
from tests.proof.deaths import read_histories
from tests.proof.paying import Bank, judge, until_nothing_runs, write_document
from tests.proof.scorecard import Outcome, Scale

KILLS: Final = 200
CLIENTS: Final = 16
READY_S_MAX: Final = 5.0
LIFE_S: Final = (0.05, 0.6)


class Shop:
    """Clients that order, and order again with the same key until they are heard."""

    def __init__(self) -> None:
        self.gateway: GatewayProcess | None = None
        self.is_open = True
        self.accepted: dict[str, int] = {}
        self._next = 0
        self._change = asyncio.Event()

    def opens_at(self, gateway: GatewayProcess | None) -> None:
        """Order there from now on; None: nowhere."""
        self.gateway = gateway
        self._change.set()
        self._change = asyncio.Event()

    async def client(self) -> None:
        """Place order after order until the shop closes; end with one that was accepted."""
        while self.is_open:
            self._next += 1
            number = self._next
            while (accepted := await self._order(number)) is None:
                pass
            self.accepted[accepted] = number

    async def _order(self, number: int) -> str | None:
        gateway, change = self.gateway, self._change
        if gateway is None:
            await change.wait()
            return None
        key = f"order-{number}"
        headers = {"idempotency_key": key}
        if number % 2:
            headers["prefer"] = "respond-async"
        with suppress(OSError, EOFError, ValueError, TimeoutError):
            asked = gateway.ask("/pay", "POST", body={"order": number}, **headers)
            answer = await asyncio.wait_for(asked, READY_S_MAX)
            if answer.status in (200, 202):
                return answer.headers["plait-execution-id"]
        if gateway is self.gateway:
            # Nobody has noticed yet that it is dead: let others do so.
            await asyncio.sleep(0)
        return None


def run(scale: Scale) -> Outcome:
    """Kill the gateway again and again while clients pay."""
    return asyncio.run(_run(scale))


async def _run(scale: Scale) -> Outcome:
    kills = scale.of(KILLS, 3)
    lot = Random(3)
    bank, shop, ready_s = Bank(), Shop(), list[float]()
    outcome = Outcome({"kills": 0})
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        folder = Path(name)
        write_document(folder, nap="40ms")
        async with Upstream(bank.answer) as upstream:
            clients = [asyncio.create_task(shop.client()) for _ in range(CLIENTS)]
            for life in count():
                begun_at = time.monotonic()
                store = f"--store={folder / 'plait.db'}"
                served = serving(
                    folder / "pay.yaml", upstreams={"bank": upstream}, arguments=[store]
                )
                async with served as gateway:
                    ready_s.append(time.monotonic() - begun_at)
                    shop.opens_at(gateway)
                    if life < kills and not scale.is_over():
                        await asyncio.sleep(lot.uniform(*LIFE_S))
                        shop.opens_at(None)
                        gateway.process.kill()
                        outcome.figures["kills"] += 1
                        continue
                    shop.is_open = False
                    await asyncio.gather(*clients)
                    await until_nothing_runs(folder, outcome)
                    break
        found = await read_histories(str(folder / "plait.db"))
        judge(found, bank, shop.accepted, outcome)
    if not outcome.figures["requests repeated with their key"]:
        outcome.broken.append("no call was ever cut off: nothing is proved of those")
    outcome.figures["median start, s"] = round(statistics.median(ready_s), 2)
    outcome.figures["slowest start, s"] = round(max(ready_s), 2)
    # In little it runs beside other tests, on two cores: then a start proves nothing.
    if kills >= KILLS and max(ready_s) > READY_S_MAX:
        outcome.broken.append(f"it was ready after {max(ready_s):.1f} s")
    return outcome

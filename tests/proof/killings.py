"""Row 3: `kill -9` of the real gateway under load, again and again, with a payment service
that counts.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from plait.ports.journal import RUNNING, History, Search, StoreUnavailable
from plait.stores.sqlite import SqliteStore
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.gateways import GatewayProcess, serving
from tests.proof.deaths import read_histories
from tests.proof.scorecard import Outcome, Scale

KILLS: Final = 200
CLIENTS: Final = 16
READY_S_MAX: Final = 5.0
LIFE_S: Final = (0.05, 0.6)
CALM_S_MAX: Final = 120
LOOK_EVERY_S: Final = 0.1
PAY: Final = """\
name: pay
endpoint: {method: POST, path: /pay, wait: 5s}
input:
  type: object
  required: [order]
  properties: {order: {type: integer}}
steps:
  - {id: hold, type: http, request: {method: POST, url: http://bank/hold}}
  - {id: nap, type: wait, for: 40ms, depends_on: [hold]}
  - {id: charge, type: http, depends_on: [nap],
     request: {method: POST, url: "http://bank/charge/${input.order}"}}
output: "${charge.response.charged}"
"""


class Bank:
    """Takes payments: what comes again with a known key has happened already."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.charged: Counter[str] = Counter()
        self.without_key = 0

    async def answer(self, peer: Peer, request: Request) -> None:
        """Take one request in, and answer it after a while."""
        key = request.headers.get("idempotency-key")
        if key is None:
            self.without_key += 1
        else:
            self.requests[key] += 1
            if self.requests[key] == 1 and request.target.startswith("/charge"):
                self.charged[request.target] += 1
        await asyncio.sleep(len(self.requests) % 7 / 200)
        await reply(json={"charged": True})(peer, request)


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
        (folder / "pay.yaml").write_text(PAY)
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


async def until_nothing_runs(folder: Path, outcome: Outcome) -> None:
    """Return when every execution in the folder's store has ended."""
    store = await SqliteStore.open(folder / "plait.db")
    try:
        async with asyncio.timeout(CALM_S_MAX):
            while True:
                with suppress(StoreUnavailable):
                    if not await store.find(Search(statuses=(RUNNING,), limit=1)):
                        return
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        outcome.broken.append("not everything has come to its end")
    finally:
        await store.close()


def judge(
    found: dict[str, History], bank: Bank, accepted: Mapping[str, int], outcome: Outcome
) -> None:
    """Hold what was accepted, by its id, and what was paid against what is in the store."""
    repeated = sum(count - 1 for count in bank.requests.values())
    outcome.figures |= {
        "accepted": len(accepted),
        "executions": len(found),
        "payments": bank.charged.total(),
        "requests repeated with their key": repeated,
    }
    lost = [name for name in accepted if name not in found]
    outcome.broken += [f"accepted and lost: {name}" for name in lost]
    for name, history in found.items():
        if history.summary.standing.status != "completed":
            outcome.broken.append(f"{name} is {history.summary.standing.status}")
    wanted = {f"{name}/{step}" for name in found for step in ("hold", "charge")}
    if set(bank.requests) != wanted or bank.without_key:
        outcome.broken.append("the bank knows other keys than those of the executions")
    twice = [target for target, count in bank.charged.items() if count > 1]
    outcome.broken += [f"paid twice: {target}" for target in twice]
    keys = Counter(history.summary.new.key for history in found.values())
    outcome.broken += [f"begun twice: {key}" for key, count in keys.items() if count > 1]

"""Orders that are paid: a workflow behind an endpoint, and a bank that counts.

What rows 3 and 15 hold against each other when the gateway has been killed, or stopped.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from plait.ports.journal import RUNNING, History, Search, StoreUnavailable
from plait.stores.sqlite import SqliteStore
from plait.testing.upstream import Peer, Request
from plait.testing.upstream_scripts import reply
from tests.proof.scorecard import Outcome

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
  - {id: nap, type: wait, for: "NAP", depends_on: [hold]}
  - {id: charge, type: http, depends_on: [nap],
     request: {method: POST, url: "http://bank/charge/${input.order}"}}
output: "${charge.response.charged}"
"""


def write_document(folder: Path, *, nap: str) -> None:
    """Write `pay.yaml`; between its two calls it waits for `nap`."""
    (folder / "pay.yaml").write_text(PAY.replace("NAP", nap))


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

"""Row 6: each event of a webhook is delivered three times, and starts one execution.

In any order, from many clients, some copies at the same moment and some long after; in the
middle of it the gateway is killed, and what got no answer is delivered again.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Final

from plait.ports.journal import History
from tests.acceptance.gateways import ROOT, GatewayProcess, request_bytes, serving
from tests.acceptance.test_webhooks import HOOK, KEY, SECRET, signed
from tests.proof.deaths import read_histories
from tests.proof.paying import until_nothing_runs
from tests.proof.scorecard import Outcome, Scale
from tests.unit.gateway.wires import Client, client_of

EVENTS: Final = 5_000
DELIVERIES: Final = 3
CLIENTS: Final = 24
PLANTED: Final = Path(__file__).parent / "planted_deaf"
_EVENTS_LEAST: Final = 40
_EVENTS_PLANTED: Final = 10
_PAUSE_S: Final = 0.05
_TAKEN: Final = """\
name: taken
triggers: [{type: webhook, path: /shop/paid, secret: shop}]
steps: [{id: seen, type: set, value: {order: "${input.order}", by: "${trigger.id}"}}]
output: "${seen.response}"
"""


class _Post:
    """Delivers until everything was taken.

    Attributes:
        taken: What each message was answered with: execution ids, and how often.
        unheard: How many deliveries got no answer and were made again.
    """

    def __init__(self, events: int, seed: int) -> None:
        dice = Random(seed)
        messages = [*range(events)] * (DELIVERIES - 1)
        dice.shuffle(messages)
        # Every tenth of the last copies comes right behind another, at the same moment.
        for number in range(events):
            place = dice.randrange(len(messages))
            at = messages.index(number) if number % 10 == 0 else place
            messages.insert(at, number)
        self.waiting = messages
        self.count = len(messages)
        self.taken: dict[int, Counter[str]] = {}
        self.refused: Counter[int] = Counter()
        self.unheard = 0
        self.gateway: GatewayProcess | None = None

    def done(self) -> int:
        """Return how many deliveries were answered."""
        return sum(count.total() for count in self.taken.values())

    async def client(self) -> None:
        """Deliver what waits, until nothing does."""
        while self.done() < self.count and not self.refused:
            gateway = self.gateway
            if gateway is None or not self.waiting:
                await asyncio.sleep(_PAUSE_S)
                continue
            try:
                async with client_of(*gateway.address) as connection:
                    await self._deliver(connection, gateway)
            except (OSError, EOFError):
                await asyncio.sleep(_PAUSE_S)

    async def _deliver(self, connection: Client, gateway: GatewayProcess) -> None:
        while self.waiting and self.gateway is gateway:
            number = self.waiting.pop()
            body = json.dumps({"order": number}).encode()
            told = signed(body, f"msg_{number}", key=KEY)
            try:
                answer = await connection.ask(
                    request_bytes(HOOK, "POST", body=body, **told), "POST"
                )
            except (OSError, EOFError):
                self.unheard += 1
                self.waiting.insert(0, number)
                raise
            if answer.status != 202:
                self.refused[answer.status] += 1
                return
            self.taken.setdefault(number, Counter())[answer.json["execution_id"]] += 1


def run(scale: Scale) -> Outcome:
    """Deliver, and count what was begun; then to a gateway that knows nothing again."""
    outcome = asyncio.run(_run(scale.of(EVENTS, _EVENTS_LEAST), None))
    planted = asyncio.run(_run(_EVENTS_PLANTED, PLANTED))
    twice = [one for one in planted.broken if one.startswith("begun ")]
    name = "planted: no message is known again"
    outcome.figures[name] = twice[0] if twice else "not caught"
    if not twice:
        outcome.broken.append("a gateway that knows no message again is not caught")
    return outcome


async def _run(events: int, planted: Path | None) -> Outcome:
    post, outcome = _Post(events, seed=6), Outcome({"events": events, "kills": 0})
    outcome.figures["deliveries"] = post.count
    first = [] if planted is None else [planted]
    path = os.pathsep.join(map(str, (*first, ROOT / "src")))
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        folder = Path(name)
        (folder / "taken.yaml").write_text(_TAKEN)
        settings = {
            "PLAIT_STORE_URL": str(folder / "plait.db"),
            "PLAIT_SECRET_SHOP": SECRET,
            "PYTHONPATH": path,
        }
        clients = [asyncio.create_task(post.client()) for _ in range(CLIENTS)]
        try:
            async with serving(folder / "taken.yaml", settings=settings) as post.gateway:
                await _half(post)
                post.gateway.process.kill()
                outcome.figures["kills"] += 1
            async with serving(folder / "taken.yaml", settings=settings) as post.gateway:
                await asyncio.gather(*clients)
                await until_nothing_runs(folder, outcome)
        finally:
            for task in clients:
                task.cancel()
        judge(post.taken, await read_histories(str(folder / "plait.db")), outcome)
    outcome.figures["deliveries without an answer"] = post.unheard
    outcome.broken += [f"answered {status}" for status in post.refused]
    return outcome


async def _half(post: _Post) -> None:
    while post.done() < post.count // 2 and not post.refused:
        await asyncio.sleep(_PAUSE_S)


def judge(
    taken: dict[int, Counter[str]], found: dict[str, History], outcome: Outcome
) -> None:
    """Hold what was answered against what is in the store."""
    events = outcome.figures["events"]
    outcome.figures |= {
        "executions": len(found),
        "deliveries answered": sum(count.total() for count in taken.values()),
    }
    if len(found) != events:
        outcome.broken.append(f"{len(found)} executions of {events} events")
    keys = Counter(history.summary.new.key for history in found.values())
    outcome.broken += [f"two executions of one key: {key}" for key in _twice(keys)]
    for number, ids in taken.items():
        if len(ids) > 1:
            outcome.broken.append(f"begun {len(ids)} times: event {number}")
        outcome.broken += [f"lost: event {number}" for one in ids if one not in found]
    for name, history in found.items():
        status = history.summary.standing.status
        if status != "completed":
            outcome.broken.append(f"{name} is {status}")


def _twice(counts: Counter[str | None]) -> Iterable[str | None]:
    return (key for key, count in counts.items() if count > 1)

"""Row 11: one of ten upstreams hangs or fails; who calls the other nine does not notice.

Phases in which all is well and phases in which one is ill take turns, so that both meet the
same machine. There is no circuit breaker here: the retry budget alone has to keep the
gateway from multiplying the outage.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, Final

from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import raw_then_hang, reply
from tests.acceptance.gateways import GatewayProcess, request_bytes, serving
from tests.proof.scorecard import Outcome, Scale
from tests.proof.traffic import Seen, Traffic

UPSTREAMS: Final = 10
SLOWER_MAX: Final = 1.2
ATTEMPTS_MAX: Final = 1.2
_ILL: Final = ("hangs", "fails")
_ROUNDS: Final = 4
_PHASE_S: Final = 6.0
_PER_S: Final = 12.0
_REPLY_S: Final = 0.05
# What one hiccup of the machine takes; less is not told from it.
_NOISE_MS: Final = 5.0
# Retries are granted in whole numbers, and their delay takes some behind the phase.
_SPARE: Final = 2
_BUDGET: Final = {"ratio": 0.2, "min_retries": 0}


class _Service:
    """One upstream. It is well, hangs or fails."""

    def __init__(self) -> None:
        self.state = "is well"
        self.attempts = 0

    async def answer(self, peer: Peer, request: Request) -> None:
        """Answer a request as it is just able to."""
        self.attempts += 1
        if self.state == "hangs":
            await raw_then_hang()(peer, request)
            return
        await asyncio.sleep(_REPLY_S)
        script = reply(json=1) if self.state == "is well" else reply(503)
        await script(peer, request)


class _Town:
    """Ten services, a gateway before them, and clients of each."""

    def __init__(self, gateway: GatewayProcess, services: list[_Service]) -> None:
        self.services = services
        self._clients = [
            Traffic(gateway.address, request_bytes(f"/ask/{number}"))
            for number in range(len(services))
        ]

    async def live(self, seconds: float) -> list[Seen]:
        """Ask all of them for a while; return what the clients of each saw."""
        streams = [one.stream(_PER_S, seconds) for one in self._clients]
        return await asyncio.gather(*streams)

    async def close(self) -> None:
        """Leave."""
        for client in self._clients:
            await client.close()


def run(scale: Scale) -> Outcome:
    """Make one ill, look at the others; then without a retry budget."""
    is_whole = scale.share >= 1
    outcome = asyncio.run(_run(_BUDGET, is_whole=is_whole))
    planted = asyncio.run(_run(None, is_whole=False))
    many = [one for one in planted.broken if "attempts" in one]
    name = "planted: retries cost nothing"
    outcome.figures[name] = many[0] if many else "not caught"
    if not many:
        outcome.broken.append("a gateway whose retries cost nothing is not caught")
    return outcome


async def _run(budget: dict[str, Any] | None, *, is_whole: bool) -> Outcome:
    outcome, services = Outcome(), [_Service() for _ in range(UPSTREAMS)]
    upstreams = [Upstream(service.answer) for service in services]
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        for number in range(UPSTREAMS):
            file = Path(name) / f"ask_{number}.json"
            file.write_text(json.dumps(_caller(number, budget)))
        async with asyncio.TaskGroup() as opening:
            for upstream in upstreams:
                opening.create_task(upstream.__aenter__())
        try:
            named = {f"service{number}": one for number, one in enumerate(upstreams)}
            async with serving(Path(name), upstreams=named) as gateway:
                town = _Town(gateway, services)
                await _phases(town, outcome, is_whole=is_whole)
                await town.close()
        finally:
            for upstream in upstreams:
                await upstream.__aexit__(None, None, None)
    return outcome


async def _phases(town: _Town, outcome: Outcome, *, is_whole: bool) -> None:
    seconds = _PHASE_S if is_whole else 1.5
    ill = town.services[0]
    calm, others = list[list[Seen]](), dict[str, list[list[Seen]]]()
    await town.live(0.3)
    for state in _ILL * (_ROUNDS if is_whole else 1):
        calm.append((await town.live(seconds))[1:])
        ill.state, ill.attempts = state, 0
        first, *rest = await town.live(seconds)
        others.setdefault(state, []).append(rest)
        _judge_attempts(outcome, state, first.statuses.total(), ill.attempts)
        if first.good:
            outcome.broken.append(f"{first.good} good answers of a service that {state}")
        ill.state = "is well"
    before = _told(outcome, "all is well", calm)
    for state, phases in others.items():
        during = _told(outcome, f"one {state}", phases)
        limit = max(SLOWER_MAX * before, before + _NOISE_MS)
        if is_whole and during > limit:
            text = f"p99 of the others rose from {before:.1f} ms to {during:.1f} ms"
            outcome.broken.append(f"one {state}: {text}")


def _judge_attempts(outcome: Outcome, state: str, requests: int, attempts: int) -> None:
    figures = outcome.figures
    names = f"requests of what {state}", f"attempts at what {state}"
    for name, count in zip(names, (requests, attempts), strict=True):
        figures[name] = figures.get(name, 0) + count
    if attempts > ATTEMPTS_MAX * requests + _SPARE:
        text = f"{attempts} attempts for {requests} requests"
        outcome.broken.append(f"one {state}: {text}")
    if attempts <= requests:
        outcome.broken.append(f"one {state}: nothing was tried again: nothing is proved")


def _told(outcome: Outcome, when: str, phases: list[list[Seen]]) -> float:
    """Note how the clients of the well services fared; return their p99, ms."""
    p99s = []
    for phase in phases:
        together = Seen()
        for one in phase:
            together.took_s += one.took_s
            together.statuses += one.statuses
        p99s.append(together.quantile_ms(0.99))
        if set(together.statuses) != {200}:
            told = dict(together.statuses)
            outcome.broken.append(f"{when}: the others were answered {told}")
    outcome.figures[f"p99 of the others, {when}, ms"] = round(median(p99s), 1)
    return median(p99s)


def _caller(number: int, budget: dict[str, Any] | None) -> dict[str, Any]:
    call = {
        "id": "a",
        "type": "http",
        "request": {"url": f"http://service{number}/x"},
        "attempt_timeout": "400ms",
        "retry": {"max_attempts": 3, "delay": "20ms", "budget": budget},
    }
    return {
        "name": f"ask_{number}",
        "mode": "express",
        "endpoint": {"path": f"/ask/{number}"},
        "steps": [call],
    }

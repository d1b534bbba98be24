"""Row 10: clients whose headers never end, beside others that are answered.

Calm and attack take turns, so that both meet the same machine: what else runs there slows
both. What good clients ask for takes 50 ms, as a call of another service does. The
attackers send a header letter by letter and come again when they are shown the door; half
of them keep their first byte back as long as pays.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Final

from tests.acceptance.gateways import ROOT, GatewayProcess, request_bytes, serving
from tests.proof.scorecard import Outcome, Scale
from tests.proof.traffic import Seen, Traffic
from tests.unit.gateway.wires import client_of

ATTACKERS: Final = 500
CLOSED_S_MAX: Final = 10.0
SLOWER_MAX: Final = 2.0
PLANTED: Final = Path(__file__).parent / "planted_patient"
_ROUNDS: Final = 3
_CALM_S: Final = 8.0
_ATTACK_S: Final = 17.0
# They come one after the other: 500 connections at one moment keep the clients of this
# process waiting for each other, whatever the gateway does.
_COMING_S: Final = 5.0
_PER_S: Final = 100.0
_LETTER_EVERY_S: Final = 0.8
# What one hiccup of the machine takes; less is not told from it.
_NOISE_MS: Final = 5.0
_LITTLE: Final = {"PLAIT_GATEWAY_HEAD_TIMEOUT": "2s"}
_PLAIN: Final = """\
name: plain
mode: express
endpoint: {path: /plain}
steps: [{id: slept, type: wait, for: 50ms}]
output: done
"""


class _Attack:
    """Connections whose headers never end.

    Attributes:
        lives_s: How long each lived that was closed.
        told: How many were told why.
        is_over: Set: nobody comes again.
    """

    def __init__(self, address: tuple[str, int], keeps_back_s: float) -> None:
        self.lives_s: list[float] = []
        self.told = 0
        self.is_over = False
        self._address = address
        self._keeps_back_s = keeps_back_s

    async def attacker(self, number: int, comes_after_s: float) -> None:
        """Hold a connection, and another, until it is over."""
        await asyncio.sleep(comes_after_s)
        while not self.is_over:
            with suppress(OSError):
                await self._hold(self._keeps_back_s if number % 2 else 0.0)

    async def _hold(self, keeps_back_s: float) -> None:
        async with client_of(*self._address) as client:
            begun_s = time.monotonic()
            closed = asyncio.create_task(client.reader.read())
            await asyncio.wait({closed}, timeout=keeps_back_s)
            client.send(b"GET /plain HTTP/1.1\r\nHost: gateway\r\nX-Long: ")
            while not closed.done() and not self.is_over:
                await asyncio.wait({closed}, timeout=_LETTER_EVERY_S)
                client.send(b"x")
            if closed.done():
                self.lives_s.append(time.monotonic() - begun_s)
                with suppress(OSError):
                    self.told += b" 408 " in closed.result()
            closed.cancel()


def run(scale: Scale) -> Outcome:
    """Ask with and without attackers; then plant a gateway that has patience."""
    is_whole = scale.share >= 1
    outcome = asyncio.run(_run(scale, is_whole=is_whole))
    planted = asyncio.run(_run(Scale(0.0), is_whole=False, planted=PLANTED))
    name = "planted: nobody looks at the clock"
    kept = [one for one in planted.broken if "attackers" in one]
    outcome.figures[name] = kept[0] if kept else "not caught"
    if not kept:
        outcome.broken.append("a gateway that lets slow clients stay is not caught")
    return outcome


async def _run(scale: Scale, *, is_whole: bool, planted: Path | None = None) -> Outcome:
    outcome, limit_s = Outcome(), CLOSED_S_MAX if is_whole else 2.0
    attackers = scale.of(ATTACKERS, 20)
    rounds = _ROUNDS if is_whole else 1
    async with _served(is_whole=is_whole, planted=planted) as gateway:
        traffic = Traffic(gateway.address, request_bytes("/plain"))
        attack = _Attack(gateway.address, keeps_back_s=limit_s * 0.9)
        calm, hot = list[Seen](), list[Seen]()
        await traffic.stream(_PER_S, 0.2)
        for _ in range(rounds):
            calm.append(await traffic.stream(_PER_S, _CALM_S if is_whole else 0.5))
            attack.is_over = False
            each_s = (_COMING_S if is_whole else 0.2) / attackers
            tasks = [
                asyncio.create_task(attack.attacker(number, number * each_s))
                for number in range(attackers)
            ]
            seconds = _ATTACK_S if is_whole else 4.5
            hot.append(await traffic.stream(_PER_S, seconds))
            attack.is_over = True
            await asyncio.gather(*tasks)
        await traffic.close()
    _judge(outcome, attack, limit_s, attackers)
    _compare(outcome, calm, hot, is_timed=is_whole)
    return outcome


def _judge(outcome: Outcome, attack: _Attack, limit_s: float, attackers: int) -> None:
    lives_s = attack.lives_s
    outcome.figures |= {
        "attackers at a time": attackers,
        "attackers closed": len(lives_s),
        "attackers told why (408)": attack.told,
    }
    if lives_s:
        outcome.figures["longest life of an attacker, s"] = round(max(lives_s), 2)
    if len(lives_s) < attackers:
        outcome.broken.append(f"{len(lives_s)} of {attackers} attackers were closed")
    # A second for a machine that has other things to do.
    slow = sum(one > limit_s + 1 for one in lives_s)
    if slow:
        outcome.broken.append(f"{slow} attackers were there for more than {limit_s} s")


def _compare(
    outcome: Outcome, calm: list[Seen], hot: list[Seen], *, is_timed: bool
) -> None:
    before, during = [median(one.quantile_ms(0.99) for one in ones) for ones in (calm, hot)]
    outcome.figures |= {
        "good answers, calm": sum(one.good for one in calm),
        "good answers, attacked": sum(one.good for one in hot),
        "p99 ms, calm": round(before, 1),
        "p99 ms, attacked": round(during, 1),
    }
    for seen in (*calm, *hot):
        bad = {**seen.others(), **({503: seen.refused} if seen.refused else {})}
        if bad or not seen.good:
            outcome.broken.append(f"good clients were answered {bad}")
    if is_timed and during > max(SLOWER_MAX * before, before + _NOISE_MS):
        outcome.broken.append(f"p99 rose from {before:.1f} ms to {during:.1f} ms")


@asynccontextmanager
async def _served(*, is_whole: bool, planted: Path | None) -> AsyncIterator[GatewayProcess]:
    first = [] if planted is None else [planted]
    settings = {"PYTHONPATH": os.pathsep.join(map(str, (*first, ROOT / "src")))}
    if not is_whole:
        settings |= _LITTLE
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        file = Path(name) / "plain.yaml"
        file.write_text(_PLAIN)
        async with serving(file, settings=settings) as gateway:
            yield gateway

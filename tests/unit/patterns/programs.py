"""A program of its own that runs a saga in a journal, and can be killed.

python -m tests.unit.patterns.programs JOURNAL LOG WHERE: at the step WHERE it says so on
standard output, and never goes on.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from plait.patterns import Saga, SagaStep, StepError, current_call


def shop(log: Path, hang_at: str = "", *, refuses: bool = False) -> Saga[dict[str, Any]]:
    """Return the saga; each function adds a line to `log`: its word and its key."""

    async def do(word: str) -> None:
        with log.open("a") as lines:
            lines.write(f"{word} {current_call().idempotency_key}\n")
        if word == hang_at:
            sys.stdout.write("there\n")
            sys.stdout.flush()
            await asyncio.get_running_loop().create_future()

    async def reserve(order: dict[str, Any]) -> str:
        await do("reserve")
        return "place-3"

    async def release(order: dict[str, Any], place: str) -> None:
        assert place == "place-3"
        await do("release")

    async def charge(order: dict[str, Any]) -> int:
        await do("charge")
        return int(order["amount"])

    async def refund(order: dict[str, Any], amount: int) -> None:
        await do("refund")

    async def ship(order: dict[str, Any]) -> str:
        await do("ship")
        if refuses:
            raise StepError("ship.closed", "no ship today", is_final=True)
        return "on its way"

    return Saga(
        "order",
        [
            SagaStep("reserve", reserve, release),
            SagaStep("charge", charge, refund),
            SagaStep("ship", ship),
        ],
    )


async def main(journal: str, log: str, hang_at: str, refuses: str) -> None:
    saga = shop(Path(log), hang_at, refuses=refuses == "refuses")
    await saga.run({"amount": 7}, journal=journal, key="order-17")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

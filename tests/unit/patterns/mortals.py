"""Patterns of all kinds in a journal, in a program of their own that can be killed.

python -m tests.unit.patterns.mortals KIND JOURNAL LOG WHERE: at the call WHERE it says so
on standard output, and never goes on.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from plait.patterns import (
    AsyncIteratorLoop,
    Desk,
    FanOutFanIn,
    HierarchicalRouter,
    Pipeline,
    Route,
    Router,
    State,
    StatefulFanOutFanIn,
    StateMachine,
    Transfer,
    Transition,
    WhileLoop,
    current_call,
)
from plait.patterns.journal import Journal

KEY: Final = "run-17"


class Notes:
    """Notes each call in a file, and lets none go on behind one of them."""

    def __init__(self, log: Path, hang_at: str = "") -> None:
        self._log = log
        self._hang_at = hang_at

    async def take(self, word: str) -> None:
        """Add a word and the key of the call under way."""
        with self._log.open("a") as lines:
            lines.write(f"{word} {current_call().idempotency_key}\n")
        if word == self._hang_at:
            sys.stdout.write("there\n")
            sys.stdout.flush()
            await asyncio.get_running_loop().create_future()

    def adding(self, word: str) -> Callable[[int], Awaitable[int]]:
        """Return a function that notes a word, and adds one."""

        async def function(number: int) -> int:
            await self.take(word)
            return number + 1

        return function


async def pipeline(notes: Notes, journal: Journal) -> Any:
    """Run three stages."""
    stages = Pipeline.begin("three", notes.adding("one"), name="one")
    for word in ("two", "three"):
        stages = stages.then(notes.adding(word), name=word)
    return (await stages.run(0, journal=journal, key=KEY)).output


async def loop(notes: Notes, journal: Journal) -> Any:
    """Run four iterations."""

    async def body(number: int, iteration: int) -> int:
        await notes.take(f"body{iteration}")
        return number + 1

    def is_small(number: int) -> bool:
        return number < 4

    counting = WhileLoop("counting", is_small, body)
    return (await counting.run(0, journal=journal, key=KEY)).output


def total(found: dict[str, int]) -> int:
    return sum(found.values())


async def fan(notes: Notes, journal: Journal) -> Any:
    """Run three tasks, one at a time, and what makes one result of them."""
    tasks = {word: notes.adding(word) for word in ("left", "middle", "right")}
    fan = FanOutFanIn[int, int]("fan", tasks, aggregate=total, max_concurrency=1)
    return (await fan.run(0, journal=journal, key=KEY)).output


async def gathering(notes: Notes, journal: Journal) -> Any:
    """Run two tasks at the same time; what makes one result of them can hang."""

    async def gather(found: dict[str, int]) -> int:
        await notes.take("gather")
        return total(found)

    tasks = {word: notes.adding(word) for word in ("left", "right")}
    fan = FanOutFanIn[int, int]("gathering", tasks, aggregate=gather)
    return (await fan.run(0, journal=journal, key=KEY)).output


async def rounds(notes: Notes, journal: Journal) -> Any:
    """Run rounds of one task."""

    def reduced(number: int, found: dict[str, int]) -> int:
        return number + found["task"]

    def is_enough(number: int) -> bool:
        return number > 2

    async def task(number: int) -> int:
        await notes.take(f"at{number}")
        return 1

    growing = StatefulFanOutFanIn[int]("growing", {"task": task}, reduced, until=is_enough)
    return (await growing.run(0, journal=journal, key=KEY)).output


async def router(notes: Notes, journal: Journal) -> Any:
    """Ask one condition, then run a handler."""

    async def is_fit(number: int) -> bool:
        await notes.take("when")
        return True

    fit = Route("fit", notes.adding("fit"), is_fit)
    return (await Router("ways", [fit]).run(0, journal=journal, key=KEY)).output


async def desks(notes: Notes, journal: Journal) -> Any:
    """Hand on twice."""

    def handing(word: str, to: str) -> Callable[[int], Awaitable[Transfer]]:
        async def function(number: int) -> Transfer:
            await notes.take(word)
            return Transfer(to, number + 1)

        return function

    levels = HierarchicalRouter[int, int](
        "levels",
        [
            Desk("triage", handing("triage", "billing"), to=("billing",)),
            Desk("billing", handing("billing", "refunds"), to=("refunds",)),
            Desk("refunds", notes.adding("refunds")),
        ],
    )
    return (await levels.run(0, journal=journal, key=KEY)).output


async def stream(notes: Notes, journal: Journal) -> Any:
    """Go through a stream, two items to a page, one at a time."""

    async def source(last: int) -> AsyncIterator[int]:
        for number in range(last):
            yield number

    async def body(number: int) -> int:
        await notes.take(f"item{number}")
        return number

    def summed(before: int | None, page: list[int]) -> int:
        return (before or 0) + sum(page)

    each = AsyncIteratorLoop[int, int](
        "each", source, body, reduce=summed, page_size=2, max_concurrency=1
    )
    return (await each.run(5, journal=journal, key=KEY)).output


async def machine(notes: Notes, journal: Journal) -> Any:
    """Pay and ship; an event that was taken is not sent again."""
    charge, pack = notes.adding("charge"), notes.adding("pack")
    charge.__name__, pack.__name__ = "charge", "pack"
    orders = StateMachine[int, str, str](
        "orders",
        "created",
        {
            "created": State({"pay": Transition("paid", actions=charge)}),
            "paid": State({"ship": Transition("shipped", actions=pack)}),
            "shipped": State(final=True),
        },
    )
    async with orders.start(0, journal=journal, key=KEY) as order:
        if order.state == "created":
            await order.send("pay")
        await order.send("ship")
        return (await order.ended()).output["context"]


KINDS: Final[dict[str, Callable[[Notes, Journal], Awaitable[Any]]]] = {
    one.__name__: one
    for one in (*(pipeline, loop, fan, gathering, rounds, router, desks, stream, machine),)
}


async def main(kind: str, place: str, log: str, hang_at: str) -> None:
    async with Journal(place) as journal:
        await KINDS[kind](Notes(Path(log), hang_at), journal)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

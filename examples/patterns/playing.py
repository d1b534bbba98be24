"""How an input reaches a gateway, and what comes back: for the runner and for the tests.

An input is one request. Of a state machine it has `events` as well: they are sent one after
the other, each when the one before has led where it says (`to`).

Not here: who serves (`__main__`, the tests).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from examples.patterns.example import Example
from examples.patterns.serving import Input

POLL_S = 0.02
WAIT_S = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What a gateway answered; `body` is the decoded JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any


Ask: TypeAlias = Callable[[str, str, Any], Awaitable[Answer]]


async def play(example: Example, given: Input, ask: Ask) -> Answer:
    """Give an example one input, and return what came of it.

    Args:
        ask: Makes a request: method, target, body.

    Returns:
        The answer; of a state machine its `state`, and the names of the events `refused`.

    Raises:
        TimeoutError: An event did not lead where it should.
    """
    events = given.get("events", [])
    start = {name: value for name, value in given.items() if name != "events"}
    answer = await ask(*example.request(start))
    if example.initial is None or answer.status >= 400:
        return answer
    link, refused, state = answer.headers["location"], [], example.initial
    await _until_in(ask, link, state)
    for event in events:
        sent = {name: value for name, value in event.items() if name != "to"}
        if (await ask("POST", f"{link}/signals", sent)).status == 409:
            refused.append(event["name"])
        else:
            state = event["to"]
            await _until_in(ask, link, state)
    return Answer(200, {}, {"state": state, "refused": refused})


async def _until_in(ask: Ask, link: str, state: str) -> None:
    """Return once a machine waits in a state, or has ended there."""
    async with asyncio.timeout(WAIT_S):
        while True:
            shown = (await ask("GET", link, None)).body
            states = [wait.get("state") for wait in shown["waits"]]
            if state in states or (shown["output"] or {}).get("state") == state:
                return
            await asyncio.sleep(POLL_S)

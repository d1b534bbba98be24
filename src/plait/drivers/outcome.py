"""One call for who can wait: from callbacks to something that is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from plait.ports.calls import Call, CallHandle, Done, Outcome

Start: TypeAlias = Callable[[Call, Done], CallHandle]
"""Begins a call: the method of `Calls`, or of what stands around them."""


async def outcome_of(start: Start, call: Call) -> Outcome:
    """Make a call, and return its outcome. Cancelled, it cancels the call."""
    heard: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def hear(outcome: Outcome) -> None:
        # Who waited may be cancelled already, in this turn of the loop, and not know yet.
        if not heard.done():
            heard.set_result(outcome)

    handle = start(call, hear)
    try:
        return await heard
    except asyncio.CancelledError:
        handle.cancel()
        raise

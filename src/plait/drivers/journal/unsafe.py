"""Unsafe calls under way: a worker that ends waits for them, for a while.

Any other call can be made again by the next worker. Of an `unsafe` one nobody would know
what became of it, and a person would have to find out, at each restart.
"""

from __future__ import annotations

import asyncio

from plait.kernel import StartCall
from plait.ports.calls import CallHandle, Calls, Done, Outcome, lacks_of


class UnsafeCounted:
    """Performs calls through `calls`, and counts the unsafe ones under way.

    Attributes:
        is_quiet: Set while there are none.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.lacks = lacks_of(calls)
        self._under_way: set[tuple[str, str, int]] = set()
        self.is_quiet = asyncio.Event()
        self.is_quiet.set()

    def start(self, call: StartCall, done: Done) -> CallHandle:
        """See plait.ports.calls.Calls."""
        if call.effect != "unsafe":
            return self._calls.start(call, done)
        name = (call.execution_id, call.step, call.attempt)
        self._under_way.add(name)
        self.is_quiet.clear()

        def count_and_hear(outcome: Outcome) -> None:
            self._end(name)
            done(outcome)

        return _Handle(self, name, self._calls.start(call, count_and_hear))

    def _end(self, name: tuple[str, str, int]) -> None:
        self._under_way.discard(name)
        if not self._under_way:
            self.is_quiet.set()

    async def close(self) -> None:
        """See plait.ports.calls.Calls."""
        await self._calls.close()


class _Handle:
    def __init__(
        self, counted: UnsafeCounted, name: tuple[str, str, int], handle: CallHandle
    ) -> None:
        self._counted, self._name, self._handle = counted, name, handle

    def cancel(self) -> None:
        """See plait.ports.calls.CallHandle."""
        self._counted._end(self._name)
        self._handle.cancel()

"""Clients that ask at a steady rate, and what they were answered.

They share the machine with whom they ask, so they cost as little as they can: no task for a
request, and of an answer they read what is looked at.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from plait.model.record import record

WAIT_S: Final = 10
# A client that has that many connections open sends no more before one is answered.
CONNECTIONS_MAX: Final = 3_000
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


@record
class _Answer:
    """What is looked at of an answer. Status 0: none came."""

    status: int = 0
    has_advice: bool = False
    is_last: bool = True


_Hear: TypeAlias = Callable[[_Answer], None]


@dataclass
class Seen:
    """Answers.

    Attributes:
        took_s: Of each good answer, the seconds from when it was due.
        statuses: How often each status came; 0: no answer.
        without_advice: Refusals that do not say when to come again.
    """

    took_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    without_advice: int = 0

    @property
    def good(self) -> int:
        """How many were answered as they wished."""
        return len(self.took_s)

    @property
    def refused(self) -> int:
        """How many were turned away."""
        return self.statuses[429] + self.statuses[503]

    def others(self) -> dict[int, int]:
        """Return the answers that are neither."""
        return {
            status: count
            for status, count in self.statuses.items()
            if status not in (200, 202, 429, 503)
        }

    def quantile_ms(self, share: float) -> float:
        """Return how long good answers took at most, but for the slowest; 0: none came."""
        ordered = sorted(self.took_s)
        return 1000 * ordered[int((len(ordered) - 1) * share)] if ordered else 0.0

    def note(self, answer: _Answer, took_s: float) -> None:
        """Take an answer in."""
        self.statuses[answer.status] += 1
        if answer.status in (200, 202):
            self.took_s.append(took_s)
        elif answer.status in (429, 503):
            self.without_advice += not answer.has_advice


class _Wire(asyncio.Protocol):
    """A connection; it asks one thing at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._data = b""
        self._hear: _Hear | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, data: bytes, hear: _Hear) -> None:
        """Send a request; `hear` gets the answer, or that none comes."""
        self._data, self._hear = b"", hear
        if self._transport.is_closing():
            self._heard(_Answer())
        else:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or (length is not None and len(body) < int(length[1])):
            return
        told, status = head.lower(), int(head[9:12])
        is_last = b"\r\nconnection: close" in told
        self._heard(_Answer(status, b"\r\nretry-after: " in told, is_last))

    def connection_lost(self, _exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._heard(_Answer())

    def _heard(self, answer: _Answer) -> None:
        hear, self._hear = self._hear, None
        if hear is not None:
            hear(answer)

    def close(self) -> None:
        """Leave; what was asked is not answered."""
        self._transport.close()
        self._heard(_Answer())


class Traffic:
    """Asks one thing at a steady rate.

    Args:
        data: The whole request.
    """

    def __init__(self, address: tuple[str, int], data: bytes) -> None:
        self._address = address
        self._data = data
        self._wires = set[_Wire]()
        self._idle: list[_Wire] = []
        self._connecting = set[asyncio.Task[None]]()
        self._answered = asyncio.Event()
        self._asked = 0

    async def rush(self, clients: int, seconds: float) -> Seen:
        """Ask with so many clients, each as fast as it is answered."""
        seen, until_s = Seen(), time.monotonic() + seconds

        async def client() -> None:
            while (now_s := time.monotonic()) < until_s:
                done = asyncio.Event()
                self._ask(seen, now_s, done.set)
                await done.wait()

        await asyncio.gather(*(client() for _ in range(clients)))
        return seen

    async def stream(self, per_s: float, seconds: float) -> Seen:
        """Ask so often a second."""
        seen, begun_s = Seen(), time.monotonic()
        for number in range(int(per_s * seconds)):
            due_s = begun_s + number / per_s
            wait_s = due_s - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            while self._asked >= CONNECTIONS_MAX:
                await self._next_answer()
            self._ask(seen, due_s)
        try:
            async with asyncio.timeout(WAIT_S):
                while self._asked:
                    await self._next_answer()
        except TimeoutError:
            self._give_up()
        return seen

    async def _next_answer(self) -> None:
        self._answered.clear()
        await self._answered.wait()

    def _give_up(self) -> None:
        for wire in self._wires - {*self._idle}:
            wire.close()

    def _ask(
        self, seen: Seen, due_s: float, then: Callable[[], None] = lambda: None
    ) -> None:
        """Ask once; do `then` when `seen` has the answer."""
        self._asked += 1

        def hear(answer: _Answer) -> None:
            self._asked -= 1
            seen.note(answer, time.monotonic() - due_s)
            self._answered.set()
            then()

        if self._idle:
            self._ask_on(self._idle.pop(), hear)
        else:
            task = asyncio.create_task(self._ask_anew(hear))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _ask_anew(self, hear: _Hear) -> None:
        try:
            loop = asyncio.get_running_loop()
            _, wire = await loop.create_connection(_Wire, *self._address)
        except OSError:
            hear(_Answer())
        else:
            self._wires.add(wire)
            self._ask_on(wire, hear)

    def _ask_on(self, wire: _Wire, hear: _Hear) -> None:
        def heard(answer: _Answer) -> None:
            if answer.is_last:
                self._wires.discard(wire)
                wire.close()
            else:
                self._idle.append(wire)
            hear(answer)

        wire.ask(self._data, heard)

    async def close(self) -> None:
        """Leave."""
        await asyncio.gather(*self._connecting)
        for wire in [*self._wires]:
            wire.close()
        self._wires.clear()
        self._idle.clear()

"""Clients that ask at a steady rate, and what they were answered."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.unit.gateway.wires import WAIT_S, Answer, Client

# A client that has that many connections open sends no more before one is answered.
CONNECTIONS_MAX: Final = 3_000


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

    def note(self, answer: Answer | None, took_s: float) -> None:
        """Take an answer in."""
        status = 0 if answer is None else answer.status
        self.statuses[status] += 1
        if status in (200, 202):
            self.took_s.append(took_s)
        elif answer is not None and status in (429, 503):
            self.without_advice += "retry-after" not in answer.headers


class Traffic:
    """Asks one thing at a steady rate.

    Args:
        data: The whole request.
    """

    def __init__(self, address: tuple[str, int], data: bytes) -> None:
        self._address = address
        self._data = data
        self._idle: list[Client] = []
        self._open = 0

    async def rush(self, clients: int, seconds: float) -> Seen:
        """Ask with so many clients, each as fast as it is answered."""
        seen, until_s = Seen(), time.monotonic() + seconds

        async def client() -> None:
            while time.monotonic() < until_s:
                await self._ask(seen, time.monotonic())

        await asyncio.gather(*(client() for _ in range(clients)))
        return seen

    async def stream(self, per_s: float, seconds: float) -> Seen:
        """Ask so often a second."""
        seen, begun_s, asking = Seen(), time.monotonic(), set[asyncio.Task[None]]()
        for number in range(int(per_s * seconds)):
            due_s = begun_s + number / per_s
            wait_s = due_s - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            while self._open >= CONNECTIONS_MAX and not self._idle:
                await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._ask(seen, due_s))
            asking.add(task)
            task.add_done_callback(asking.discard)
        if asking:
            await asyncio.wait(asking, timeout=WAIT_S)
        return seen

    async def _ask(self, seen: Seen, due_s: float) -> None:
        answer = None
        try:
            client = self._idle.pop() if self._idle else await self._connected()
        except OSError:
            seen.note(None, 0.0)
            return
        try:
            answer = await client.ask(self._data)
        except (OSError, EOFError, TimeoutError):
            answer = None
        seen.note(answer, time.monotonic() - due_s)
        if answer is None or "close" in answer.headers.get("connection", ""):
            self._open -= 1
            await client.close()
        else:
            self._idle.append(client)

    async def _connected(self) -> Client:
        self._open += 1
        try:
            return Client(*await asyncio.open_connection(*self._address))
        except OSError:
            self._open -= 1
            raise

    async def close(self) -> None:
        """Leave."""
        for client in self._idle:
            await client.close()
        self._idle.clear()

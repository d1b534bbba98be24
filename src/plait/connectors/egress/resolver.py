"""Names to addresses: the system's resolver, asked once for many, remembered briefly.

Rule 1. Callers that ask for one name at the same time share one question.
Rule 2. Answers are kept for `ttl_s`; failures are not, so a name that just came up works.

Not here: which addresses are allowed (policy), names that the operator maps (gate).
"""

from __future__ import annotations

import asyncio
import socket

from plait.connectors.egress.errors import UnknownHost

# Answers of hosts out of templates could pile up; forgetting them costs one question.
_NAME_COUNT_MAX = 1024


class Resolver:
    """Asks the operating system, in a thread, through the running loop."""

    def __init__(self, *, ttl_s: float = 5.0) -> None:
        self._ttl_s = ttl_s
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._flights: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    async def addresses(self, name: str) -> tuple[str, ...]:
        """Return the addresses of `name`, in the order to try; at least one.

        Raises:
            UnknownHost: there is none.
        """
        known = self._known.get(name)
        if known is not None and known[0] > asyncio.get_running_loop().time():
            return known[1]
        # Shielded: one caller that gives up must not take the answer from the others.
        found = await asyncio.shield(self._flight(name))
        if not found:
            raise UnknownHost(host=name)
        return found

    def _flight(self, name: str) -> asyncio.Task[tuple[str, ...]]:
        flight = self._flights.get(name)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._ask(name))
            self._flights[name] = flight
            flight.add_done_callback(lambda _: self._flights.pop(name, None))
        return flight

    async def _ask(self, name: str) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except OSError:
            return ()
        found = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))
        if len(self._known) >= _NAME_COUNT_MAX:
            self._known.clear()
        if found:
            self._known[name] = (loop.time() + self._ttl_s, found)
        return found

    async def close(self) -> None:
        """Forget everything; questions under way are given up."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        self._known.clear()

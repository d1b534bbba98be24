"""Names to addresses: the system's resolver, asked once for many, remembered briefly.

Rule 1. Callers that ask for one name at the same time share one question.
Rule 2. Answers are kept for `ttl_s`; failures are not, so a name that just came up works.
Rule 3. A name whose server is silent holds up nobody else. The system may take 30 s to
        give up, and neither it nor a thread inside it can be stopped: callers leave after
        `timeout_s`, the question keeps its thread, and nobody asks the same beside it.
Rule 4. Names out of templates have threads of their own: whoever can make many of them
        hang does not keep the operator's hosts from being found.

Threads of our own, not an executor's: the loops have 4 to 6 for everything, and Python
waits for an executor's threads before it lets the process end.

Not here: which addresses are allowed (policy), names that the operator maps (gate).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import Final, TypeAlias

from plait.connectors.egress.errors import UnknownHost

Addresses: TypeAlias = tuple[str, ...]
Ask: TypeAlias = Callable[[str], Addresses]

# Answers of hosts out of templates could pile up; forgetting them costs one question.
_NAME_COUNT_MAX = 1024
# Of each kind. Waiting threads cost little, but their number must have an end.
LOOKUP_COUNT_MAX: Final = 32
TIMEOUT_S_DEFAULT: Final = 5.0


def ask_system(name: str) -> Addresses:
    """Return what the operating system says of `name`, nothing if it knows none. Blocks.

    >>> ask_system("127.0.0.1")
    ('127.0.0.1',)
    """
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))


@dataclass(slots=True, eq=False)
class _Flight:
    """A question under way. `is_asking`: it has its thread, and must be waited for."""

    task: asyncio.Task[Addresses] = field(init=False)
    caller_count: int = 0
    is_asking: bool = False


class Resolver:
    """Asks the operating system, each question in a thread.

    Args:
        ttl_s: How long an answer is kept.
        timeout_s: How long a caller waits.
        ask: What is asked, in a thread of its own.
    """

    def __init__(
        self,
        *,
        ttl_s: float = 5.0,
        timeout_s: float = TIMEOUT_S_DEFAULT,
        ask: Ask = ask_system,
    ) -> None:
        self._ttl_s = ttl_s
        self._timeout_s = timeout_s
        self._ask = ask
        self._known: dict[str, tuple[float, Addresses]] = {}
        self._flights: dict[tuple[str, bool], _Flight] = {}
        # By trust.
        self._rooms = [asyncio.Semaphore(LOOKUP_COUNT_MAX) for _ in range(2)]

    async def addresses(self, name: str, *, is_trusted: bool = True) -> Addresses:
        """Return the addresses of `name`, in the order to try; at least one.

        Args:
            is_trusted: False when `name` came out of a template.

        Raises:
            UnknownHost: there is none, or there was no answer in time.
        """
        known = self._known.get(name)
        if known is not None and known[0] > asyncio.get_running_loop().time():
            return known[1]
        found = await self._wait_for(name, is_trusted)
        if not found:
            raise UnknownHost(host=name)
        return found

    async def _wait_for(self, name: str, is_trusted: bool) -> Addresses:
        flight = self._flight(name, is_trusted)
        flight.caller_count += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                # Shielded: a caller that gives up takes the answer from nobody.
                return await asyncio.shield(flight.task)
        except TimeoutError:
            waited_ms = round(self._timeout_s * 1000)
            raise UnknownHost(host=name, waited_ms=waited_ms) from None
        finally:
            flight.caller_count -= 1
            if not flight.caller_count and not flight.is_asking:
                # Off the list first: who comes now must not wait for what is cancelled.
                self._land((name, is_trusted), flight)
                flight.task.cancel()

    def _flight(self, name: str, is_trusted: bool) -> _Flight:
        key = name, is_trusted
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            flight.task = asyncio.create_task(self._fly(name, is_trusted, flight))
            flight.task.add_done_callback(partial(self._land, key, flight))
        return flight

    def _land(self, key: tuple[str, bool], flight: _Flight, *_: object) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _fly(self, name: str, is_trusted: bool, flight: _Flight) -> Addresses:
        async with self._rooms[is_trusted]:
            flight.is_asking = True
            found = await _in_thread(self._ask, name)
        if len(self._known) >= _NAME_COUNT_MAX:
            self._known.clear()
        if found:
            due_s = asyncio.get_running_loop().time() + self._ttl_s
            self._known[name] = (due_s, found)
        return found

    async def close(self) -> None:
        """Forget everything; questions under way are given up."""
        flights = [flight.task for flight in self._flights.values()]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        self._known.clear()


async def _in_thread(ask: Ask, name: str) -> Addresses:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Addresses] = loop.create_future()

    def work() -> None:
        found = ask(name)
        # The loop may have been closed meanwhile; then nobody wants to know.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, found)

    def tell(found: Addresses) -> None:
        if not answer.done():
            answer.set_result(found)

    Thread(target=work, name="plait-resolver", daemon=True).start()
    return await answer

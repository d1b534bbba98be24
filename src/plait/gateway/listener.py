"""A listening socket and its connections: time limits, and an orderly end.

Rule 1. One timer looks after all connections: a timer for each would cost more than
        reading its requests.
Rule 2. Shutting down loses nothing that was accepted: requests under way are answered,
        with `Connection: close`; idle connections get a moment longer, because a request
        may be on its way.

Rule 3. Whoever connects is taken in soon, also when there is much to do: uvloop takes in
        one connection in each of its turns, which then last long, and hundreds would wait
        for seconds.

Not here: one connection (plait.gateway.http1), signals (plait.gateway.serving).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import formatdate
from typing import Final

from plait.gateway.http1 import Connection, Handle, Refuse, Screen
from plait.gateway.incoming import Held, HttpLimits
from plait.gateway.last_calls import begin_no_more
from plait.gateway.message import Reply, Request
from plait.gateway.refusal import Refused

logger = logging.getLogger("plait.gateway")

_SWEEP_S_MAX: Final = 0.5
_SWEEP_S_MIN: Final = 0.01
_IDLE_GRACE_S: Final = 0.25
# How long connections are still taken in while /health/ready says no.
_ACCEPT_GRACE_S: Final = 0.2
# For the last packet of connections that have begun: longer than a way round the world.
_HANDSHAKE_S: Final = 0.3
# For what those are told who are cut off; others would hang for longer.
_LAST_WORD_S: Final = 0.1
_ACCEPT_TURNS: Final = 5
_BACKLOG: Final = 2048
# How many more connections are taken in with one.
_MORE_MAX: Final = 32


class Listener:
    """Serves HTTP/1.1 on one address.

    Args:
        handle: Answers requests.
        screen: Looks at requests whose bodies have not come yet; None: all are welcome.
        refuse: Makes the replies to what cannot be answered; None: plain ones.
        admit: Looks at requests before their bodies are read; None: all are read.
        cut: Called when a drain is over with requests under way: the last word is theirs.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        limits: HttpLimits | None = None,
        screen: Screen | None = None,
        refuse: Refuse | None = None,
        admit: Screen | None = None,
        cut: Callable[[], None] | None = None,
    ) -> None:
        self.handle = handle
        self.screen: Screen = screen or _all_welcome
        self.refuse: Refuse = refuse or _plain_reply
        self.admit = admit
        self._cut = cut
        self.limits = limits or HttpLimits()
        self.loop = asyncio.get_running_loop()
        self.is_draining = False
        self.held = Held()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._doors: list[socket.socket] = []
        self._entering: set[asyncio.Task[object]] = set()
        self._sweep_s = self._sweep_interval_s()
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_empty = asyncio.Event()
        self._date = b""
        self._date_s = 0

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Accept connections from now on; return the address in use.

        Args:
            port: 0 for one that is free.

        Raises:
            OSError: The address cannot be listened on.
        """
        self._server = await self.loop.create_server(
            lambda: Connection(self),
            host,
            port,
            backlog=_BACKLOG,
            reuse_address=True,
        )
        for one in self._server.sockets:
            door = socket.socket(fileno=os.dup(one.fileno()))
            door.setblocking(False)
            self._doors.append(door)
        self._sweep()
        address = self._server.sockets[0].getsockname()
        return address[0], address[1]

    async def drain(self, timeout_s: float, insist: asyncio.Event) -> int:
        """Soon accept no more, let what is under way finish; return how many were cut off.

        Args:
            timeout_s: After that, what is still under way is cancelled.
            insist: Set, it does the same at once.
        """
        self.is_draining = True
        with suppress(TimeoutError):
            await asyncio.wait_for(insist.wait(), _ACCEPT_GRACE_S)
        await self._stop_listening(insist)
        idle_until_s = self.loop.time() + _IDLE_GRACE_S
        for connection in list(self._connections):
            connection.begin_drain(idle_until_s)
        self._sweep_s = _SWEEP_S_MIN
        self._sweep()
        waits = [
            self.loop.create_task(self.emptied()),
            self.loop.create_task(insist.wait()),
        ]
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        cut_off = sum(connection.is_answering for connection in self._connections)
        if cut_off and self._cut is not None:
            self._cut()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.emptied(), _LAST_WORD_S)
        for connection in list(self._connections):
            connection.abort()
        await self.emptied()
        if self._sweeper is not None:
            self._sweeper.cancel()
        return cut_off

    async def _stop_listening(self, insist: asyncio.Event) -> None:
        """Close the socket, after taking in who connected while it was open.

        Closing it alone would reset connections that the kernel has accepted already.
        """
        server = self._server
        if server is None:
            return
        for door in self._doors:
            door.close()
        self._doors.clear()
        spares = [socket.socket(fileno=os.dup(one.fileno())) for one in server.sockets]
        are_shut = [begin_no_more(spare) for spare in spares]
        if all(are_shut):
            with suppress(TimeoutError):
                await asyncio.wait_for(insist.wait(), _HANDSHAKE_S)
        # asyncio's own loop loses what it has accepted if the server closes before that is
        # a connection: stop its accepting, let it finish, then close. uvloop has no reader
        # here, and nothing to finish.
        for one in server.sockets:
            with suppress(RuntimeError, NotImplementedError):
                self.loop.remove_reader(one.fileno())
        await self._take_turns()
        server.close()
        for spare in spares:
            spare.setblocking(False)
            with spare, suppress(BlockingIOError):
                for _ in range(_BACKLOG):
                    accepted, _ = spare.accept()
                    accepted.setblocking(False)
                    await self.loop.connect_accepted_socket(
                        lambda: Connection(self), accepted
                    )
        await self._take_turns()

    async def _take_turns(self) -> None:
        """Let what was accepted become a connection, which takes the loop a few turns."""
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)

    async def emptied(self) -> bool:
        """Return, always True, when there is no connection."""
        if self._connections:
            self._is_empty.clear()
            await self._is_empty.wait()
        return True

    # -- for connections -------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """A connection begins."""
        self._connections.add(connection)
        for door in self._doors:
            self._take_more(door)

    def _take_more(self, door: socket.socket) -> None:
        """Take in who waits behind one that was taken in."""
        for _ in range(_MORE_MAX):
            try:
                accepted, _ = door.accept()
            except OSError:  # mostly: nobody waits
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            entering = self.loop.create_task(
                self.loop.connect_accepted_socket(lambda: Connection(self), accepted)
            )
            self._entering.add(entering)
            entering.add_done_callback(self._entering.discard)

    def lost(self, connection: Connection) -> None:
        """A connection is no more."""
        self._connections.discard(connection)
        if not self._connections:
            self._is_empty.set()

    def date(self) -> bytes:
        """Return the value of the `Date` header, made once a second."""
        now_s = int(time.time())
        if now_s != self._date_s:
            self._date_s = now_s
            self._date = formatdate(now_s, usegmt=True).encode()
        return self._date

    # -- time ------------------------------------------------------------------------

    def _sweep_interval_s(self) -> float:
        limits = self.limits
        shortest_ms = min(
            limits.head_timeout_ms,
            limits.body_timeout_ms,
            limits.idle_timeout_ms,
            limits.write_timeout_ms,
        )
        return min(max(shortest_ms / 20_000, _SWEEP_S_MIN), _SWEEP_S_MAX)

    def _sweep(self) -> None:
        """Close what has waited too long; up to one interval early, never late."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        due_s = self.loop.time() + self._sweep_s
        self._sweeper = self.loop.call_later(self._sweep_s, self._sweep)
        for connection in [one for one in self._connections if one.due_s <= due_s]:
            try:
                connection.time_out()
            except Exception:  # one that fails must not keep the others from their ends
                logger.exception("a connection could not be ended in good order")
                connection.abort()


def _all_welcome(_: Request) -> Refused | None:
    return None


def _plain_reply(refusal: Refused, _: Mapping[bytes, bytes]) -> Reply:
    return refusal.as_reply()


def url_of(host: str, port: int) -> str:
    """Return the URL of a listening address.

    >>> url_of("127.0.0.1", 8080), url_of("::1", 80)
    ('http://127.0.0.1:8080', 'http://[::1]:80')
    """
    try:
        socket.inet_pton(socket.AF_INET6, host)
    except OSError:
        return f"http://{host}:{port}"
    return f"http://[{host}]:{port}"

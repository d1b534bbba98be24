"""Pools: the connections to one origin, kept, lent and limited.

Rule 1. Last in, first out: a few connections stay warm, the rest grow old and go.
Rule 2. At the limit calls wait in line, each until its own deadline.
Rule 3. A pool belongs to one origin, one trust (was the host checked?) and one set of
TLS options: a connection that passed weaker rules never serves a stricter call.
Rule 4. A request that must not be sent twice gets a fresh connection: a kept one may be
closed by the other side just when the request leaves, and nobody could tell what became
of it.

Not here: opening sockets (dialer), expiring calls (deadlines).
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Protocol

from plait.connectors.egress import ConnectorError, Host
from plait.connectors.http.connection import Asker, Connection
from plait.connectors.http.errors import ConnectFailed, Unforeseen
from plait.connectors.http.options import TlsOptions
from plait.connectors.http.request import default_head
from plait.model.record import record


@record
class Origin:
    """Where a pool's connections lead. `is_trusted`: the operator wrote this host."""

    scheme: str
    host: Host
    port: int
    authority: str
    is_trusted: bool
    tls: TlsOptions | None


class Lease(Asker, Protocol):
    """A call in need of a connection.

    Attributes:
        message: The whole request.
        is_over: It no longer needs a connection.
        needs_fresh: It takes no connection that was used before.
        dial: The connection being opened for it.
    """

    message: bytes
    is_over: bool
    needs_fresh: bool
    dial: asyncio.Task[Connection] | None

    @property
    def timeout_ms(self) -> int:
        """The call's time limit; opening a connection for it takes no longer."""
        ...


class Dial(Protocol):
    """Opens connections."""

    async def connect(self, pool: Pool, *, limit_ms: int) -> Connection:
        """Return an open connection for `pool`; raises ConnectorError."""
        ...


class Pool:
    """The connections to one origin.

    Attributes:
        default_head: The header lines that every request to this origin begins with.
    """

    def __init__(self, origin: Origin, dial: Dial, *, connection_count_max: int) -> None:
        self.origin = origin
        self.default_head = default_head(origin.authority)
        self._dial = dial
        self._count_max = connection_count_max
        self._open_count = 0
        self._dials: set[asyncio.Task[Connection]] = set()
        self._idle: list[Connection] = []
        self._waiting: deque[Lease] = deque()

    @property
    def is_unused(self) -> bool:
        """Whether nothing is open and nobody waits."""
        return not self._open_count and not self._waiting

    def acquire(self, lease: Lease) -> None:
        """Send the lease's request on a connection, as soon as there is one."""
        if self._idle and not lease.needs_fresh:
            self._idle.pop().send(lease, lease.message)
        elif self._open_count < self._count_max:
            self._open(lease)
        else:
            self._waiting.append(lease)
            if self._idle:
                self._idle[0].drop()

    def release(self, connection: Connection) -> None:
        """Keep `connection`, or lend it to the next in line."""
        if not self._waiting:
            self._idle.append(connection)
            return
        lease = self._next_waiting()
        if lease is None:
            self._idle.append(connection)
        elif lease.needs_fresh:
            self._waiting.appendleft(lease)
            connection.drop()
        else:
            connection.send(lease, lease.message)

    def dropped(self, connection: Connection) -> None:
        """Forget `connection`."""
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()

    def _free_slot(self) -> None:
        self._open_count -= 1
        lease = self._next_waiting()
        if lease is not None:
            self._open(lease)

    def _next_waiting(self) -> Lease | None:
        while self._waiting:
            lease = self._waiting.popleft()
            if not lease.is_over:
                return lease
        return None

    def _open(self, lease: Lease) -> None:
        self._open_count += 1
        dialing = self._dial.connect(self, limit_ms=lease.timeout_ms)
        lease.dial = asyncio.get_running_loop().create_task(dialing)
        self._dials.add(lease.dial)
        # Here and not inside the task: one that is cancelled before its first step runs
        # none of its own code, and the slot must be free all the same.
        lease.dial.add_done_callback(partial(self._dialed, lease))

    def _dialed(self, lease: Lease, dial: asyncio.Task[Connection]) -> None:
        self._dials.discard(dial)
        error = None if dial.cancelled() else dial.exception()
        if dial.cancelled():
            self._free_slot()
        elif error is None:
            self._take_in(dial.result(), lease)
        elif isinstance(error, ConnectorError):
            self._fail(lease, error)
        else:
            # Nothing of ours; but a call must hear of it, and the slot must be free.
            self._fail(lease, Unforeseen(error))

    def _fail(self, lease: Lease, error: ConnectorError) -> None:
        self._free_slot()
        lease.broke(error, None, None)

    def _take_in(self, connection: Connection, lease: Lease) -> None:
        """Let a new connection serve the call that it was opened for."""
        lease.dial = None
        if not connection.adopt():
            host, port = self.origin.host.name, self.origin.port
            reason = "it closed the connection"
            self._fail(lease, ConnectFailed(host=host, port=port, reason=reason))
        elif lease.is_over:
            self.release(connection)
        else:
            connection.send(lease, lease.message)

    def sweep(self) -> None:
        """Drop connections that were idle for two sweeps."""
        for connection in list(self._idle):
            if connection.is_aged:
                connection.drop()
            connection.is_aged = True

    async def close(self) -> None:
        """Forget who waits, give up what is being opened, and drop all that is idle."""
        self._waiting.clear()
        dials = list(self._dials)
        for dial in dials:
            dial.cancel()
        await asyncio.gather(*dials, return_exceptions=True)
        for connection in list(self._idle):
            connection.drop()

"""What the connections of one client share: where they read to, and who is open."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Protocol

RECEIVE_BYTES_MAX: Final = 65_536
# A connection that was dropped is gone a turn of the loop later, or a bug keeps it; no
# process may wait for that.
_GONE_S_MAX: Final = 1.0


class Closable(Protocol):
    """A connection, as far as closing goes."""

    def drop(self) -> None:
        """Close at once."""
        ...


class ReceiveBuffer:
    """What connections read into; one per client."""

    __slots__ = ("data", "view")

    def __init__(self, size: int = RECEIVE_BYTES_MAX) -> None:
        self.data = bytearray(size)
        self.view = memoryview(self.data)


class Registry:
    """The connections of one client that are open, or closing."""

    def __init__(self) -> None:
        self._all: set[Closable] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, connection: Closable) -> None:
        """`connection` is up."""
        self._all.add(connection)
        self._empty.clear()

    def discard(self, connection: Closable) -> None:
        """`connection` is gone."""
        self._all.discard(connection)
        if not self._all:
            self._empty.set()

    async def close(self) -> None:
        """Close all; return when they are gone, or after a second."""
        for connection in list(self._all):
            connection.drop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GONE_S_MAX):
                await self._empty.wait()

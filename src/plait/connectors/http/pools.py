"""All pools of one client: found by the beginning of a URL, swept, closed together.

Rule. A URL's scheme and authority are read once. The text that passed is kept as an
alias of its pool, so the next call with the same beginning costs one look-up.
"""

from __future__ import annotations

import asyncio
from typing import Final

from plait.connectors.egress import Egress
from plait.connectors.http.connection import Connection
from plait.connectors.http.dialer import Dialer
from plait.connectors.http.options import TlsOptions
from plait.connectors.http.pool import Origin, Pool
from plait.connectors.http.registry import ReceiveBuffer, Registry
from plait.connectors.http.settings import HttpSettings
from plait.connectors.http.url import Url

# Hosts out of templates could pile up; forgetting one costs a second look at its URL.
_ALIAS_COUNT_MAX: Final = 4096


class Pools:
    """The pools of one client.

    Attributes:
        trusted: Pools for hosts that the operator wrote, by scheme and authority as a URL
            spells them; only those with the system's TLS options. A missing one is not
            an error: `open` finds or makes it.
        checked: The same for hosts out of templates.
    """

    def __init__(self, settings: HttpSettings, egress: Egress) -> None:
        self._settings = settings
        self.trusted: dict[str, Pool] = {}
        self.checked: dict[str, Pool] = {}
        self._pools: dict[tuple[object, ...], Pool] = {}
        self._buffer = ReceiveBuffer()
        self._registry = Registry()
        self._timer: asyncio.TimerHandle | None = None
        self._dialer = Dialer(
            egress, self._connection, connect_timeout_ms=settings.connect_timeout_ms
        )

    def _connection(self, pool: Pool) -> Connection:
        return Connection(pool, self._buffer, self._registry)

    def open(self, url: Url, tls: TlsOptions | None, *, is_trusted: bool) -> Pool:
        """Return the pool for `url`."""
        key = (*url.origin, tls, is_trusted)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = self._make(url, tls, is_trusted=is_trusted)
        if tls is None:
            aliases = self.trusted if is_trusted else self.checked
            if len(aliases) >= _ALIAS_COUNT_MAX:
                aliases.clear()
            aliases[url.prefix] = pool
        return pool

    def _make(self, url: Url, tls: TlsOptions | None, *, is_trusted: bool) -> Pool:
        if self._timer is None:
            self._wait()
        origin = Origin(
            scheme=url.scheme,
            host=url.host,
            port=url.port,
            authority=url.authority,
            is_trusted=is_trusted,
            tls=tls,
        )
        count_max = self._settings.connection_count_max
        return Pool(origin, self._dialer, connection_count_max=count_max)

    def _wait(self) -> None:
        """Sweep in half the idle time: what is idle in two sweeps was idle for that."""
        delay_s = self._settings.idle_ms_max / 2000
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        for key, pool in list(self._pools.items()):
            pool.sweep()
            if pool.is_unused:
                del self._pools[key]
                self.trusted.clear()
                self.checked.clear()
        if self._pools:
            self._wait()

    async def close(self) -> None:
        """Close every connection; return when they are gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        await self._registry.close()
        self._pools.clear()

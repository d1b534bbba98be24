"""The `http` connector: plait.ports.calls.Calls over one lean HTTP/1.1 client.

Rule 1. Callbacks on the loop's own transports: no task, future or timer per call. On
one core a call costs about 15 µs, of which the kernel and the loop take 7.
Rule 2. Everything is checked before anything is sent, and every host of a template, of
every redirect too, goes through the egress rules.
Rule 3. `start` never raises, and nothing that was sent is in a failure.

The way of a call: `start` → request (bytes) → pool (a connection) → readers (the reply)
→ exchange (the outcome) → `done`.

Not here: retries, breakers and caches (plait.resilience).
"""

from __future__ import annotations

import asyncio

from plait.connectors.egress import (
    ConnectorError,
    Egress,
    EgressPolicy,
    InvalidRequest,
    ResolveMap,
)
from plait.connectors.egress.resolver import Resolver
from plait.connectors.http.body import BodyLimits
from plait.connectors.http.deadlines import Deadlines
from plait.connectors.http.errors import ShutDown, Unforeseen
from plait.connectors.http.exchange import Exchange
from plait.connectors.http.options import TlsOptions, default_options, read_options
from plait.connectors.http.pool import Pool
from plait.connectors.http.pools import Pools
from plait.connectors.http.request import add_params, for_redirect, read_outgoing
from plait.connectors.http.settings import HttpSettings
from plait.connectors.http.url import is_plain_target, join_url, read_url
from plait.ports.calls import Call, CallHandle, Done


class _Over:
    """The handle of a call that ended before `start` returned."""

    def cancel(self) -> None:
        """Nothing is under way."""


_OVER = _Over()


class HttpCalls:
    """Performs the calls of `http` steps, on the event loop of the first one.

    Args:
        settings: Defaults when None.

    Raises:
        ValueError: an entry of `settings.resolve` or `settings.allow` is malformed.

    >>> calls = HttpCalls(HttpSettings(resolve={"users": "127.0.0.1:8001"}))
    """

    def __init__(self, settings: HttpSettings | None = None) -> None:
        self._settings = settings = settings or HttpSettings()
        self._options = default_options(settings.body_bytes_max)
        self._limits = BodyLimits(settings.body_bytes_max, settings.ratio_max)
        policy = EgressPolicy(allow_private=settings.allow_private, allow=settings.allow)
        resolver = Resolver(
            ttl_s=settings.name_ttl_ms / 1000,
            timeout_s=settings.connect_timeout_ms / 1000,
        )
        self._egress = Egress(policy, ResolveMap(settings.resolve), resolver)
        self._pools = Pools(settings, self._egress)
        self._deadlines: Deadlines[Exchange] | None = None
        self._is_closed = False

    def start(self, call: Call, done: Done) -> CallHandle:
        """Begin `call`. See plait.ports.calls.Calls."""
        error: ConnectorError
        try:
            exchange = self._prepare(call, done)
        except ConnectorError as known:
            error = known
        except Exception as fault:
            # The port promises not to raise; the fault is reported as the outcome.
            error = Unforeseen(fault)
        else:
            exchange.begin(self._deadlines or self._bind())
            return exchange
        done(error.as_failure(sent=False))
        return _OVER

    def _bind(self) -> Deadlines[Exchange]:
        self._deadlines = Deadlines(asyncio.get_running_loop())
        return self._deadlines

    def _prepare(self, call: Call, done: Done) -> Exchange:
        if self._is_closed:
            raise ShutDown
        request = call.request
        options = read_options(request, self._options)
        outgoing = read_outgoing(request, call.idempotency_key, call.trace)
        url = request.get("url")
        pool, target = self._locate(url, options.tls, is_trusted=call.host_is_literal)
        params = request.get("params")
        if params is not None:
            target = add_params(target, params)
        message = outgoing.to_bytes(target, pool.default_head, pool.origin.authority)
        limits = self._limits
        if options is not self._options:
            limits = BodyLimits(options.body_bytes_max, limits.ratio_max)
        exchange = Exchange(self, call, done, options, limits)
        exchange.aim(str(url), pool, outgoing, message)
        return exchange

    def _locate(
        self, url: object, tls: TlsOptions | None, *, is_trusted: bool
    ) -> tuple[Pool, str]:
        """Return the pool for `url`, and its path and query."""
        if type(url) is str and tls is None:
            # 8: past `http://` and one character of the host.
            slash = url.find("/", 8)
            known = self._pools.trusted if is_trusted else self._pools.checked
            pool = known.get(url[:slash])
            if pool is not None and is_plain_target(url, slash):
                return pool, url[slash:]
        parsed = read_url(url)
        return self._pools.open(parsed, tls, is_trusted=is_trusted), parsed.target

    def follow(self, exchange: Exchange, status: int, location: bytes) -> None:
        """Aim `exchange` at where a redirect leads.

        The same origin keeps the trust and the TLS options that it had; any other is
        checked like a host out of a template, and gets only harmless headers.

        Raises:
            InvalidRequest: the location is no URL that may be called.
        """
        # What is no UTF-8 turns into half surrogates, which read_url refuses.
        path = location.decode("utf-8", "surrogateescape")
        here, there = read_url(exchange.url), read_url(join_url(exchange.url, path))
        is_same = here.origin == there.origin
        if not is_same and status in (307, 308) and exchange.outgoing.body is not None:
            # The body may hold credentials as well as the headers may.
            raise InvalidRequest(
                "a redirect to another origin would take the request's body there"
            )
        outgoing = for_redirect(exchange.outgoing, status, is_same_origin=is_same)
        pool = self._pools.open(
            there,
            exchange.options.tls if is_same else None,
            is_trusted=is_same and exchange.pool.origin.is_trusted,
        )
        message = outgoing.to_bytes(there.target, pool.default_head, there.authority)
        exchange.aim(f"{there.prefix}{there.target}", pool, outgoing, message)

    async def close(self) -> None:
        """Cancel all calls and close all connections; later calls fail."""
        self._is_closed = True
        under_way = self._deadlines.everyone() if self._deadlines else []
        for exchange in under_way:
            exchange.cancel()
        if self._deadlines is not None:
            self._deadlines.close()
        await self._pools.close()
        await self._egress.close()

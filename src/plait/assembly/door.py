"""The door of a service that speaks gRPC otherwise: `/metrics` and `/health` over HTTP.

`/health`, `/health/live`  200 as long as the process answers at all
`/health/ready`            503 while it starts or drains, or cannot do its work
`/metrics`                 Prometheus' text format, for who has the token

Rule. Metrics are open on this machine only; on a network a token is asked for, though not
      for health: an orchestrator has none.

Not here: what the gateway answers at the same paths (plait.gateway.builtin).
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import ClassVar, Final

import orjson
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from plait import __version__
from plait.assembly.sources import Configured, SettingsInvalid
from plait.gateway.listener import Listener
from plait.gateway.message import JSON_TYPE, Reply, Request
from plait.gateway.metrics import CONTENT_TYPE
from plait.gateway.refusal import MethodNotAllowed, NotFound, Refused
from plait.services.server import is_loopback

_NEVER_KEPT: Final = (b"cache-control", b"no-store")
_LIVE: Final = frozenset({"/health", "/health/live"})
_READY: Final = "/health/ready"
_METRICS: Final = "/metrics"


class Unshown(Refused):
    """Who asks for metrics has not shown the token."""

    code: ClassVar[str] = "request.unauthenticated"
    status: ClassVar[int] = 401


class Door:
    """Answers for one service. Make it inside the event loop; close it when done.

    Args:
        registry: Has the service's metrics; those of the process are added.
        trouble: Why the service cannot do its work now, as a code; None: it can.
        token: What who asks for metrics has to show; None: nothing.

    Attributes:
        state: `starting`, `ready` or `draining`.
    """

    def __init__(
        self,
        role: str,
        registry: CollectorRegistry,
        trouble: Callable[[], str | None],
        token: str | None,
    ) -> None:
        self.state = "starting"
        self._role = role
        self._registry = registry
        self._trouble = trouble
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._listener: Listener | None = None
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

    async def listen(self, address: str) -> tuple[str, int]:
        """Answer from now on; return where.

        Args:
            address: `host:port`; port 0 takes any free one.

        Raises:
            OSError: The address cannot be listened on.
        """
        host, _, port = address.rpartition(":")
        self._listener = Listener(self.handle)
        return await self._listener.listen(host.strip("[]"), int(port))

    async def handle(self, request: Request) -> Reply:
        """Return the reply to a request."""
        try:
            return self._reply(request)
        except Refused as refused:
            return refused.as_reply()

    def _reply(self, request: Request) -> Reply:
        path = request.path
        if path not in (*_LIVE, _READY, _METRICS):
            raise NotFound("the service answers at /metrics and /health")
        if request.method not in ("GET", "HEAD"):
            allow = (b"allow", b"GET, HEAD")
            text = f"{request.method} is not answered here; GET is"
            raise MethodNotAllowed(text, headers=(allow,))
        if path == _METRICS:
            self._check(request)
            shown = generate_latest(self._registry)
            return Reply(200, [(b"content-type", CONTENT_TYPE), _NEVER_KEPT], shown)
        return self._health(200 if path in _LIVE or self._is_ready() else 503)

    def _check(self, request: Request) -> None:
        given = request.headers.get(b"authorization", b"")
        if self._expected is None or hmac.compare_digest(given, self._expected):
            return
        asked = (b"www-authenticate", b"Bearer")
        raise Unshown("show the token of `telemetry.metrics_token`", headers=(asked,))

    def _is_ready(self) -> bool:
        return self.state == "ready" and self._trouble() is None

    def _health(self, status: int) -> Reply:
        trouble = self._trouble() if self.state == "ready" else None
        told = {
            "status": "unready" if trouble is not None else self.state,
            "version": __version__,
            "role": self._role,
        }
        if trouble is not None:
            told["store"] = trouble
        return Reply(status, [JSON_TYPE, _NEVER_KEPT], orjson.dumps(told))

    async def close(self) -> None:
        """Answer no more."""
        if self._listener is not None:
            at_once = asyncio.Event()  # replies are made without a wait: none is cut off
            at_once.set()
            await self._listener.drain(0.0, at_once)


def token_of(configured: Configured) -> str | None:
    """Return what who asks for metrics has to show; None: nothing.

    Raises:
        SettingsInvalid: The secret is not there, or the door would be open to a network.
    """
    own = configured.settings.telemetry
    if own.metrics_token:
        token = configured.secrets.get(own.metrics_token)
        if not token:
            reason = f"telemetry.metrics_token: there is no secret '{own.metrics_token}'"
            raise SettingsInvalid([reason])
        return token
    if own.metrics_listen is not None and not is_loopback(own.metrics_listen):
        reason = (
            f"telemetry.metrics_listen: {own.metrics_listen} is open to the network: name "
            "the secret that whoever asks has to show (`telemetry.metrics_token`)"
        )
        raise SettingsInvalid([reason])
    return None

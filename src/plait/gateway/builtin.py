"""What the gateway answers by itself: health, the OpenAPI document, its page, metrics.

`/health`, `/health/live`  200 as long as the process answers at all; how many endpoints
                           are served, and how many documents not as they stand
`/health/ready`            503 while starting or draining, or while the store cannot be
                           reached, or executions not be written to it, so that nobody
                           sends more
`/openapi.json`, `/docs`   what is served
`/metrics`                 Prometheus' text format

Health and metrics are answered under the control plane's prefix too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import orjson

from plait import __version__
from plait.gateway.control.operations import PREFIX
from plait.gateway.docs_page import CONTENT_SECURITY_POLICY, render_docs
from plait.gateway.layers import Exchange, Handler
from plait.gateway.message import JSON_TYPE, Reply
from plait.gateway.metrics import CONTENT_TYPE, Metrics
from plait.gateway.openapi import build_openapi
from plait.gateway.snapshot import Route, Snapshot
from plait.model.caller import DEFAULT_TENANT

_NEVER_KEPT: Final = (b"cache-control", b"no-store")
_HTML_HEADERS: Final = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Served(Protocol):
    """What the built-in endpoints tell of."""

    state: str
    refused: tuple[str, ...]
    metrics: Metrics

    @property
    def trouble(self) -> str | None:
        """Why no execution can be kept, as a code; None: nothing is wrong."""
        ...

    @property
    def snapshot(self) -> Snapshot:
        """What is served now."""
        ...


def own_routes(
    served: Served,
    control_document: Callable[[], Awaitable[dict[str, Any]]] | None = None,
    *,
    has_docs: bool,
    has_metrics: bool,
) -> list[Route]:
    """Return the gateway's own routes.

    Args:
        control_document: Returns the control plane's OpenAPI document, if there is one.
    """
    live = _handler(lambda: _health(served, 200))
    ready = _handler(lambda: _health(served, 200 if _is_ready(served) else 503))
    handlers: dict[str, Handler] = {
        "/health": live,
        "/health/live": live,
        "/health/ready": ready,
    }
    if has_metrics:
        handlers["/metrics"] = _handler(lambda: _metrics(served.metrics))
    if control_document is not None:
        handlers |= {PREFIX + path: handler for path, handler in handlers.items()}
    if has_docs:
        pages = _Pages(served, control_document)
        handlers["/openapi.json"] = pages.openapi
        handlers["/docs"] = pages.docs
    return [Route("GET", path, handler) for path, handler in handlers.items()]


def _handler(answer: Callable[[], Reply]) -> Handler:
    async def handle(_: Exchange) -> Reply:
        return answer()

    return handle


def _is_ready(served: Served) -> bool:
    return served.state == "ready" and served.trouble is None


def _health(served: Served, status: int) -> Reply:
    is_stuck = served.state == "ready" and served.trouble is not None
    told: dict[str, object] = {
        "status": "unready" if is_stuck else served.state,
        "version": __version__,
        "endpoints": len(served.snapshot.served),
        # A number only: names of files are nobody's business here.
        "broken_documents": len(served.refused),
    }
    if served.trouble is not None:
        told["store"] = served.trouble
    return Reply(status, [JSON_TYPE, _NEVER_KEPT], orjson.dumps(told))


def _metrics(metrics: Metrics) -> Reply:
    return Reply(200, [(b"content-type", CONTENT_TYPE), _NEVER_KEPT], metrics.render())


class _Pages:
    """What is told of a snapshot; made once for each."""

    def __init__(
        self,
        served: Served,
        control_document: Callable[[], Awaitable[dict[str, Any]]] | None,
    ) -> None:
        self._served = served
        self._control_document = control_document
        self._about: Snapshot | None = None
        self._openapi = self._docs = b""

    async def openapi(self, _: Exchange) -> Reply:
        await self._refresh()
        return Reply(200, [JSON_TYPE], self._openapi)

    async def docs(self, _: Exchange) -> Reply:
        await self._refresh()
        return Reply(200, list(_HTML_HEADERS), self._docs)

    async def _refresh(self) -> None:
        snapshot = self._served.snapshot
        if snapshot is self._about:
            return
        control = None
        if self._control_document is not None:
            control = await self._control_document()
        # Public: what other tenants have is nobody's business here.
        plans = [
            route.deployment.plan
            for route in snapshot.served
            if route.deployment and route.deployment.tenant == DEFAULT_TENANT
        ]
        document = build_openapi(plans, control)
        self._openapi = orjson.dumps(document)
        self._docs = render_docs(document).encode()
        self._about = snapshot

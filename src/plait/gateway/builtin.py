"""What the gateway answers by itself: health, the OpenAPI document, its page, metrics.

`/health`, `/health/live`  200 as long as the process answers at all; how many endpoints
                           are served, and how many documents not as they stand
`/health/ready`            503 while starting or draining, or while the store cannot be
                           reached, or executions not be written to it, so that nobody
                           sends more
`/openapi.json`, `/docs`   what is served, as far as who asks may see it
`/metrics`                 Prometheus' text format

Health and metrics are answered under the control plane's prefix too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import replace
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
from plait.model.caller import Caller, is_allowed
from plait.model.record import record
from plait.plan import Plan

_NEVER_KEPT: Final = (b"cache-control", b"no-store")
# More kinds of callers than this, who see different things, are told anew.
_KEPT_MAX: Final = 32
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


@record
class _Told:
    """What is told of what some callers see: the document, and its page."""

    openapi: bytes
    docs: bytes


class _Pages:
    """What is told of a snapshot; made once for each, and for all who see the same."""

    def __init__(
        self,
        served: Served,
        control_document: Callable[[], Awaitable[dict[str, Any]]] | None,
    ) -> None:
        self._served = served
        self._control_document = control_document
        self._about: Snapshot | None = None
        self._made: dict[Hashable, _Told] = {}

    async def openapi(self, exchange: Exchange) -> Reply:
        return Reply(200, [JSON_TYPE], (await self._told(exchange.caller)).openapi)

    async def docs(self, exchange: Exchange) -> Reply:
        told = await self._told(exchange.caller)
        return Reply(200, list(_HTML_HEADERS), told.docs)

    async def _told(self, caller: Caller | None) -> _Told:
        control = None
        if self._control_document is not None:
            control = await self._control_document()
        snapshot = self._served.snapshot
        if snapshot is not self._about:
            self._made, self._about = {}, snapshot
        seen = Caller("", role="viewer") if caller is None else caller
        key = _what_is_seen(seen)
        made = self._made.get(key)
        if made is None:
            document = build_openapi(_plans(snapshot, seen), control)
            made = _Told(orjson.dumps(document), render_docs(document).encode())
            if len(self._made) >= _KEPT_MAX:
                self._made.clear()
            self._made[key] = made
        return made


def _what_is_seen(caller: Caller) -> Hashable:
    """Return what is equal for callers who see the same."""
    sees_all = is_allowed(caller, "viewer")
    return caller.tenant, None if sees_all else frozenset(caller.grants)


def _plans(snapshot: Snapshot, caller: Caller) -> list[Plan]:
    """Return what a caller may see of their tenant, with the paths that are asked."""
    found = []
    for route in snapshot.served:
        one = route.deployment
        if one is None or one.tenant != caller.tenant or one.plan.endpoint is None:
            continue
        if is_allowed(caller, "viewer", one.plan.name):
            endpoint = replace(one.plan.endpoint, path=route.template)
            found.append(replace(one.plan, endpoint=endpoint))
    return found

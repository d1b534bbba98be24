"""Guards: how each of the gateway's routes is protected, in one place.

| route | who |
|---|---|
| `/health…`, here and under `/api/v1` | everybody |
| `/docs`, `/openapi.json` | everybody, or all who are known where callers are required |
| `/metrics` | everybody, or viewers of the default tenant where callers are required |
| the control plane | whom its services let: they are told who asks |
| `/api/v1/auth/…`, `/webhooks/…` | everybody: what they show is looked at there |
| endpoints | as their documents say, `endpoint.auth` |

Who reads `/docs` and `/openapi.json` is told of what they may see of their own tenant.

Not here: what a guard does (plait.gateway.access).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any, Final

from plait.gateway.access import (
    KNOWN,
    OPEN,
    Access,
    Doors,
    Rule,
    address_of,
    counted_caller,
)
from plait.gateway.control.operations import OPERATIONS, Operation
from plait.gateway.cors import Cors
from plait.gateway.layers import Exchange, Handler
from plait.gateway.limits import Headers, Limit
from plait.gateway.message import Reply, Request
from plait.gateway.token_routes import (
    REVOKE_PATH,
    TOKEN_PATH,
    GivesTokens,
    token_handlers,
    token_paths,
)
from plait.model.caller import ANYBODY, DEFAULT_TENANT, Caller
from plait.model.record import record

_HEALTH: Final = "/health"
_METRICS: Final = "/metrics"
_OF_ALL: Final = (
    ": metrics are of all tenants together, and for viewers of the tenant "
    f"'{DEFAULT_TENANT}'"
)
# All webhooks together; there is one route for them.
WEBHOOK_TEMPLATE: Final = "/webhooks/{path}"
_SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


async def _nothing() -> None:
    """There is nothing to be ended."""


@record
class Guards:
    """What protects a gateway. The default protects nothing.

    Attributes:
        cors: None: no other site's page may read anything.
        tokens: Gives tokens; None: nobody does.
        routes: Limits of single routes of the API, by method and path.
        forget: Looks up again whoever counted: somebody counts no more.
        close: Ends what is done beside requests.
    """

    doors: Doors = field(default_factory=Doors)
    cors: Cors | None = None
    tokens: GivesTokens | None = None
    routes: Mapping[tuple[str, str], Limit] = field(default_factory=dict)
    forget: Callable[[], None] = lambda: None
    close: Callable[[], Awaitable[None]] = _nothing

    def of_own(self, path: str) -> Access | None:
        """Return the guard of what the gateway tells of itself; None: it needs none."""
        if _HEALTH in path:
            return None
        is_closed = self.doors.is_required
        if path.endswith(_METRICS):
            rule = Rule("viewer" if is_closed else OPEN, why=_OF_ALL)
        else:
            rule = Rule(KNOWN if is_closed else OPEN, is_told=True)
        access = Access(self.doors, rule)
        return access if access.is_any else None

    def of_operation(self, *, is_public: bool) -> Access | None:
        """Return the guard of an operation, which finds out itself who asks; None: none.

        Args:
            is_public: Whether it answers those who show nothing, too.
        """
        access = Access(self.doors, Rule(OPEN, is_answered=is_public))
        return access if access.is_any else None

    def of_public(self, method: str, template: str) -> Access | None:
        """Return the guard of what checks itself what it is shown; None: it needs none."""
        limit = self.routes.get((method, template))
        access = Access(self.doors, Rule(OPEN, limit=limit, by="address"))
        return access if access.is_any else None

    async def count(
        self, operation: Operation, request: Request, caller: Caller
    ) -> Headers:
        """Count a request to the control plane; return the headers that tell the limits.

        Raises:
            TooMany: It is one too many.
        """
        own = self.routes.get((operation.method, operation.template))
        limits = [one for one in (self.doors.caller, own) if one is not None]
        if not limits:
            return []
        is_known = caller.tenant != ANYBODY.tenant
        key = counted_caller(caller) if is_known else address_of(self.doors, request)
        return [header for limit in limits for header in await limit.take(key)]

    def token_handlers(self) -> Mapping[str, Handler]:
        """Return what gives tokens, by path."""
        if self.tokens is None:
            return {}
        return token_handlers(self.tokens, self.doors.proxies)

    def in_document(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """Return the control plane's OpenAPI document with the routes for tokens."""
        more = token_paths() if self.tokens is not None else {}
        return {**made, "paths": {**made["paths"], **more}}


def limited_routes() -> list[str]:
    """Return the routes that can have limits of their own, as settings name them."""
    own = [f"{one.method} {one.template}" for one in OPERATIONS]
    return [*own, *(f"POST {path}" for path in (TOKEN_PATH, REVOKE_PATH, WEBHOOK_TEMPLATE))]


def with_security_headers(handler: Handler) -> Handler:
    """Tell browsers to make nothing of a reply but what it says it is."""

    async def handle(exchange: Exchange) -> Reply:
        reply = await handler(exchange)
        names = {name for name, _ in reply.headers}
        reply.headers += [one for one in _SECURITY_HEADERS if one[0] not in names]
        return reply

    return handle

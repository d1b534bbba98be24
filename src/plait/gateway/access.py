"""Access: who may ask a route, and how often.

Rule 1. A route that nobody guards has no layer here, and costs nothing.
Rule 2. What can be known from the head of a request is said before its body is read: that
        it shows no key where one is needed, and that its address has asked too often.
Rule 3. Another tenant's callers are refused as callers without the role are, but where the
        route is for the callers of every tenant. An endpoint is not there for them: they
        are told what they are told of any path that nothing answers at.

Not here: whose a key is (plait.security), what roles may (plait.model.caller).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import field
from typing import ClassVar, Final

from plait.gateway.clients import Proxies, counted_as
from plait.gateway.layers import Exchange, Handler
from plait.gateway.limits import Headers, Limit, MakesLimit, own_limit
from plait.gateway.message import Reply, Request, as_bytes, header_texts
from plait.gateway.refusal import NotFound, Refused
from plait.model.caller import DEFAULT_TENANT, Caller, Forbidden, require
from plait.model.errors import Advice
from plait.model.rate import Rate
from plait.model.record import record
from plait.plan import Endpoint, Plan
from plait.ports.identity import Authenticator, RateExceeded, Unauthenticated

OPEN: Final = "none"
# Whoever is known, of whichever tenant and with whichever roles.
KNOWN: Final = "known"
CREDENTIALS: Final = (b"authorization", b"x-api-key")
_PRIVATE: Final = b"private"


class NotAuthenticated(Refused):
    """The request does not show who asks."""

    code: ClassVar[str] = Unauthenticated.code
    status: ClassVar[int] = 401


class NotAllowed(Refused):
    """The caller is known, and may not do this."""

    code: ClassVar[str] = Forbidden.code
    status: ClassVar[int] = 403


class Throttled(Refused):
    """Too many attempts to show who asks have failed."""

    code: ClassVar[str] = RateExceeded.code
    advice: ClassVar[Advice] = Advice.RETRY
    status: ClassVar[int] = 429


@record
class Doors:
    """What all routes of a gateway have in common.

    Attributes:
        authenticator: Finds out who asks; None: nobody can show who they are.
        is_required: Whether routes that do not say otherwise are for known callers only.
        address: The limit of each address, over all routes; None: there is none.
        caller: The limit of each caller, over all routes that know them.
        shown_in: The headers in which callers show who they are.
        limits: Makes the limits of endpoints.
    """

    authenticator: Authenticator | None = None
    is_required: bool = False
    proxies: Proxies = field(default_factory=Proxies)
    address: Limit | None = None
    caller: Limit | None = None
    shown_in: tuple[bytes, ...] = CREDENTIALS
    limits: MakesLimit = own_limit


@record
class Rule:
    """Who may ask one route, and how often.

    Attributes:
        role: What callers need; `none`: nothing; `known`: to be known, in any tenant;
            None: what the gateway says.
        workflow: The workflow that grants may be on.
        limit: None: there is none.
        by: Whose requests it counts together: `caller`, `address`, `all`.
        is_answered: Whether who shows nothing is answered by whatever stands behind, also
            where callers are required.
        is_told: Whether what stands behind is told who asks, also where nobody has to be
            known: of those who show what does not count, it is told nothing.
        why: Said to those who are refused.
    """

    role: str | None = None
    workflow: str | None = None
    tenant: str = DEFAULT_TENANT
    limit: Limit | None = None
    by: str = "caller"
    is_answered: bool = True
    is_told: bool = False
    why: str = ""


class Access:
    """The guard of one route."""

    def __init__(self, doors: Doors, rule: Rule) -> None:
        self._doors = doors
        self._rule = rule
        self._role = rule.role or ("operator" if doors.is_required else OPEN)
        self._needs_key = doors.is_required and (self._role != OPEN or not rule.is_answered)

    @property
    def is_any(self) -> bool:
        """Whether it refuses anybody anything."""
        limits = (self._rule.limit, self._doors.address)
        is_told = self._rule.is_told and self._doors.authenticator is not None
        return self._role != OPEN or self._needs_key or is_told or any(limits)

    def screen(self, request: Request) -> Refused | None:
        """Return what speaks against a request whose body has not come yet."""
        shows = self._shows(request)
        if self._needs_key and not shows:
            return _nobody()
        address = address_of(self._doors, request)
        limits = [self._doors.address]
        if self._rule.by == "address" or (self._rule.by == "caller" and not shows):
            limits.append(self._rule.limit)
        return next(filter(None, (one.peek(address) for one in limits if one)), None)

    def layer(self, handler: Handler) -> Handler:
        """Return `handler` behind this guard."""

        async def handle(exchange: Exchange) -> Reply:
            told = await self._enter(exchange)
            reply = await handler(exchange)
            if exchange.caller is not None:
                reply.headers = [_private(one) for one in reply.headers]
            reply.headers += told
            return reply

        return handle

    async def _enter(self, exchange: Exchange) -> Headers:
        """Let a request in; return the headers that its reply tells the limits with."""
        request, doors, rule = exchange.request, self._doors, self._rule
        address = address_of(self._doors, request)
        told = await doors.address.take(address) if doors.address is not None else []
        exchange.caller = caller = await self._known(request)
        if caller is not None and doors.caller is not None:
            told += await doors.caller.take(counted_caller(caller))
        if rule.limit is not None:
            keys = {"all": "", "address": address}
            key = keys.get(rule.by, address if caller is None else counted_caller(caller))
            told += await rule.limit.take(key)
        return told

    def _shows(self, request: Request) -> bool:
        return any(name in request.headers for name in self._doors.shown_in)

    async def _known(self, request: Request) -> Caller | None:
        """Return who asks; None: they need not be known, and are not."""
        if self._role != OPEN:
            return await self._caller(request)
        if self._rule.is_told and self._shows(request):
            with suppress(Refused):
                return await self._caller(request)
        return None

    async def _caller(self, request: Request) -> Caller:
        if self._doors.authenticator is None:
            raise _nobody()
        try:
            headers = header_texts(request.headers)
            caller = await self._doors.authenticator.authenticate(headers, peer_of(request))
            self._require(caller, request)
        except Unauthenticated as error:
            headers_told = as_bytes(error.headers)
            raise NotAuthenticated(str(error), headers=headers_told) from None
        except Forbidden as error:
            raise NotAllowed(str(error) + self._rule.why) from None
        except RateExceeded as error:
            raise Throttled(str(error), headers=as_bytes(error.headers)) from None
        return caller

    def _require(self, caller: Caller, request: Request) -> None:
        if self._role in (OPEN, KNOWN):
            return
        rule = self._rule
        if caller.tenant != rule.tenant:
            if rule.workflow is not None:
                raise NotFound.at(request.path)
            raise Forbidden(caller, self._role)
        require(caller, self._role, rule.workflow)


def endpoint_access(
    plan: Plan, endpoint: Endpoint, doors: Doors, tenant: str
) -> Access | None:
    """Return the guard of a workflow's endpoint; None: everybody may ask at any rate."""
    limit = None
    if endpoint.rate_limit:
        of = tenant, plan.name, endpoint.method, endpoint.path
        rate = Rate(endpoint.rate_limit, endpoint.rate_ms)
        limit = doors.limits("endpoint", rate, *of)
    rule = Rule(endpoint.role, plan.name, tenant, limit, endpoint.rate_by)
    access = Access(doors, rule)
    return access if access.is_any else None


def address_of(doors: Doors, request: Request) -> str:
    """Return what requests of this one's client are counted by."""
    return counted_as(client_of(doors.proxies, request))


def peer_of(request: Request) -> str:
    """Return the address that who asks may be known by; empty: by none.

    HTTP/1.0 is what nginx speaks to whom it passes requests on, with its own address and
    name on them: to take these for a program's at this machine would let in the world.
    """
    return "" if request.version == "1.0" else request.peer


def client_of(proxies: Proxies, request: Request) -> str:
    """Return the address of who asks."""
    said = request.headers.get(proxies.header)
    return proxies.client(request.peer, None if said is None else said.decode("latin-1"))


def counted_caller(caller: Caller) -> str:
    """Return what a caller's requests are counted by."""
    # No address begins like this, so that nobody is counted as another's address.
    return f"caller {caller.tenant} {caller.subject}"


def _nobody() -> NotAuthenticated:
    error = Unauthenticated(
        "send an API key or a token: `Authorization: Bearer …` or `X-API-Key`"
    )
    return NotAuthenticated(str(error), headers=as_bytes(error.headers))


def _private(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Let no cache on the way give to everybody what was answered to a caller."""
    name, told = header
    if name != b"cache-control" or _PRIVATE in told or b"no-store" in told:
        return header
    return name, _PRIVATE + b", " + told

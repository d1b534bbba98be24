"""Who may ask a gateway, put together from settings.

| `security.required` | `gateway.open_api` | listens on | without a key or a token |
|---|---|---|---|
| true | not set, false | anywhere | nobody |
| not set | not set | its own machine | programs of that machine: all but administration |
| not set | not set | a network | nobody |
| not set, false | true | anywhere | everybody is the operator: a proxy checks |
| not set | false | anywhere | nobody |
| false | not set | its own machine | programs of that machine: all but administration |
| false | not set | a network | nobody at the API, everybody at endpoints |

Where `security.trusted_proxies` lists an address of its own machine, what comes from there
is the network's, and programs of that machine show a key too, at the API.

Not here: what is slow to import (plait.assembly.tokens).
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from plait.assembly.brought import BroughtToGateway
from plait.assembly.deploying import LateRecords
from plait.assembly.limits import limits
from plait.assembly.settings import SecuritySection, Settings
from plait.assembly.sources import Configured, SettingsInvalid
from plait.drivers.clock import now_ms
from plait.drivers.closing import close_all
from plait.drivers.outcome import outcome_of
from plait.gateway.access import CREDENTIALS, Doors
from plait.gateway.clients import Proxies
from plait.gateway.cors import Cors
from plait.gateway.following import beat
from plait.gateway.guards import Guards, limited_routes
from plait.gateway.limits import Limit, MakesLimit, own_limit
from plait.gateway.threads import in_thread
from plait.model.caller import DEFAULT_TENANT
from plait.model.diagnostic import did_you_mean
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.model.rate import parse_rate
from plait.ports.audit import DONE, Act
from plait.ports.calls import Call, CallReply, Calls
from plait.ports.records import Records
from plait.security.anonymous import chosen
from plait.security.audit import AuditLog
from plait.security.authenticator import HeaderAuthenticator
from plait.security.claims import Verified
from plait.security.first_key import first_admin_key
from plait.security.keys import ApiKeys

if TYPE_CHECKING:
    from plait.assembly.tokens import Tokens

logger = logging.getLogger("plait.security")

_FETCH_MS_MAX: Final = 5_000
_LOOPBACK: Final = ("127.0.0.1", "::1")


class Security:
    """What a gateway needs to know who asks.

    Args:
        records: Those of the store; they are not touched before somebody shows a key.
        performer: Fetches the keys of issuers, by the egress rules.
        makes_limit: Makes the limits of the gateway.

    Attributes:
        doors: For the gateway's routes.
        keys: The API keys of the store.

    Raises:
        SettingsInvalid: Two settings contradict each other.
    """

    def __init__(
        self,
        configured: Configured,
        records: Records,
        performer: Calls,
        brought: BroughtToGateway | None = None,
        makes_limit: MakesLimit = own_limit,
    ) -> None:
        settings = configured.settings
        own = settings.security
        self._configured = configured
        self._records = records
        self._performer = performer
        self._makes_limit = makes_limit
        self._tokens: Tokens | None = None
        self._building: asyncio.Future[Tokens] | None = None
        self._trying: asyncio.Future[None] | None = None
        self.keys = ApiKeys(records, now_ms)
        proxies = Proxies(own.trusted_proxies, own.proxy_header)
        # What a proxy at this machine passes on comes from loopback too.
        is_proxied = any(proxies.is_listed(one) for one in _LOOPBACK)
        self.authenticator = HeaderAuthenticator(
            self.keys,
            self._verify,
            chosen(
                is_required=not is_open(settings),
                is_open=_is_anybodys(settings),
                is_proxied=is_proxied,
            ),
            kept_ms=own.key_memory,
        )
        brought = brought or BroughtToGateway()
        self.doors = Doors(
            authenticator=brought.authenticator(self.authenticator),
            shown_in=(*CREDENTIALS, *brought.headers),
            is_required=is_required(settings),
            proxies=proxies,
            address=_limit(makes_limit, "address", own.address_rate),
            caller=_limit(makes_limit, "caller", own.caller_rate),
            limits=makes_limit,
        )
        if any(issuer.keys for issuer in own.issuers.values()):
            # A key that is none is told when the gateway starts, not to who shows a token.
            self._tokens = self._build()

    def guards(self) -> Guards:
        """Return what protects a gateway."""
        own = self._configured.settings.security
        return Guards(
            doors=self.doors,
            cors=Cors(own.cors_origins) if own.cors_origins else None,
            tokens=self,
            routes=_route_limits(own, self._makes_limit),
            forget=self.authenticator.forget,
        )

    async def first_start(self, tell: Callable[[str], None]) -> None:
        """Tell the store's first admin key, made now, unless it had its first start.

        While the store is away it is tried again, beside what is served.
        """
        error = await self._first_key(tell)
        if error is not None:
            then = "it is tried again" if _may_pass(error) else "mend it, and start again"
            text = "no admin key could be made (%s): %s; `plait keys create` makes one, too"
            logger.warning(text, error, then)
            self._trying = asyncio.ensure_future(self._try_first_key(tell, error))

    async def _try_first_key(
        self, tell: Callable[[str], None], error: PlaitError | None
    ) -> None:
        while error is not None and _may_pass(error):
            await beat()
            error = await self._first_key(tell)

    async def _first_key(self, tell: Callable[[str], None]) -> PlaitError | None:
        """Make and tell the key, unless there was one; return what stood against that."""
        try:
            key = await first_admin_key(self._records, self.keys, now_ms())
        except PlaitError as error:
            return error
        if key is not None:
            tell(key)
            made = Act(DEFAULT_TENANT, "system", "key.create", "first admin key")
            with suppress(PlaitError):  # it is told, and would be told to nobody again
                await AuditLog(self._records, now_ms).note(made, DONE)
        return None

    async def close(self) -> None:
        """Try nothing again. Await it before the records are closed."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)

    async def give_token(
        self, form: Mapping[str, str], headers: Mapping[str, str], client: str
    ) -> JsonObject:
        """See plait.security.desk.TokenDesk.give."""
        return await (await self._built()).desk.give(form, headers, client)

    async def revoke_token(self, token: str) -> None:
        """See plait.security.desk.TokenDesk.revoke."""
        await (await self._built()).desk.revoke(token)

    async def _verify(self, token: str) -> Verified:
        return await (await self._built()).verifier.verify(token)

    async def _built(self) -> Tokens:
        if self._tokens is None:
            if self._building is None:
                self._building = asyncio.ensure_future(in_thread(self._build))
            self._tokens = await asyncio.shield(self._building)
        return self._tokens

    def _build(self) -> Tokens:
        room = importlib.import_module("plait.assembly.tokens")
        built: Tokens = room.tokens(self._configured, self._records, self.keys, self._fetch)
        return built

    async def _fetch(self, url: str) -> bytes:
        """Return the bytes at a URL of the settings, which the operator wrote."""
        call = Call(
            kind="http",
            request={"url": url, "decode": "text"},
            host_is_literal=True,
            timeout_ms=_FETCH_MS_MAX,
            idempotency_key=None,
            headers_wanted=(),
            execution_id="",
            step="security.issuers",
            attempt=1,
            effect="read",
        )
        outcome = await outcome_of(self._performer.start, call)
        if not isinstance(outcome, CallReply) or not isinstance(outcome.response, str):
            told = getattr(outcome, "message", "this is no text")
            raise PlaitError(told)
        return outcome.response.encode()


def guarded(
    configured: Configured,
    records: LateRecords,
    performer: Calls,
    tell_key: Callable[[str], None] | None,
    brought: BroughtToGateway | None = None,
    needs_store: Callable[[], bool] = lambda: False,
) -> tuple[Guards, Callable[[], Awaitable[None]]]:
    """Return what protects a gateway, and what it awaits when it starts.

    Args:
        tell_key: Hears the first admin key of the store, once; None: none is made.
        needs_store: Tells at the start whether the gateway is of no use without the store.

    Raises:
        SettingsInvalid: Two settings contradict each other, or a key is none.
    """
    makes_limit, uncount = limits(configured.settings.resilience)
    security = Security(configured, records, performer, brought, makes_limit)

    async def first_start() -> None:
        if tell_key is None:
            return
        begin = partial(security.first_start, tell_key)
        if security.doors.is_required or needs_store() or records.is_there:
            await begin()
        else:
            # Who needs no key here, and keeps nothing, needs no store either. As soon as
            # somebody makes it, programs of this machine may want what only admins may.
            records.once_opened(begin)

    guards = security.guards()
    return replace(guards, close=partial(close_all, security.close, uncount)), first_start


def is_required(settings: Settings) -> bool:
    """Tell whether routes that do not say otherwise are for known callers only."""
    wish = settings.security.required
    return not is_open(settings) if wish is None else wish


def is_open(settings: Settings) -> bool:
    """Tell whether somebody without a key or a token may be the operator.

    Raises:
        SettingsInvalid: `open_api` and `security.required` contradict each other.
    """
    required, open_api = settings.security.required, settings.gateway.open_api
    if required and open_api:
        text = "`gateway.open_api` and `security.required` contradict each other"
        raise SettingsInvalid([text])
    if required:
        return False
    return is_own_machine(settings.gateway.host) if open_api is None else open_api


def is_own_machine(host: str) -> bool:
    """Tell whether who listens on `host` is reached from its own machine only.

    >>> is_own_machine("127.0.0.1"), is_own_machine("0.0.0.0"), is_own_machine("api")
    (True, False, False)
    """
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _may_pass(error: PlaitError) -> bool:
    return error.advice is Advice.RETRY


def _is_anybodys(settings: Settings) -> bool:
    return settings.gateway.open_api is True


def _limit(makes_limit: MakesLimit, name: str, rate: str | None) -> Limit | None:
    return None if rate is None else makes_limit(name, parse_rate(rate))


def _route_limits(
    own: SecuritySection, makes_limit: MakesLimit
) -> dict[tuple[str, str], Limit]:
    """Return the limits of single routes, by method and path.

    Raises:
        SettingsInvalid: One is none of the API's.
    """
    found: dict[tuple[str, str], Limit] = {}
    known = limited_routes()
    for route, rate in own.route_rates.items():
        if route not in known:
            hint = did_you_mean(route, known) or "docs/reference/api.md has all"
            text = f"security.route_rates: the API has no route '{route}'; {hint}"
            raise SettingsInvalid([text])
        method, _, path = route.partition(" ")
        found[method, path] = makes_limit("route", parse_rate(rate), method, path)
    return found

"""The executions API: what the link of a 202 leads to, and what operators do by hand.

| route | what |
|---|---|
| GET `/api/v1/executions/{id}?wait=30s` | one: at once, or at its end within the wait |
| GET `/api/v1/executions/{id}/events` | what happens in it, as server-sent events |
| GET `/api/v1/executions?workflow=&status=…` | a list, the latest first |
| POST `/api/v1/executions/{id}/…` | changes its course: see plait.operations.verbs |

Rule 1. Whoever has an execution's id, 128 random bits, learns how it ended. All else is
        for operators: until there are accounts, those who reach a gateway that listens on
        its own machine only, or that its operator has opened.
Rule 2. A POST is JSON: no page of another site can send that unasked.

Not here: what the verbs do (plait.operations).
"""

from __future__ import annotations

import time
from typing import ClassVar, Final
from urllib.parse import parse_qs

from plait.drivers.inputs import violation_at
from plait.gateway.body import read_json, wide_integers
from plait.gateway.control.events import Events
from plait.gateway.durable import EXECUTIONS_PATH, WAIT_MS_MAX, with_store_errors
from plait.gateway.identity import IdentitySource
from plait.gateway.layers import Exchange, Handler, with_error_reply, with_identity
from plait.gateway.message import Reply, Request, json_reply
from plait.gateway.refusal import BadInput, Malformed, Refused, UnsupportedMediaType
from plait.gateway.snapshot import Route
from plait.model.caller import ANYBODY, LOCAL
from plait.model.duration import parse_duration_ms
from plait.model.json import JsonObject, JsonValue
from plait.model.moment import parse_since_ms
from plait.operations.executing import LocalExecutions
from plait.operations.keeper import Keeper
from plait.operations.verbs import VERBS
from plait.ports.journal import RUNNING, TERMINAL, Search

PAGE_SIZE_MAX: Final = 1_000
_PAGE_SIZE: Final = 50
_NEVER_KEPT: Final = (b"cache-control", b"no-store")
# 63 bits, as stores count.
_PLACE_DIGITS_MAX: Final = 18
_FILTERS: Final = frozenset(
    "workflow status error tag key text since until limit before".split()
)


class Closed(Refused):
    """The route is for operators, and this gateway is open to a network."""

    code: ClassVar[str] = "request.forbidden"
    status: ClassVar[int] = 403


class Api:
    """The routes of the executions API.

    Args:
        is_open: Whether whoever reaches the gateway may list and change executions.
    """

    def __init__(
        self, keeper: Keeper, identities: IdentitySource, *, is_open: bool
    ) -> None:
        self._executions = LocalExecutions(keeper)
        self._events = Events(keeper.is_draining)
        self._caller = LOCAL if is_open else ANYBODY
        self._identities = identities
        self._is_open = is_open

    def routes(self) -> list[Route]:
        """Return them, each with the layers that every route has."""
        one = EXECUTIONS_PATH + "/{id}"
        table: list[tuple[str, str, Handler]] = [
            ("GET", one, self._one),
            ("GET", f"{one}/events", self._of),
            ("GET", EXECUTIONS_PATH, self._for_operators(self._list)),
        ]
        for name in VERBS:
            handler = self._for_operators(self._change(name))
            table.append(("POST", f"{one}/{name}", handler))
        return [
            Route(method, path, self._layered(handler)) for method, path, handler in table
        ]

    def _layered(self, handler: Handler) -> Handler:
        handler = with_error_reply(with_store_errors(handler))
        return with_identity(handler, self._identities)

    def _for_operators(self, handler: Handler) -> Handler:
        async def handle(exchange: Exchange) -> Reply:
            if not self._is_open:
                raise Closed(
                    "listing and changing executions is for operators: listen on "
                    "127.0.0.1, or set `gateway.open_api` where a proxy checks who asks"
                )
            return await handler(exchange)

        return handle

    async def _one(self, exchange: Exchange) -> Reply:
        (execution_id,) = exchange.values
        wait_ms = _wait_ms(exchange.request)
        told = await self._executions.get(self._caller, execution_id, wait_ms)
        reply = _reply(200, told)
        if told["status"] == RUNNING:
            reply.headers.append((b"retry-after", b"1"))
        return reply

    async def _of(self, exchange: Exchange) -> Reply:
        (execution_id,) = exchange.values
        after = _last_event(exchange.request)
        told = self._executions.events(self._caller, execution_id, after)
        return await self._events.reply(told)

    async def _list(self, exchange: Exchange) -> Reply:
        search = search_of(exchange.request)
        return _reply(200, await self._executions.find(self._caller, search))

    def _change(self, verb: str) -> Handler:
        async def handle(exchange: Exchange) -> Reply:
            (execution_id,) = exchange.values
            body = _body_of(exchange.request)
            told = await self._executions.change(self._caller, execution_id, verb, body)
            return _reply(200, told)

        return handle


def search_of(request: Request) -> Search:
    """Return what a list's query asks for.

    Raises:
        BadInput: It asks for something that no list has.

    >>> search_of(Request("GET", "/", "status=failed&status=completed", {})).statuses
    ('failed', 'completed')
    """
    given = _query(request)
    unknown = sorted(set(given) - _FILTERS)
    if unknown:
        known = ", ".join(sorted(_FILTERS))
        raise BadInput(f"unknown filter '{unknown[0]}'; known: {known}")
    statuses = tuple(given.get("status", ()))
    wrong = [one for one in statuses if one not in (RUNNING, *TERMINAL)]
    if wrong:
        known = ", ".join((RUNNING, *TERMINAL))
        raise BadInput(f"unknown status '{wrong[0]}'; known: {known}")

    def last(name: str) -> str | None:
        return given[name][-1] if name in given else None

    return Search(
        workflow=last("workflow"),
        statuses=statuses,
        error_code=last("error"),
        tag=last("tag"),
        key=last("key"),
        text=last("text"),
        since_ms=_moment_ms(last("since")),
        until_ms=_moment_ms(last("until")),
        before=_place(last("before")),
        limit=_limit(last("limit")),
    )


def _place(given: str | None) -> int | None:
    if given is None:
        return None
    if not given.isdecimal() or len(given) > _PLACE_DIGITS_MAX:
        raise BadInput("`before` is what the reply before said, word for word")
    return int(given)


def _limit(given: str | None) -> int:
    if given is None:
        return _PAGE_SIZE
    if not given.isdecimal() or not 1 <= int(given) <= PAGE_SIZE_MAX:
        raise BadInput(f"`limit` is a number from 1 to {PAGE_SIZE_MAX}")
    return int(given)


def _moment_ms(given: str | None) -> int | None:
    if given is None:
        return None
    try:
        return parse_since_ms(given, _now_ms())
    except ValueError as error:
        raise BadInput(str(error)) from None


def _wait_ms(request: Request) -> int:
    given = _query(request).get("wait")
    return min(_duration_ms(given[-1]), WAIT_MS_MAX) if given else 0


def _last_event(request: Request) -> int:
    """Return the number of the last event that the client has."""
    given = request.headers.get(b"last-event-id", b"0")
    if not given.isdigit() or len(given) > 9:
        raise BadInput("Last-Event-ID is the `id` of an event")
    return int(given)


def _duration_ms(text: str) -> int:
    try:
        return parse_duration_ms(text)
    except ValueError as error:
        raise BadInput(str(error)) from None


def _query(request: Request) -> dict[str, list[str]]:
    try:
        return parse_qs(
            request.query, keep_blank_values=True, strict_parsing=bool(request.query)
        )
    except ValueError as error:
        raise Malformed(f"the query cannot be read: {error}") from None


def _body_of(request: Request) -> JsonObject:
    media_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip()
    if media_type.lower() != b"application/json":
        raise UnsupportedMediaType("send `Content-Type: application/json`; {} will do")
    given = request.body or b"{}"
    body = read_json(given)
    if not isinstance(body, dict):
        raise BadInput("the body is a JSON object")
    wide = wide_integers(given)
    if wide:
        text = "the integer does not fit 64 bits; send it as a string"
        violations: list[JsonValue] = [violation_at([*path], text) for path in wide]
        raise BadInput("the body does not fit", {"violations": violations})
    return body


def _reply(status: int, told: JsonObject) -> Reply:
    reply = json_reply(status, told)
    reply.headers.append(_NEVER_KEPT)
    return reply


def _now_ms() -> int:
    return int(time.time() * 1000)

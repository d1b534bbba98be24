"""The control plane, as the gateway sees it: routes, each with its handler.

Rule 1. FastAPI is imported with the first request that needs it, in a thread of its own:
        the start of the gateway does not wait for it, nor does any other request.
Rule 2. Whoever asks is known before anything else is looked at, and what they may is
        checked by the service that does what they ask.
Rule 3. A POST is JSON, also one without a body: no page of another site can send that
        unasked, as it can send no DELETE. Webhooks take whatever their senders send; each
        checks its sender by a signature.

Not here: the handlers (the modules beside this one), what the services do.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias
from urllib.parse import parse_qs

from plait.drivers.inputs import violation_at
from plait.gateway.access import peer_of
from plait.gateway.binding import METHODS_WITH_BODY
from plait.gateway.body import JSON_DEPTH_MAX, read_json, wide_integers
from plait.gateway.control.asked import Asked, Services
from plait.gateway.control.events import EVENT_HEADERS, Events
from plait.gateway.control.operations import OPERATIONS, Operation
from plait.gateway.control.recorder import Recorder
from plait.gateway.layers import Exchange, Handler
from plait.gateway.message import Reply, Request, header_texts, json_reply
from plait.gateway.refusal import BadInput, UnsupportedMediaType
from plait.gateway.threads import in_thread
from plait.model.caller import ANYBODY, LOCAL, Caller
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject, JsonValue
from plait.ports.identity import Authenticator, Unauthenticated
from plait.ports.observer import current_trace
from plait.ports.platform import Delivery

if TYPE_CHECKING:
    from plait.gateway.control.app import App

WEBHOOKS: Final = "/webhooks/"
_CREDENTIALS: Final = (b"authorization", b"x-api-key")
# As pydantic reads a parameter that is true.
_YES: Final = ("true", "1", "yes", "on", "y", "t")


# Counts a request of a caller; returns the headers that tell the limits, or refuses it.
Count: TypeAlias = Callable[
    [Operation, Request, Caller], Awaitable[list[tuple[bytes, bytes]]]
]


class Closed(PlaitError):
    """The route is for operators, and this gateway is open to a network."""

    code: ClassVar[str] = "request.forbidden"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST


class OpenToAll:
    """Takes whoever reaches the gateway for its operator, or nobody at all.

    Args:
        is_open: Whether only the own machine reaches it, or a proxy checks who asks.
    """

    def __init__(self, *, is_open: bool) -> None:
        self._is_open = is_open

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Caller:
        """Return the operator.

        Raises:
            Closed: The gateway is open to a network.
        """
        if not self._is_open:
            raise Closed(
                "listing and changing executions is for operators: listen on "
                "127.0.0.1, or set `gateway.open_api` where a proxy checks who asks"
            )
        return LOCAL


class ControlPlane:
    """Answers what people and programs ask of the platform.

    Args:
        json_depth_max: How deep a body may be nested.
        count: Holds callers to their limits; None: they have none.
        recorder: Records what is changed; None: nobody does.
    """

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        events: Events,
        *,
        json_depth_max: int = JSON_DEPTH_MAX,
        count: Count | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._count = count
        self._recorder = recorder
        self._services = services
        self._authenticator = authenticator
        self._events = events
        self._json_depth_max = json_depth_max
        self._app: App | None = None
        self._building: asyncio.Future[App] | None = None

    @property
    def takes_webhooks(self) -> bool:
        """Whether there is a service that takes them."""
        return self._services.triggers is not None

    def handlers(self) -> list[tuple[Operation, Handler]]:
        """Return every operation with what answers it."""
        return [(operation, self._handler(operation)) for operation in OPERATIONS]

    def _handler(self, operation: Operation) -> Handler:
        takes_body = operation.method in METHODS_WITH_BODY

        async def handle(exchange: Exchange) -> Reply:
            request = exchange.request
            current_trace.set(exchange.identity.trace)
            caller = await self._caller(operation, request)
            told = await self._count(operation, request, caller) if self._count else []
            reply = await answer(exchange, caller)
            reply.headers += told
            return reply

        async def answer(exchange: Exchange, caller: Caller) -> Reply:
            request = exchange.request
            if operation.is_stream and request.method == "HEAD":
                # Nobody would hear what is said, and nothing shall be done for nobody.
                return Reply(200, list(EVENT_HEADERS))
            body = _body_of(request, self._json_depth_max) if takes_body else {}
            app = self._app or await self._built()
            is_trial = operation.has_trial and _is_trial(request)
            events = self._events.watched(partial(self._look, operation, request, caller))
            asked = Asked(exchange, caller, self._services, events, body, is_trial=is_trial)
            does = partial(app.bridges[operation.name].answer, asked)
            if self._recorder is None or not operation.action or is_trial:
                return await does()
            return await self._recorder.record(operation, exchange, caller, body, does)

        return handle

    async def deliver(self, exchange: Exchange) -> Reply:
        """Take a webhook's request: it is kept when this returns."""
        request = exchange.request
        current_trace.set(exchange.identity.trace)
        headers = header_texts(request.headers)
        path = request.path.removeprefix(WEBHOOKS)
        # The execution belongs to this request's trace, whether the sender has one or not.
        headers |= exchange.identity.trace
        delivery = Delivery(path, request.method, request.query, headers, request.body)
        return json_reply(202, await self._services.the_triggers().deliver(delivery))

    async def document(self) -> dict[str, Any]:
        """Return the OpenAPI document of the operations."""
        return (self._app or await self._built()).document()

    async def _built(self) -> App:
        if self._building is None:
            self._building = asyncio.ensure_future(in_thread(_build))
        self._app = await asyncio.shield(self._building)
        return self._app

    async def _caller(self, operation: Operation, request: Request) -> Caller:
        try:
            headers = header_texts(request.headers)
            return await self._authenticator.authenticate(headers, peer_of(request))
        except (Unauthenticated, Closed):
            shows_something = any(name in request.headers for name in _CREDENTIALS)
            if operation.is_public and not shows_something:
                return ANYBODY
            raise

    async def _look(self, operation: Operation, request: Request, caller: Caller) -> None:
        """Raise Unauthenticated when a request is not its caller's any more."""
        if await self._caller(operation, request) != caller:
            raise Unauthenticated("what was shown counts for something else now: ask again")


def _is_trial(request: Request) -> bool:
    """Tell whether a request says that nothing shall be changed."""
    given = parse_qs(request.query, keep_blank_values=True).get("validate_only", [""])[-1]
    return given.lower() in _YES


def _build() -> App:
    made: App = importlib.import_module("plait.gateway.control.app").App()
    return made


def _body_of(request: Request, depth_max: int) -> JsonObject:
    if request.method == "DELETE" and not request.body:
        return {}
    media_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip()
    if media_type.lower() != b"application/json":
        raise UnsupportedMediaType("send `Content-Type: application/json`; {} will do")
    if request.headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise UnsupportedMediaType("compressed request bodies are not read here")
    given = request.body or b"{}"
    body = read_json(given, depth_max=depth_max)
    if not isinstance(body, dict):
        raise BadInput("the body is a JSON object")
    wide = wide_integers(given)
    if wide:
        text = "the integer does not fit 64 bits; send it as a string"
        violations: list[JsonValue] = [violation_at([*path], text) for path in wide]
        raise BadInput("the body does not fit", {"violations": violations})
    return body

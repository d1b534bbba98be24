"""Routes of FastAPI that answer as the rest of the gateway does.

Rule 1. Handlers return a Reply, or an object, which is the reply's body: what services say
        was made of the same models, and making it twice would cost more than all else.
Rule 2. Every error has the one shape, whoever raised it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Final, TypeAlias

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from plait.gateway.control.asked import ASKED, Asked
from plait.gateway.control.violations import bad_input
from plait.gateway.message import Reply, json_reply
from plait.model.json import JsonObject

# ASGI's words: what a message holds, and how messages come and go.
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

# Under which key of a request's scope the bridge looks for the reply.
REPLY: Final = "plait.reply"


class Answer(Response):
    """Hands a reply to the bridge as it is: whole, or as a stream."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.status_code = reply.status
        self.background = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Leave it where the bridge looks for it."""
        scope[REPLY] = self.reply


Handlers: TypeAlias = dict[str, Callable[..., Awaitable[Answer]]]


def by_name(*handlers: Callable[..., Awaitable[Answer]]) -> Handlers:
    """Return handlers by the names of their functions."""
    return {handler.__name__: handler for handler in handlers}


class ControlRoute(APIRoute):
    """A route whose requests were read before, by the gateway's own strict readers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(_Read(request.scope, request.receive))
            except RequestValidationError as error:
                raise bad_input(error.errors()) from error

        return handle


class _Read(Request):
    """A request whose body is there, and was read as JSON."""

    async def body(self) -> bytes:
        """Return something, for the JSON is asked for only then."""
        return b"{}"

    async def json(self) -> JsonObject:
        """Return what the body says."""
        return asked(self).body


def asked(request: Request) -> Asked:
    """Return what a handler is given."""
    found: Asked = request.scope[ASKED]
    return found


def told(value: JsonObject, status: int = 200) -> Answer:
    """Return the answer that says `value`; nobody keeps it."""
    reply = json_reply(status, value)
    reply.headers.append((b"cache-control", b"no-store"))
    return Answer(reply)

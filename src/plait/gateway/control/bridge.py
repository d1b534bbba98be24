"""The bridge: from the gateway's own listener to routes of FastAPI, and back.

The gateway has found the route already; FastAPI reads parameters, checks them and calls
the handler. Nothing is serialised in between: a reply, also one that is a stream, comes
back as the object that it is, and whoever leaves cancels the one task that there is.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, Final, get_origin

from fastapi.routing import APIRoute
from pydantic import BaseModel

from plait.gateway.control.asked import ASKED, Asked
from plait.gateway.control.route import REPLY, Message
from plait.gateway.control.violations import check_names
from plait.gateway.message import Reply
from plait.gateway.routes import parameter_names

_VERSIONS: Final = {"version": "3.0", "spec_version": "2.4"}


class Bridge:
    """Answers requests to one route.

    Args:
        app: What the route's requests are told that they belong to.
    """

    def __init__(self, app: object, route: APIRoute) -> None:
        self._app = app
        self._route = route
        self._names = parameter_names(route.path)
        self._query = _query_names(route)

    async def answer(self, asked: Asked) -> Reply:
        """Return the reply to a request.

        Raises:
            Exception: Whatever the handler raised, and what is wrong with parameters.
        """
        request = asked.exchange.request
        if request.query:
            check_names(request.query, self._query)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": _VERSIONS,
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.path,
            "root_path": "",
            "query_string": request.query.encode("latin-1"),
            "headers": list(request.headers.items()),
            "client": (request.peer, 0),
            "server": None,
            "app": self._app,
            "route": self._route,
            "path_params": dict(zip(self._names, asked.exchange.values, strict=True)),
            # FastAPI closes uploaded files with it. Nothing here takes any.
            "fastapi_middleware_astack": AsyncExitStack(),
            ASKED: asked,
        }
        await self._route.app(scope, _receive, _send)
        reply: Reply = scope[REPLY]
        return reply


def _query_names(route: APIRoute) -> dict[str, bool]:
    """Return the parameters of a route's query, and whether each is a list."""
    found: dict[str, Any] = {}
    for one in route.dependant.query_params:
        annotation = one.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            fields = annotation.model_fields.items()
            found |= {field.alias or name: field.annotation for name, field in fields}
        else:
            found[one.alias] = annotation
    return {name: get_origin(annotation) is list for name, annotation in found.items()}


async def _receive() -> Message:
    raise AssertionError("the request was read before")


async def _send(_: Message) -> None:
    raise AssertionError("handlers return an Answer")

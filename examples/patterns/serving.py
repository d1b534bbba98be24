"""What the services of the examples share: JSON over HTTP, by routes, in memory.

    class Desk(Service):
        host = "desk"

        @route("POST", "/queues/{queue}/tickets")
        def open_ticket(self, request: Call) -> Reply: ...

Rule. A service's state lives in its object and dies with it: each run finds the same.

Not here: what the services answer (`services.py` of each example), and the bytes on the
wire (plait.testing.upstream).
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import reply_bytes

Input: TypeAlias = dict[str, Any]
Handler = TypeVar("Handler", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, taken apart. `body` is the decoded JSON, None when there was none."""

    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Pause:
    """Stands among the inputs of a scene: nobody asks anything for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer; `body` is sent as JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The call cannot be served; becomes a reply of the given status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = Reply({"error": {"code": code, "message": message}}, status)


class LostAnswer(Exception):
    """The work is done, and the connection breaks before the answer is through."""


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Let a method of a service answer `method` on `path`; `{name}` takes one segment."""

    def mark(handler: Handler) -> Handler:
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)
        handler.__dict__["answers"] = (method, re.compile(pattern))
        return handler

    return mark


class Service(Upstream):
    """A service on a free port of this machine: `async with Stock() as stock`.

    Attributes:
        host: How documents call it: `http://HOST/…`.
        latency_ms: How long an answer takes, so that timelines have something to show.
        seen: What came, in order, as `POST stock/movements`; services can share a list.
    """

    host: ClassVar[str]
    latency_ms: int = 15

    def __init__(self, seen: list[str] | None = None) -> None:
        super().__init__(self._serve_call)
        self.seen = [] if seen is None else seen

    async def _serve_call(self, peer: Peer, request: Request) -> None:
        self.seen.append(f"{request.method} {self.host}{request.target}")
        await asyncio.sleep(self.latency_ms / 1000)
        try:
            answer = await self._answer(request)
        except LostAnswer:
            return peer.reset()
        except Refusal as refusal:
            answer = refusal.reply
        headers = {"Content-Type": "application/json", **answer.headers}
        body = json.dumps(answer.body).encode()
        return await peer.send(reply_bytes(answer.status, body, headers=headers))

    async def _answer(self, request: Request) -> Reply:
        target = urlsplit(request.target)
        for _, handler in inspect.getmembers(type(self), inspect.isfunction):
            method, pattern = getattr(handler, "answers", ("", None))
            found = pattern and pattern.fullmatch(target.path)
            if found and method == request.method:
                reply = handler(self, _call_of(request, found.groupdict()))
                answer: Reply = await reply if inspect.isawaitable(reply) else reply
                return answer
        raise Refusal(404, "not_found", f"nothing answers {request.method} {target.path}")


def _call_of(request: Request, params: Mapping[str, str]) -> Call:
    return Call(
        params={name: unquote(text) for name, text in params.items()},
        query=dict(parse_qsl(urlsplit(request.target).query)),
        headers=request.headers,
        body=json.loads(request.body) if request.body else None,
    )

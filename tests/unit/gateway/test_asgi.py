"""The gateway as an ASGI application: the same replies, limits and cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from plait.gateway.asgi import AsgiApp, Message
from plait.gateway.http1 import HttpLimits
from tests.unit.gateway.scenes import ECHO, HANG, PROFILE, Scene, reply, scene, until

ALL_WELL = {"user": reply({"id": "7"}), "offers": reply([1])}


class Server:
    """The other side of ASGI: gives messages, takes messages."""

    def __init__(self, *received: Message) -> None:
        self.received = list(received)
        self.sent: list[Message] = []
        self.left = asyncio.Event()

    async def receive(self) -> Message:
        if self.received:
            return self.received.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return bytes(self.sent[1]["body"])


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


def http(path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"Content-Type", b"application/json")],
        **more,
    }


def app(here: Scene, limits: HttpLimits | None = None) -> AsgiApp:
    return AsgiApp(lambda: here.gateway, limits=limits)


async def test_a_request_is_answered_with_a_length() -> None:
    server = Server(body(b""))
    here = scene(PROFILE, script=ALL_WELL)
    await app(here)(http("/profiles/7"), server.receive, server.send)
    assert (server.status, orjson.loads(server.body)["user"]) == (200, {"id": "7"})
    assert int(server.headers[b"content-length"]) == len(server.body)


async def test_a_body_may_come_in_parts() -> None:
    server = Server(body(b'{"a":', more=True), body(b"1}"))
    await app(scene(ECHO))(http("/echo", "POST"), server.receive, server.send)
    assert server.body == b'{"a":1}'


async def test_an_encoded_slash_stays_inside_its_parameter() -> None:
    text = PROFILE.replace('pattern: "^[0-9]+$"', "maxLength: 9")
    here = scene(text, script=ALL_WELL)
    server = Server(body(b""))
    scope = http("/profiles/a/b", raw_path=b"/profiles/a%2Fb?x=1")
    await app(here)(scope, server.receive, server.send)
    assert here.calls.started[0].request["url"] == "http://users/a%2Fb"


async def test_without_a_raw_path_the_decoded_one_serves() -> None:
    server = Server(body(b""))
    scope = http("/profiles/é")
    del scope["raw_path"]
    await app(scene(PROFILE))(scope, server.receive, server.send)
    assert (server.status, b"user_id" in server.body) == (400, True)


async def test_head_has_a_length_and_no_body_and_options_neither() -> None:
    here = scene(PROFILE, script=ALL_WELL)
    server = Server(body(b""))
    await app(here)(http("/profiles/7", "HEAD"), server.receive, server.send)
    assert (int(server.headers[b"content-length"]) > 0, server.body) == (True, b"")
    server = Server(body(b""))
    await app(here)(http("/profiles/7", "OPTIONS"), server.receive, server.send)
    assert (server.status, b"content-length" in server.headers) == (204, False)


async def test_a_body_that_is_too_large_is_refused_by_what_is_told_and_what_comes() -> None:
    asgi = app(scene(ECHO), HttpLimits(body_bytes_max=10))
    told = http("/echo", "POST", headers=[(b"content-length", b"11")])
    server = Server(body(b"x" * 11))
    await asgi(told, server.receive, server.send)
    assert server.status == 413
    server = Server(body(b"x" * 6, more=True), body(b"x" * 5, more=True))
    await asgi(http("/echo", "POST"), server.receive, server.send)
    assert server.status == 413


async def test_a_client_that_leaves_cancels_what_is_done_for_it() -> None:
    here = scene(PROFILE, script={"user": HANG, "offers": HANG})
    server = Server(body(b""))
    asgi = app(here)
    answering = asyncio.create_task(asgi(http("/profiles/7"), server.receive, server.send))
    await until(lambda: len(here.calls.started) == 2)
    server.left.set()
    await answering
    await until(lambda: sorted(here.calls.cancelled) == ["offers", "user"])
    assert server.sent == []


async def test_a_client_that_leaves_before_its_request_is_whole_starts_nothing() -> None:
    here = scene(ECHO)
    server = Server(body(b"{", more=True), {"type": "http.disconnect"})
    await app(here)(http("/echo", "POST"), server.receive, server.send)
    assert server.sent == []


async def test_the_gateway_lives_as_long_as_the_server() -> None:
    here = scene(PROFILE)
    asgi = app(here)
    server = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await asgi({"type": "lifespan"}, server.receive, server.send)
    assert [message["type"] for message in server.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert here.gateway.state == "draining"
    assert here.calls.closed


async def test_a_websocket_is_not_opened() -> None:
    server = Server({"type": "websocket.connect"})
    await app(scene(ECHO))({"type": "websocket"}, server.receive, server.send)
    assert server.sent[0]["type"] == "websocket.close"

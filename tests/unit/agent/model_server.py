"""A language model's endpoint on a real socket: answers as it is told to, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

KEY = "sk-local-example"


@dataclass
class Asked:
    """One request that came."""

    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """All that was said."""
        return "\n".join(one["content"] for one in self.body["messages"])


# What is sent back for one request: whole bytes; None: nothing ever.
Reply = bytes | None


@dataclass
class ModelServer:
    """Answers requests one by one with `replies`; the last one again and again."""

    replies: list[Reply | Callable[[Asked], Reply]]
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in pairs}
        body = orjson.loads(await reader.readexactly(int(headers["content-length"])))
        assert head[0] == "POST /v1/chat/completions HTTP/1.1"
        self.asked.append(Asked(headers, body))
        self.is_asked.set()
        reply = self.replies[min(len(self.asked), len(self.replies)) - 1]
        data = reply(self.asked[-1]) if callable(reply) else reply
        if data is None:
            await reader.read()  # until the client gives up
        else:
            writer.write(data)
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def serving(*replies: Any) -> AsyncIterator[ModelServer]:
    """Serve on a free port."""
    model = ModelServer(list(replies))
    server = await asyncio.start_server(model.answer, "127.0.0.1", 0)
    model.port = server.sockets[0].getsockname()[1]
    try:
        yield model
    finally:
        server.close()
        await server.wait_closed()


def http(status: int, body: bytes, *headers: str) -> bytes:
    """Return a whole reply."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def completion(content: Any, finish_reason: str = "stop") -> bytes:
    """Return a reply with a whole answer; anything but text is sent as JSON."""
    text = content if isinstance(content, str) else orjson.dumps(content).decode()
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return http(200, orjson.dumps({"choices": [choice]}))


def drafted(definition: str, *unresolved: str) -> bytes:
    """Return a reply with a draft."""
    return completion(
        {"definition": definition, "summary": "does it", "unresolved": list(unresolved)}
    )


def chunk(text: str | None, finish_reason: str | None = None) -> bytes:
    """Return one event of a stream."""
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"


def stream(*events: bytes) -> bytes:
    """Return a streamed reply, chunked, an event per chunk."""
    head = b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in events)


LAST = b"0\r\n\r\n"

"""What an upstream can do to its clients: ready-made scripts for `Upstream`.

A script answers one request. The honest ones keep the connection; `hang`, `drip` and the
others that never end last until the client leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from plait.model.json import JsonValue, canonical_bytes
from plait.testing.upstream import Peer, Request, Script


def head(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a reply's head, every byte of it.

    >>> head(204, {"X-A": "1"})
    b'HTTP/1.1 204 Status\\r\\nX-A: 1\\r\\n\\r\\n'
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode("latin-1")


def reply_bytes(
    status: int = 200,
    body: bytes = b"",
    *,
    json: JsonValue = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return a whole, honest reply; `json` sets body and content type."""
    fields = dict(headers or {})
    if json is not None:
        body = canonical_bytes(json)
        fields.setdefault("Content-Type", "application/json")
    return head(status, {**fields, "Content-Length": str(len(body))}) + body


def reply(
    status: int = 200,
    body: bytes = b"",
    *,
    json: JsonValue = None,
    headers: Mapping[str, str] | None = None,
) -> Script:
    """Answer honestly and keep the connection."""
    return raw(reply_bytes(status, body, json=json, headers=headers))


def raw(*pieces: bytes) -> Script:
    """Send `pieces`, whatever they are, one by one."""

    async def script(peer: Peer, request: Request) -> None:
        del request
        for piece in pieces:
            await peer.send(piece)

    return script


def raw_then_close(*pieces: bytes) -> Script:
    """Send `pieces` and close the connection."""

    async def script(peer: Peer, request: Request) -> None:
        await raw(*pieces)(peer, request)
        peer.close()

    return script


def raw_then_hang(*pieces: bytes) -> Script:
    """Send `pieces`, then nothing, until the client leaves."""

    async def script(peer: Peer, request: Request) -> None:
        await raw(*pieces)(peer, request)
        await peer.gone()
        peer.close()

    return script


def raw_then_reset(*pieces: bytes) -> Script:
    """Send `pieces` and break the connection."""

    async def script(peer: Peer, request: Request) -> None:
        await raw(*pieces)(peer, request)
        peer.reset()

    return script


def drip(data: bytes, *, interval_s: float) -> Script:
    """Send `data` byte by byte, with a pause after each."""

    async def script(peer: Peer, request: Request) -> None:
        del request
        for at in range(len(data)):
            await peer.send(data[at : at + 1])
            await asyncio.sleep(interval_s)

    return script


def endless(opening: bytes, piece: bytes) -> Script:
    """Send `opening`, then `piece` again and again until the client leaves."""

    async def script(peer: Peer, request: Request) -> None:
        del request
        await peer.send(opening)
        while True:
            await peer.send(piece)
            # Let the client, in the same process, have its turn.
            await asyncio.sleep(0)

    return script


def after(event: asyncio.Event, script: Script) -> Script:
    """Wait for `event`, then do what `script` does."""

    async def delayed(peer: Peer, request: Request) -> None:
        await event.wait()
        await script(peer, request)

    return delayed


def in_turn(*scripts: Script) -> Script:
    """Answer the first request with the first script, and so on; the last one stays."""
    left = list(scripts)

    async def script(peer: Peer, request: Request) -> None:
        current = left.pop(0) if len(left) > 1 else left[0]
        await current(peer, request)

    return script


def chunked(*chunks: bytes, trailers: Mapping[str, str] | None = None) -> bytes:
    """Return `chunks` in chunked transfer coding.

    >>> chunked(b"abc", trailers={"X": "1"})
    b'3\\r\\nabc\\r\\n0\\r\\nX: 1\\r\\n\\r\\n'
    """
    sized = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    lines = "".join(f"{name}: {value}\r\n" for name, value in (trailers or {}).items())
    return sized + b"0\r\n" + lines.encode() + b"\r\n"

"""The house of row 14: a gateway with secrets in it, and all that was heard of it."""

from __future__ import annotations

import gzip
import json
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from plait.testing.upstream import Request, Upstream
from tests.acceptance.gateways import GatewayProcess, request_bytes
from tests.proof.searching import Heard
from tests.proof.shelves import Shelf
from tests.unit.gateway.wires import Answer

API: Final = "/api/v1"
# Who is told something beside the calls of workflows, by a part of the URL.
LISTENERS: Final = {
    "the collector of traces": "/collect/traces",
    "the collector of metrics": "/collect/metrics",
    "the pager": "/pager",
    "the project of errors": "/api/1/envelope",
}
_SHOWN_THERE: Final = ("authorization", "x-sentry-auth")


@dataclass
class House:
    """A gateway with secrets in it, and all that was heard of it.

    Attributes:
        canaries: By name, the part of each that nobody could guess.
        unused: The names of those that nobody has used yet.
        values: The whole secrets, where they are more than that part.
        listened: How often the gateway told each of `LISTENERS` something.
    """

    folder: Path
    bait: Upstream
    shelf: Shelf
    canaries: dict[str, str] = field(default_factory=dict)
    unused: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    heard: Heard = field(default_factory=Heard)
    listened: Counter[str] = field(default_factory=Counter)
    settings: dict[str, str] = field(default_factory=dict)
    gateway: GatewayProcess = field(init=False)

    @property
    def place(self) -> str:
        """Where its store is."""
        return self.shelf.place

    def canary(self, name: str, core: str | None = None) -> str:
        """Return the unguessable part of a new secret.

        Args:
            core: That part, where somebody else makes the secret.
        """
        core = core or "c4n4ry" + secrets.token_hex(10)
        self.canaries[name] = core
        self.unused.add(name)
        return core

    def used(self, name: str) -> None:
        """Somebody has used a canary."""
        self.unused.discard(name)

    @property
    def key(self) -> str:
        """What the house shows of itself: an administrator's API key."""
        return self.values["key admin"]

    async def ask(
        self, target: str, method: str = "GET", *, body: Any = None, **headers: str
    ) -> Answer:
        """Ask the gateway, and take in its answer."""
        headers.setdefault("X_API_Key", self.key)
        if "Authorization" in headers:
            headers.pop("X_API_Key")
        answer = await self.gateway.ask(target, method, body=body, **headers)
        self.heard.note(f"{method} {target.partition('?')[0]}", told_of(answer))
        return answer

    def listen(self, request: Request) -> None:
        """Take in what somebody is told beside the calls of workflows; the header that
        shows who tells it is for them alone, and the public half of a project's address.
        """
        for name, part in LISTENERS.items():
            if part in request.target:
                headers = dict(request.headers)
                headers = {k: v for k, v in headers.items() if k not in _SHOWN_THERE}
                body = unpacked(request.headers, request.body)
                own = self.canaries.get("project's address", "")
                if own:
                    body = body.replace(own.encode(), b"")
                self.heard.note(name, json.dumps(headers).encode() + body)
                self.listened[name] += 1

    async def stream(self, target: str) -> bytes:
        """Read a stream to its end, and take it in."""
        async with self.gateway.client() as client:
            client.send(request_bytes(target, X_API_Key=self.key, Connection="close"))
            said: bytes = await client.closed()
        self.heard.note(f"the stream {target.partition('?')[0]}", said)
        return said


def told_of(answer: Answer) -> bytes:
    """Return an answer's headers and body."""
    return json.dumps(answer.headers).encode() + answer.body


def unpacked(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a body without its compression."""
    packing = headers.get("content-encoding")
    return gzip.decompress(body) if packing == "gzip" else body


class Kind:
    """Secrets of one kind."""

    async def prepare(self, house: House) -> None:
        """Put them into the house, before its gateway starts."""

    async def use(self, house: House) -> None:
        """Use them."""

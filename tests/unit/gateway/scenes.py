"""Gateways with scripted services: documents in, replies out, no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from plait.compile import compile_text
from plait.connectors.http.step import HttpStep
from plait.document import Catalog
from plait.drivers.inline import InlineDriver
from plait.gateway.app import Gateway, GatewaySettings
from plait.gateway.deployment import Deployment, Finding
from plait.gateway.message import Reply, Request
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.testing import HANG, Answer, error, reply

CATALOG = Catalog([HttpStep])
PROFILE = """
name: profile
mode: express
endpoint: {method: GET, path: "/profiles/{user_id}", partial: true}
input:
  type: object
  required: [user_id]
  properties: {user_id: {type: string, pattern: "^[0-9]+$"}, limit: {type: integer}}
steps:
  - {id: user, type: http, request: {url: "http://users/${input.user_id}"}}
  - {id: offers, type: http, request: {url: "http://offers/"}, on_error: continue}
output: {user: "${user.response}", offers: "${offers.response}"}
"""
ECHO = """
name: echo
mode: express
endpoint: {method: POST, path: /echo}
steps: [{id: said, type: set, value: "${input}"}]
output: ${said.response}
"""


class _Under:
    """A call under way."""

    def __init__(self, calls: ScriptedCalls, call: Call) -> None:
        self._calls = calls
        self._call = call

    def cancel(self) -> None:
        """Note it."""
        self._calls.cancelled.append(self._call.step)


@dataclass
class ScriptedCalls:
    """Answers each step's call as the script says, on the spot; HANG never answers."""

    script: Mapping[str, Answer] = field(default_factory=dict)
    started: list[Call] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    closed: bool = False

    def start(self, call: Call, done: Done) -> CallHandle:
        """Answer, or never."""
        self.started.append(call)
        answer = self.script[call.step]
        if answer is not HANG:
            outcome = answer.failure or CallReply(answer.response, answer.facts)
            asyncio.get_running_loop().call_soon(done, outcome)
        return _Under(self, call)

    async def close(self) -> None:
        """Note it."""
        self.closed = True


@dataclass
class Scene:
    """A gateway, and what its workflows call."""

    gateway: Gateway
    calls: ScriptedCalls
    findings: list[Finding]

    async def ask(
        self,
        target: str,
        method: str = "GET",
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Seen:
        """Ask the gateway something."""
        path, _, query = target.partition("?")
        told = {k.lower().encode(): v.encode() for k, v in (headers or {}).items()}
        body = b""
        if json is not None:
            told.setdefault(b"content-type", b"application/json")
            body = orjson.dumps(json)
        request = Request(method, path, query, told, body)
        return Seen(await self.gateway.handle(request))


@dataclass
class Seen:
    """A reply, easy to look at."""

    reply: Reply

    @property
    def status(self) -> int:
        """The status."""
        return self.reply.status

    @property
    def headers(self) -> dict[str, str]:
        """The headers, decoded."""
        return {name.decode(): value.decode() for name, value in self.reply.headers}

    @property
    def json(self) -> Any:
        """The body."""
        return orjson.loads(self.reply.body)

    @property
    def error(self) -> Any:
        """The error of an error reply."""
        return self.json["error"]


def plan_of(text: str, name: str = "a.yaml") -> Plan:
    """Return the plan of a document."""
    return compile_text(text.encode(), name=name, catalog=CATALOG).plan


def scene(
    *documents: str,
    script: Mapping[str, Answer] | None = None,
    settings: GatewaySettings | None = None,
    env: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Scene:
    """Return a gateway that serves `documents`."""
    calls = ScriptedCalls(script or {})
    driver = InlineDriver(calls, env=dict(env or {}), secrets=dict(secrets or {}))
    gateway = Gateway(driver, settings=settings, on_close=calls.close)
    findings = gateway.deploy(
        [
            Deployment(f"{number}.yaml", plan_of(text, f"{number}.yaml"))
            for number, text in enumerate(documents)
        ]
    )
    return Scene(gateway, calls, findings)


async def until(is_true: Callable[[], bool]) -> None:
    """Return once it is true."""
    async with asyncio.timeout(5):
        while not is_true():
            await asyncio.sleep(0)


__all__ = [
    "ECHO",
    "HANG",
    "PROFILE",
    "Answer",
    "Scene",
    "Seen",
    "error",
    "plan_of",
    "reply",
    "scene",
    "until",
]

"""A control plane over scripted services: what it asks of them, and what it replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from plait.drivers.inline import InlineDriver
from plait.gateway.app import Gateway, GatewaySettings
from plait.gateway.control.asked import Services
from plait.model.caller import Caller
from plait.model.json import JsonObject
from plait.ports.identity import Unauthenticated
from plait.ports.platform import Delivery, Order, Told, Wanted
from tests.unit.gateway.scenes import Scene, ScriptedCalls

AT = "2026-01-02T03:04:05.000Z"
ROW: JsonObject = {
    "id": "x",
    "workflow": "w",
    "status": "running",
    "created_at": AT,
    "updated_at": AT,
}
DEPLOYED: JsonObject = {"deployment_id": "d", "name": "w", "status": "active"}
KEYS = {
    "Bearer viewer": Caller("key:v", role="viewer"),
    "Bearer admin": Caller("key:a", role="admin"),
}


@dataclass
class Scripted:
    """All services: remember what they were asked, and say what is prepared.

    Attributes:
        asked: Name and arguments of every call, the caller first.
        told: What streams yield; `hangs`: and then nothing more, for ever.
        raises: What every call raises instead of an answer.
        closed: Set when a stream's end came, whoever brought it about.
    """

    asked: list[tuple[Any, ...]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    hangs: bool = False
    raises: Exception | None = None
    status: str = "running"
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def _say(self, reply: JsonObject, *asked: Any) -> JsonObject:
        self.asked.append(asked)
        if self.raises is not None:
            raise self.raises
        return reply

    async def _stream(self, *asked: Any) -> AsyncIterator[Told]:
        self.asked.append(asked)
        try:
            for one in self.told:
                yield one
            if self.raises is not None:
                raise self.raises
            if self.hangs:
                await asyncio.Event().wait()
        finally:
            self.closed.set()

    # -- engine ------------------------------------------------------------------------

    async def execute(self, caller: Caller, order: Order) -> JsonObject:
        reply: JsonObject = {"execution_id": "x", "status": self.status, "output": 1}
        return self._say(reply, "execute", caller, order)

    def execute_stream(self, caller: Caller, order: Order) -> AsyncIterator[Told]:
        return self._stream("execute_stream", caller, order)

    # -- deployments -------------------------------------------------------------------

    async def validate(self, caller: Caller, wanted: Wanted) -> JsonObject:
        reply: JsonObject = {"valid": True, "diagnostics": [], "name": "w"}
        return self._say(reply, "validate", caller, wanted)

    async def deploy(self, caller: Caller, wanted: Wanted) -> JsonObject:
        reply: JsonObject = {
            "deployment_id": "d",
            "name": wanted.name,
            "version": "v1",
            "status": "active",
            "webhook_url": None,
            "created_at": AT,
            "changed": True,
        }
        return self._say(reply, "deploy", caller, wanted)

    async def list(self, caller: Caller, *, after: str = "", limit: int = 0) -> JsonObject:
        reply: JsonObject = {"deployments": [], "next": None, "triggers": []}
        return self._say(reply, "list", caller, after, limit)

    async def get(self, caller: Caller, one: str, wait_ms: int = 0) -> JsonObject:
        deployed: JsonObject = {"deployment_id": one, "name": "w", "versions": [{"a": 1}]}
        return self._say({**ROW, **deployed}, "get", caller, one, wait_ms)

    async def difference(
        self, caller: Caller, deployment_id: str, old: str, new: str
    ) -> JsonObject:
        reply: JsonObject = {"old": old, "new": new, "changes": [], "text": ""}
        return self._say(reply, "difference", caller, deployment_id, old, new)

    async def activate(
        self, caller: Caller, deployment_id: str, version: str | None
    ) -> JsonObject:
        return self._say(DEPLOYED, "activate", caller, deployment_id, version)

    async def undeploy(self, caller: Caller, deployment_id: str) -> JsonObject:
        return self._say(DEPLOYED, "undeploy", caller, deployment_id)

    # -- executions --------------------------------------------------------------------

    async def find(
        self, caller: Caller, search: Any, page: int | None = None
    ) -> JsonObject:
        reply: JsonObject = {
            "executions": [ROW],
            "total_count": 1,
            "page": page or 1,
            "page_size": search.limit,
            "before": None,
        }
        return self._say(reply, "find", caller, search, page)

    def events(self, caller: Caller, execution_id: str, after: int) -> AsyncIterator[Told]:
        return self._stream("events", caller, execution_id, after)

    async def timeline(self, caller: Caller, execution_id: str) -> JsonObject:
        reply: JsonObject = {"execution_id": execution_id, "status": "running", "steps": []}
        return self._say(reply, "timeline", caller, execution_id)

    async def change(
        self, caller: Caller, execution_id: str, verb: str, body: JsonObject
    ) -> JsonObject:
        return self._say(ROW, "change", caller, execution_id, verb, body)

    # -- triggers, agent ---------------------------------------------------------------

    async def deliver(self, delivery: Delivery) -> JsonObject:
        return self._say({"status": "accepted", "execution_id": "x"}, "deliver", delivery)

    async def create_session(
        self, caller: Caller, action: str, workflow_id: str | None
    ) -> JsonObject:
        reply: JsonObject = {"session_id": "s", "created_at": AT}
        return self._say(reply, "create_session", caller, action, workflow_id)

    def chat(self, caller: Caller, session_id: str, message: str) -> AsyncIterator[Told]:
        return self._stream("chat", caller, session_id, message)

    def generate(
        self, caller: Caller, session_id: str, after: int = 0
    ) -> AsyncIterator[Told]:
        return self._stream("generate", caller, session_id, after)


class ByHeader:
    """Knows callers by their `Authorization` header."""

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Caller:
        """Return who asks."""
        caller = KEYS.get(headers.get("authorization", ""))
        if caller is None:
            raise Unauthenticated("show a key", is_invalid="authorization" in headers)
        return caller


def control(
    script: Scripted | None = None,
    *,
    settings: GatewaySettings | None = None,
    is_open: bool = True,
    authenticates: bool = False,
    services: Callable[[Any], Services] | None = None,
) -> Scene:
    """Return a gateway with a control plane and nothing deployed."""
    made: Any = script or Scripted()
    all_of_it = Services(made, made, made, made, made)
    calls = ScriptedCalls()
    gateway = Gateway(
        InlineDriver(calls, env={}, secrets={}),
        settings=settings or GatewaySettings(has_open_api=is_open),
        services=all_of_it if services is None else services(made),
        authenticator=ByHeader() if authenticates else None,
    )
    return Scene(gateway, calls, [])

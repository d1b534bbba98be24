"""A platform in two bindings: its services in this process, and over gRPC on sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from plait.compile import compile_text
from plait.connectors.http.step import HttpStep
from plait.document import Catalog
from plait.document.limits import DEFAULT_LIMITS
from plait.drivers.inline import InlineDriver, WithInlineChildren
from plait.drivers.journal import JournalDriver
from plait.kernel import Kernel
from plait.model.caller import Caller
from plait.model.failure import Failure
from plait.model.json import JsonObject
from plait.operations.definitions import compiles
from plait.operations.deploying import DeploymentConflict
from plait.operations.engine import LocalEngine
from plait.operations.executing import LocalExecutions
from plait.operations.keeper import Keeper, Kept
from plait.operations.runs import LocalRunner, LocalRuns
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Calls, Done
from plait.ports.platform import (
    Agent,
    Delivery,
    Deployments,
    Engine,
    Executions,
    InvalidRequest,
    Told,
    Triggers,
    Wanted,
)
from plait.services.agent import AgentServicer
from plait.services.channel import Security
from plait.services.engine import EngineServicer
from plait.services.remote import (
    Link,
    LinkTimes,
    RemoteAgent,
    RemoteDeployments,
    RemoteEngine,
    RemoteExecutions,
    RemoteTriggers,
)
from plait.services.runtime import RuntimeServicer
from plait.services.server import ServiceServer
from plait.stores.memory import MemoryStore

CATALOG = Catalog([HttpStep])
SUM: Any = {
    "name": "sum",
    "mode": "express",
    "input": {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
    },
    "steps": [{"id": "total", "type": "set", "value": "${input.a + 1}"}],
    "output": "${total.response}",
}
CALLING: Any = {
    "name": "calling",
    "mode": "express",
    "steps": [{"id": "asked", "type": "http", "request": {"url": "http://users/"}}],
    "output": "${asked.response}",
}
WAITING: Any = {
    "name": "waiting",
    "mode": "durable",
    "steps": [{"id": "paid", "type": "wait", "event": {"name": "paid"}}],
    "output": "${paid.response}",
}
FAILING: Any = {
    "name": "failing",
    "mode": "express",
    "steps": [{"id": "no", "type": "fail", "code": "shop.empty", "message": "sold out"}],
}
DEPLOYED = (SUM, CALLING, WAITING, FAILING)


def plan_of(definition: Any) -> Plan:
    """Return the plan of a document."""
    return compile_text(orjson.dumps(definition), name="a.json", catalog=CATALOG).plan


@dataclass
class HeldCalls:
    """Calls that are answered when a test says so, and that tell when one is cancelled."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[Call] = field(default_factory=list)
    waiting: list[Done] = field(default_factory=list)

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls."""
        self.calls.append(call)
        self.waiting.append(done)
        self.started.set()
        return self

    def cancel(self) -> None:
        """See plait.ports.calls.CallHandle."""
        self.cancelled.set()

    async def until_started(self) -> None:
        """Return when a call was started since this was last asked."""
        await self.started.wait()
        self.started.clear()

    def answer(self, response: Any) -> None:
        """Answer the first call that waits."""
        self.waiting.pop(0)(CallReply(response, {"status_code": 200, "headers": {}}))

    def fail(self, message: str) -> None:
        """Fail the first call that waits."""
        self.waiting.pop(0)(Failure("connector.http.400", message, {"status_code": 400}))

    async def close(self) -> None:
        """See plait.ports.calls."""


def _back(wanted: Wanted) -> list[Any]:
    if wanted.expected == "gone":
        raise DeploymentConflict(wanted.name, "gone", "v2")
    triggers = [dict(one) for one in wanted.triggers]
    told: list[Any] = [wanted.name, wanted.definition, *triggers, wanted.description]
    told += [wanted.expected, wanted.activates]
    return told if wanted.triggers_text is None else [*told, wanted.triggers_text]


class FakeDeployments:
    """Says back what it was asked for: the binding is what is tested here."""

    async def validate(self, caller: Caller, wanted: Wanted) -> JsonObject:
        """See plait.ports.platform."""
        return {"by": caller.subject, "trial": _back(wanted)}

    async def deploy(self, caller: Caller, wanted: Wanted) -> JsonObject:
        """See plait.ports.platform."""
        return {"by": caller.subject, "told": _back(wanted)}

    async def list(self, caller: Caller, *, after: str, limit: int) -> JsonObject:
        """See plait.ports.platform."""
        return {"deployments": [caller.tenant, after, limit], "next": None}

    async def get(self, caller: Caller, deployment_id: str) -> JsonObject:
        """See plait.ports.platform."""
        raise InvalidRequest(f"no '{deployment_id}'", {"known": ["orders"]})

    async def difference(
        self, caller: Caller, deployment_id: str, old: str, new: str
    ) -> JsonObject:
        """See plait.ports.platform."""
        return {"id": deployment_id, "old": old, "new": new}

    async def activate(
        self, caller: Caller, deployment_id: str, version: str | None
    ) -> JsonObject:
        """See plait.ports.platform."""
        return {"id": deployment_id, "version": version}

    async def undeploy(self, caller: Caller, deployment_id: str) -> JsonObject:
        """See plait.ports.platform."""
        raise RuntimeError("the password is hunter2")


class FakeTriggers:
    """Says back what it was asked for."""

    async def deliver(self, delivery: Delivery) -> JsonObject:
        """See plait.ports.platform."""
        wanted: list[Any] = [
            delivery.path,
            delivery.method,
            delivery.query,
            dict(delivery.headers),
        ]
        return {"status": "taken", "told": [*wanted, delivery.body.hex()]}

    async def list(self, caller: Caller) -> JsonObject:
        """See plait.ports.platform."""
        return {"triggers": [caller.tenant, caller.role, dict(caller.grants)]}


@dataclass
class FakeAgent:
    """Says back what it was asked for; a draft goes on until somebody leaves."""

    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def create_session(
        self, caller: Caller, action: Literal["create", "edit"], workflow_id: str | None
    ) -> JsonObject:
        """See plait.ports.platform."""
        return {"session_id": "s1", "action": action, "workflow_id": workflow_id}

    async def chat(
        self, caller: Caller, session_id: str, message: str
    ) -> AsyncGenerator[Told, None]:
        """See plait.ports.platform."""
        for word in message.split():
            yield Told("message", {"type": "message", "content": word})

    async def generate(
        self, caller: Caller, session_id: str, after: int = 0
    ) -> AsyncGenerator[Told, None]:
        """See plait.ports.platform."""
        try:
            for number in range(after + 1, 1_000_000):
                yield Told("draft", {"session": session_id}, number)
                await asyncio.sleep(0)
        finally:
            self.left.set()


@dataclass
class Platform:
    """The services as a gateway has them, and what stands behind them.

    Attributes:
        plans: What is deployed, by name.
    """

    engine: Engine
    deployments: Deployments
    executions: Executions
    triggers: Triggers
    agent: Agent
    calls: HeldCalls
    drafts: FakeAgent
    plans: dict[str, Plan]


@dataclass
class Local:
    """The services in this process."""

    engine: LocalEngine
    executions: LocalExecutions
    runner: LocalRunner
    runs: LocalRuns
    calls: HeldCalls
    keeper: Keeper
    plans: dict[str, Plan]

    def servicers(self, agent: FakeAgent) -> dict[str, object]:
        """Return what answers for each over gRPC."""
        shown = (FakeDeployments(), self.executions, FakeTriggers())
        return {
            "engine": EngineServicer(self.engine, self.runner),
            "runtime": RuntimeServicer(*shown, self.runs),
            "agent": AgentServicer(agent),
        }


@asynccontextmanager
async def local(request_timeout_ms: int = 60_000, **limits: int) -> AsyncIterator[Local]:
    """Yield the services in this process, with executions in memory.

    Args:
        limits: Those of the driver (plait.drivers.journal.JournalDriver).
    """
    store, calls = MemoryStore(), HeldCalls()
    plans = {plan.name: plan for plan in map(plan_of, DEPLOYED)}

    def served(tenant: str, name: str) -> Plan | None:
        return plans.get(name) if tenant == "default" else None

    options: Any = {"worker_id": "w", "workflows": served, **limits}
    journal = JournalDriver(store, calls, Kernel, **options)
    await journal.open()
    kept = Kept(journal, store, Kernel, store.close)

    async def open_() -> Kept:
        return kept

    async def find(tenant: str, name: str) -> Plan | None:
        return served(tenant, name)

    keeper = Keeper(open_)
    engine = LocalEngine(
        InlineDriver(calls),
        Kernel,
        keeper,
        find=find,
        compile_=compiles(CATALOG, DEFAULT_LIMITS),
        request_timeout_ms=request_timeout_ms,
    )
    runner = LocalRunner(lambda workflows: _driver(calls, workflows), Kernel)
    executions = LocalExecutions(keeper)
    try:
        yield Local(engine, executions, runner, LocalRuns(keeper), calls, keeper, plans)
    finally:
        await journal.close()
        await store.close()


def _driver(calls: Calls, workflows: Any) -> InlineDriver:
    with_children = WithInlineChildren(calls, workflows, Kernel)
    with_children.driver = InlineDriver(with_children)
    return with_children.driver


@asynccontextmanager
async def served(
    servicers: dict[str, object], security: Security | None = None
) -> AsyncIterator[str]:
    """Serve services on a free port; yield the address."""
    server = ServiceServer(servicers, security=security)
    port = await server.listen("127.0.0.1:0")
    await server.tell(is_ready=True)
    try:
        yield f"localhost:{port}"
    finally:
        await server.drain(0.0)


@asynccontextmanager
async def linked(
    role: str,
    address: str,
    *,
    security: Security | None = None,
    times: LinkTimes | None = None,
) -> AsyncIterator[Link]:
    """Yield a link to a service."""
    link = Link(role, address, security=security, times=times)
    try:
        yield link
    finally:
        await link.close()


@asynccontextmanager
async def platform(binding: str, **limits: int) -> AsyncIterator[Platform]:
    """Yield a platform: `in-process` or `grpc`; `limits` as for `local`."""
    agent = FakeAgent()
    async with local(**limits) as own:
        if binding == "in-process":
            shown = (FakeDeployments(), own.executions, FakeTriggers(), agent)
            yield Platform(own.engine, *shown, own.calls, agent, own.plans)
            return
        async with (
            served(own.servicers(agent)) as address,
            linked("engine", address) as engine,
            linked("runtime", address) as runtime,
            linked("agent", address) as drafting,
        ):
            yield Platform(
                RemoteEngine(engine),
                RemoteDeployments(runtime),
                RemoteExecutions(runtime),
                RemoteTriggers(runtime),
                RemoteAgent(drafting),
                own.calls,
                agent,
                own.plans,
            )

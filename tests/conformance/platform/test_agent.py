"""The real agent in both bindings: in this process, and over gRPC on sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from plait.agent import DraftingAgent, EmbeddedDrafter, Library
from plait.assembly.agents import SettingsLibrary
from plait.assembly.deploying import deployments
from plait.assembly.settings import Settings
from plait.drivers.clock import now_ms
from plait.model.caller import Caller
from plait.model.errors import PlaitError
from plait.operations.deploying import DefinitionInvalid, StoredDeployments
from plait.ports.platform import Agent, Told, Wanted
from plait.security.vault import KeyRing, StoredVault
from plait.services.agent import AgentServicer
from plait.services.remote import RemoteAgent
from plait.stores.memory.records import MemoryRecords
from tests.conformance.platform.platforms import linked, served
from tests.unit.agent.drafts import CATALOG, SHOP
from tests.unit.agent.test_sessions import Shelf

ANN = Caller("user:ann", "acme", "editor")
EVE = Caller("user:eve", "evil", "admin")
LOW = Caller("user:low", "acme", "operator")
ZOE = Caller("user:zoe", "acme", "admin")
TAKEN = """\
name: who
mode: express
endpoint: {method: GET, path: /who}
steps:
  - {id: a, type: set, value: 1}
"""


@asynccontextmanager
async def bound(binding: str, library: Library) -> AsyncIterator[Agent]:
    own = DraftingAgent(MemoryRecords(), EmbeddedDrafter(CATALOG), library)
    if binding == "in-process":
        yield own
    else:
        async with (
            served({"agent": AgentServicer(own)}) as address,
            linked("agent", address) as link,
        ):
            yield RemoteAgent(link)
    await own.close()


@pytest.fixture(params=["in-process", "grpc"])
async def agent(request: pytest.FixtureRequest) -> AsyncIterator[Agent]:
    async with bound(request.param, Shelf()) as own:
        yield own


@dataclass
class Shop:
    """An agent that knows real deployments, and a vault beside them."""

    agent: Agent
    deployments: StoredDeployments
    vault: StoredVault

    async def keep(self, host: str) -> None:
        """Keep the credential that the shop's operations show, for one host."""
        fields = {"token": "t0ken"}
        told = {"type": "bearer", "hosts": [host], "fields": fields}
        await self.vault.add(ZOE, {"name": "shop_token", **told})


@pytest.fixture(params=["in-process", "grpc"])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    records = MemoryRecords()
    kept = deployments(Settings(), records)
    vault = StoredVault(records, KeyRing({"key": b"k" * 32}), now_ms)
    async with bound(request.param, SettingsLibrary(SHOP, kept)) as own:
        yield Shop(own, kept, vault)


async def listed(stream: Any) -> list[Told]:
    async with aclosing(stream):
        return [told async for told in stream]


async def said(agent: Agent, *messages: str) -> str:
    made = await agent.create_session(ANN, "create", None)
    for message in messages:
        assert await listed(agent.chat(ANN, str(made["session_id"]), message))
    return str(made["session_id"])


async def test_a_conversation_ends_in_a_workflow(agent: Agent) -> None:
    session_id = await said(agent, "Get the customer", "then ship the order")
    told = await listed(agent.generate(ANN, session_id))
    assert [one.type for one in told] == ["waiting", "start", "draft", "complete"]
    assert [one.number for one in told] == [1, 2, 3, 4]
    data = told[-1].data["data"]
    assert isinstance(data, dict)
    assert "create_shipment" in str(data["definition"])
    assert await listed(agent.generate(ANN, session_id, 2)) == told[2:]


async def test_an_edit_tells_the_difference(agent: Agent) -> None:
    made = await agent.create_session(ANN, "edit", "checkout")
    session_id = str(made["session_id"])
    await listed(agent.chat(ANN, session_id, "remove the step empty_cart"))
    last = (await listed(agent.generate(ANN, session_id)))[-1]
    assert isinstance(last.data["data"], dict)
    assert "empty_cart" in str(last.data["data"]["difference"])


@pytest.mark.parametrize(
    ("caller", "code"), [(EVE, "session.unknown"), (LOW, "request.forbidden")]
)
async def test_who_may_not_is_refused_alike(
    agent: Agent, caller: Caller, code: str
) -> None:
    session_id = await said(agent, "Get the customer")
    for stream in (
        agent.chat(caller, session_id, "hello"),
        agent.generate(caller, session_id),
    ):
        with pytest.raises(PlaitError) as refused:
            await listed(stream)
        assert refused.value.code == code


@pytest.mark.parametrize("name", ["a b", "é", "..", "a/b", "a\n", "x" * 201])
async def test_a_name_that_no_workflow_can_have_is_refused_alike(
    agent: Agent, name: str
) -> None:
    with pytest.raises(PlaitError, match="not dots alone") as refused:
        await agent.create_session(ANN, "create", name)
    assert refused.value.code == "request.invalid"


async def test_an_early_generation_is_refused_alike(agent: Agent) -> None:
    session_id = await said(agent)
    with pytest.raises(PlaitError) as refused:
        await listed(agent.generate(ANN, session_id))
    assert refused.value.code == "session.empty"


# -- what would not be deployed --------------------------------------------------------


async def drafted(shop: Shop, name: str, wish: str) -> tuple[list[Told], Any]:
    """Return all events of a generation, and what the last one says."""
    made = await shop.agent.create_session(ANN, "create", name)
    session_id = str(made["session_id"])
    assert await listed(shop.agent.chat(ANN, session_id, wish))
    told = await listed(shop.agent.generate(ANN, session_id))
    data: Any = told[-1].data["data"]
    assert told[-1].type == "complete", data
    return told, data


async def test_a_path_that_another_workflow_answers_is_asked_for_again(shop: Shop) -> None:
    await shop.keep("https://shop.example")
    await shop.deployments.deploy(ANN, Wanted("who", TAKEN))
    wish = "Get the customer. Expose it as GET /who"
    told, data = await drafted(shop, "asked", wish)
    kinds = [one.type for one in told]
    assert kinds == ["waiting", "start", "draft", "debugging", "complete"]
    first: Any = told[2].data["data"]
    debugging: Any = told[3].data["data"]
    (found,) = debugging["diagnostics"]
    assert found["code"] == "G001"
    line = first["definition"].splitlines()[found["line"] - 1]
    assert "GET" in line
    (question,) = data["unresolved"]
    assert "'asked' cannot answer GET /who: 'who' does" in question
    made = await shop.deployments.deploy(ANN, Wanted("asked", data["definition"]))
    assert made["status"] == "active"
    # A path that is free, and a further version of what answers there.
    for name, path in (("other", "/other"), ("who", "/who")):
        _, free = await drafted(shop, name, wish.replace("/who", path))
        assert free["unresolved"] == []
        assert path in free["definition"]


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (None, "there is no credential 'shop_token'"),
        ("https://elsewhere.example", "credential 'shop_token' is not for"),
        ("https://shop.example", None),
    ],
)
async def test_a_credential_that_would_be_refused_is_told_with_its_line(
    shop: Shop, host: str | None, reason: str | None
) -> None:
    if host is not None:
        await shop.keep(host)
    _, data = await drafted(shop, "asked", "Get the customer.")
    wanted = Wanted("asked", data["definition"])
    if reason is None:
        assert data["unresolved"] == []
        assert (await shop.deployments.deploy(ANN, wanted))["changed"]
        return
    with pytest.raises(DefinitionInvalid) as refused:
        await shop.deployments.deploy(ANN, wanted)
    (against,) = refused.value.diagnostics
    (asked,) = data["unresolved"]
    assert asked.startswith(f"line {against.span.line}: {against.message}")
    assert reason in asked
    assert "shop_token" in data["definition"].splitlines()[against.span.line - 1]

"""The real agent in both bindings: in this process, and over gRPC on sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from plait.agent import DraftingAgent, EmbeddedDrafter
from plait.model.caller import Caller
from plait.model.errors import PlaitError
from plait.ports.platform import Agent, Told
from plait.services.agent import AgentServicer
from plait.services.remote import RemoteAgent
from plait.stores.memory.records import MemoryRecords
from tests.conformance.platform.platforms import linked, served
from tests.unit.agent.drafts import CATALOG
from tests.unit.agent.test_sessions import Shelf

ANN = Caller("user:ann", "acme", "editor")
EVE = Caller("user:eve", "evil", "admin")
LOW = Caller("user:low", "acme", "operator")


@pytest.fixture(params=["in-process", "grpc"])
async def agent(request: pytest.FixtureRequest) -> AsyncIterator[Agent]:
    own = DraftingAgent(MemoryRecords(), EmbeddedDrafter(CATALOG), Shelf())
    if request.param == "in-process":
        yield own
    else:
        async with (
            served({"agent": AgentServicer(own)}) as address,
            linked("agent", address) as link,
        ):
            yield RemoteAgent(link)
    await own.close()


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

"""Both bindings of the services do the same: in this process, and over gRPC on sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from plait.model.caller import ANYBODY, Caller
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.ports.journal import Search
from plait.ports.platform import Delivery, Order, Told, Wanted
from plait.ports.status import details_of, status_of
from tests.conformance.platform.platforms import (
    CALLING,
    FAILING,
    SUM,
    Platform,
    plan_of,
    platform,
)
from tests.unit.security.scopes import largest_caller

OPERATOR = Caller("user:op", role="operator")
EDITOR = Caller("user:ed", role="editor")
GRANTED = Caller("user:gil", role="viewer", grants={"sum": "operator"})
STRANGER = Caller("user:eve", tenant="elsewhere", role="admin")
TRACE = (("traceparent", f"00-{'a' * 32}-{'b' * 16}-01"), ("x-request-id", "r1"))


@pytest.fixture(params=["in-process", "grpc"])
async def services(request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    """The services, in either binding."""
    async with platform(request.param) as made:
        yield made


async def refused(coroutine: Any) -> PlaitError:
    """Return what a call was refused with."""
    with pytest.raises(PlaitError) as caught:
        await coroutine
    return caught.value


async def listed(stream: Any) -> list[Told]:
    """Return all events of a stream."""
    return [told async for told in stream]


# -- engine ----------------------------------------------------------------------------


async def test_a_deployed_workflow_is_run_by_its_name(services: Platform) -> None:
    told = await services.engine.execute(OPERATOR, Order(workflow="sum", input={"a": 41}))
    assert (told["status"], told["output"], told["error"]) == ("completed", 42, None)
    assert len(str(told["execution_id"])) == 32


async def test_a_document_is_run_by_an_editor_only(services: Platform) -> None:
    order = Order(definition=SUM, input={"a": 1})
    assert (await services.engine.execute(EDITOR, order))["output"] == 2
    error = await refused(services.engine.execute(OPERATOR, order))
    assert (error.code, status_of(error).http) == ("request.forbidden", 403)


async def test_a_grant_on_one_workflow_is_enough_for_it(services: Platform) -> None:
    order = Order(workflow="sum", input={"a": 1})
    assert (await services.engine.execute(GRANTED, order))["output"] == 2
    error = await refused(services.engine.execute(GRANTED, Order(workflow="failing")))
    assert error.code == "request.forbidden"


@pytest.mark.parametrize("name_length", [4, 93, 200])
async def test_a_caller_with_all_grants_that_a_key_can_have_is_let_in(
    services: Platform, name_length: int
) -> None:
    caller = largest_caller(name_length, "sum")
    trace = (*TRACE, ("baggage", "b" * 8_000), ("tracestate", "s" * 500))
    order = Order(workflow="sum", input={"a": 1}, trace=trace)
    assert (await services.engine.execute(caller, order))["output"] == 2
    assert "deployments" in await services.deployments.list(caller, after="", limit=1)


async def test_a_caller_with_more_grants_than_keys_are_made_with_now_keeps_them_all(
    services: Platform,
) -> None:
    grants = {f"{number:0200}": "operator" for number in range(1_000)}
    caller = Caller("user:gil", grants=grants)
    told = await services.triggers.list(caller)
    assert told["triggers"] == ["default", None, grants]


async def test_a_workflow_that_fails_is_told_with_its_error(services: Platform) -> None:
    told = await services.engine.execute(EDITOR, Order(definition=FAILING))
    assert (told["status"], told["output"]) == ("failed", None)
    error: Any = told["error"]
    assert (error["code"], error["message"]) == ("shop.empty", "sold out")


async def test_what_nobody_waits_for_is_begun_where_it_can_go_on(
    services: Platform,
) -> None:
    order = Order(workflow="calling", is_unawaited=True)
    for kept in (replace(order, mode="durable"), replace(order, key="k")):
        told = await services.engine.execute(OPERATOR, kept)
        assert told["status"] == "running"
    # Who follows it waits for it.
    order = Order(workflow="sum", input={"a": 1}, is_unawaited=True)
    assert (await listed(services.engine.execute_stream(OPERATOR, order)))[-1].data[
        "output"
    ] == 2


@pytest.mark.parametrize(
    ("order", "code", "http"),
    [
        (Order(workflow="nobody"), "workflow.unknown", 404),
        (Order(workflow="sum", input={"a": "x"}), "request.invalid", 400),
        (Order(), "request.invalid", 400),
        (Order(definition={"name": "x", "steps": 3}), "document.invalid", 422),
        (Order(workflow="waiting", mode="express"), "execution.needs_durable", 422),
        (Order(workflow="sum", mode="express", key="k"), "request.invalid", 400),
        (Order(workflow="calling", is_unawaited=True), "execution.needs_durable", 422),
    ],
    ids=["unknown", "unfit", "nothing", "no document", "must last", "key", "no wait"],
)
async def test_what_the_engine_refuses_has_the_same_error(
    services: Platform, order: Order, code: str, http: int
) -> None:
    error = await refused(services.engine.execute(EDITOR, order))
    assert (error.code, status_of(error).http) == (code, http)
    assert error.advice is Advice.FIX_REQUEST
    assert str(error)


async def test_an_error_crosses_with_all_its_details(services: Platform) -> None:
    order = Order(workflow="sum", input={"a": "x"})
    error = await refused(services.engine.execute(OPERATOR, order))
    violations: Any = details_of(error)["violations"]
    assert [one["path"] for one in violations] == ["/a"]


async def test_another_tenants_workflow_does_not_exist(services: Platform) -> None:
    error = await refused(services.engine.execute(STRANGER, Order(workflow="sum")))
    assert error.code == "workflow.unknown"


async def test_a_document_runs_no_workflow_of_another_tenant(services: Platform) -> None:
    step: JsonObject = {
        "id": "s",
        "type": "workflow",
        "request": {"name": "sum", "input": {"a": 1}},
    }
    mine: JsonObject = {"name": "mine", "steps": [step], "output": "${s.response}"}
    order = Order(definition=mine, mode="durable", wait_ms=10_000)
    told: Any = await services.engine.execute(STRANGER, order)
    assert (told["status"], told["error"]["code"]) == ("failed", "workflow.unknown")
    told = await services.engine.execute(EDITOR, order)
    assert (told["status"], told["output"]) == ("completed", 2)


@pytest.mark.parametrize("binding", ["in-process", "grpc"])
async def test_whatever_makes_work_is_refused_while_too_many_wait(binding: str) -> None:
    async with platform(binding, held_max=2, backlog_max=1) as services:
        change = services.executions.change
        order = Order(workflow="failing", mode="durable", wait_ms=10_000)
        old = str((await services.engine.execute(OPERATOR, order))["execution_id"])
        verbs: list[tuple[str, JsonObject]] = [("restart", {}), ("fork", {"from": "no"})]
        for verb, body in verbs:
            told = await change(OPERATOR, old, verb, body)
            await services.executions.get(OPERATOR, str(told["id"]), 10_000)
        order = Order(workflow="calling", mode="durable")
        begun = [await services.engine.execute(OPERATOR, order) for _ in range(3)]
        refusals = [refused(services.engine.execute(OPERATOR, order))]
        for verb, body in [*verbs, ("resume", {})]:
            refusals.append(refused(change(OPERATOR, old, verb, body)))
        for error in await asyncio.gather(*refusals):
            assert (error.code, status_of(error).http) == ("limit.overload", 503)
        last = str(begun[-1]["execution_id"])
        told = await change(OPERATOR, last, "cancel", {})
        assert told["status"] == "cancelled", "to end one makes no work"


@pytest.mark.parametrize("binding", ["in-process", "grpc"])
@pytest.mark.parametrize("verb", ["restart", "fork", "resume"])
async def test_what_a_verb_lets_in_waits_for_room_and_counts(
    binding: str, verb: str
) -> None:
    async with platform(binding, held_max=1, backlog_max=1) as services:
        change, get = services.executions.change, services.executions.get
        calls, order = services.calls, Order(workflow="calling", mode="durable")
        execute = partial(services.engine.execute, OPERATOR)
        failing = asyncio.ensure_future(execute(replace(order, wait_ms=10_000)))
        await calls.until_started()
        calls.fail("gone")
        old = str((await failing)["execution_id"])
        await execute(order)
        await calls.until_started()
        body: JsonObject = {"from": "asked"} if verb == "fork" else {}
        told = await change(OPERATOR, old, verb, body)
        shown = await get(OPERATOR, str(told["id"]))
        assert shown["waits"] == [{"for": "room"}]
        for refusal in (
            execute(order),
            change(OPERATOR, old, "restart", {}),
        ):
            assert (await refused(refusal)).code == "limit.overload"
        calls.answer(1)
        await calls.until_started()
        calls.answer(2)
        shown = await get(OPERATOR, str(told["id"]), 10_000)
        assert (shown["status"], shown["output"]) == ("completed", 2)


async def test_what_a_caller_starts_is_their_tenant_s(services: Platform) -> None:
    order = Order(definition=SUM, input={"a": 1}, key="k1", wait_ms=10_000)
    ours = await services.engine.execute(EDITOR, order)
    theirs = await services.engine.execute(STRANGER, order)
    assert ours["execution_id"] != theirs["execution_id"]
    for caller, told in ((EDITOR, ours), (STRANGER, theirs)):
        found: Any = await services.executions.find(caller, Search())
        assert [one["id"] for one in found["executions"]] == [told["execution_id"]]
        assert found["total_count"] == 1
    error = await refused(services.executions.get(EDITOR, str(theirs["execution_id"])))
    assert error.code == "execution.unknown"


async def test_a_durable_execution_goes_on_when_the_wait_is_over(
    services: Platform,
) -> None:
    told = await services.engine.execute(OPERATOR, Order(workflow="waiting", wait_ms=1))
    assert told["status"] == "running"
    execution_id = str(told["execution_id"])
    await services.executions.change(
        OPERATOR, execution_id, "signals", {"name": "paid", "payload": {"sum": 7}}
    )
    ended = await services.executions.get(OPERATOR, execution_id, 10_000)
    assert (ended["status"], ended["output"]) == ("completed", {"sum": 7})


@pytest.mark.parametrize(
    "search",
    [Search(), Search(workflow="failing"), Search(statuses=("failed",), tenant="default")],
    ids=["all", "of one workflow", "failed"],
)
async def test_the_last_page_says_that_it_is_the_last(
    services: Platform, search: Search
) -> None:
    order = Order(workflow="failing", mode="durable", wait_ms=10_000)
    for _ in range(4):
        await services.engine.execute(OPERATOR, order)
    find = services.executions.find
    for limit, pages in ((1, 4), (2, 2), (3, 2), (4, 1), (5, 1)):
        wanted = replace(search, limit=limit)
        by_page: list[Any] = [
            await find(OPERATOR, wanted, page) for page in range(1, pages + 1)
        ]
        by_cursor: list[Any] = [await find(OPERATOR, wanted)]
        while (before := by_cursor[-1]["before"]) is not None:
            by_cursor.append(await find(OPERATOR, replace(wanted, before=int(before))))
        for found in (by_page, by_cursor):
            assert [one["before"] is None for one in found] == [False] * (pages - 1) + [
                True
            ]
            assert sum(len(one["executions"]) for one in found) == 4
    none: Any = await find(OPERATOR, replace(search, workflow="nobody", limit=1))
    assert (none["executions"], none["before"]) == ([], None)


async def test_a_key_makes_a_start_safe_to_repeat(services: Platform) -> None:
    order = Order(workflow="sum", input={"a": 1}, key="k1", wait_ms=10_000)
    first = await services.engine.execute(OPERATOR, order)
    assert (first["status"], first["output"]) == ("completed", 2)
    assert await services.engine.execute(OPERATOR, order) == first
    other = Order(workflow="sum", input={"a": 2}, key="k1")
    error = await refused(services.engine.execute(OPERATOR, other))
    assert (error.code, status_of(error).http) == ("request.key_reused", 422)
    assert details_of(error) == {"execution_id": first["execution_id"]}


INPUT: Any = SUM["input"]
_B: Any = {"type": "integer"}


@pytest.mark.parametrize(
    "schema",
    [
        {**INPUT, "required": ["a", "b"]},
        {**INPUT, "properties": {**INPUT["properties"], "b": {**_B, "default": 1}}},
    ],
    ids=["stricter", "another default"],
)
async def test_a_start_by_name_is_repeated_after_its_input_has_become_another(
    services: Platform, schema: Any
) -> None:
    order = Order(workflow="sum", input={"a": 1}, key="k1", wait_ms=10_000)
    first = await services.engine.execute(OPERATOR, order)
    services.plans["sum"] = plan_of({**SUM, "input": schema})
    assert await services.engine.execute(OPERATOR, order) == first
    told = await listed(services.engine.execute_stream(OPERATOR, order))
    assert told[-1].data == first
    error = await refused(services.engine.execute(OPERATOR, replace(order, input={"a": 2})))
    assert error.code in {"request.key_reused", "request.invalid"}
    found: Any = await services.executions.find(OPERATOR, Search())
    assert found["total_count"] == 1


OTHER_SUM: Any = {**SUM, "output": "another"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"definition": SUM}, {"definition": OTHER_SUM}),
        ({"workflow": "sum"}, {"definition": OTHER_SUM}),
        ({"definition": OTHER_SUM}, {"workflow": "sum"}),
    ],
    ids=["another document", "a document for a name", "a name for a document"],
)
async def test_a_key_is_for_one_document(
    services: Platform, first: Any, second: Any
) -> None:
    order = Order(**first, input={"a": 1}, key="k1", wait_ms=10_000)
    told = await services.engine.execute(EDITOR, order)
    assert told["status"] == "completed"
    assert await services.engine.execute(EDITOR, order) == told
    other = Order(**second, input={"a": 1}, key="k1", wait_ms=10_000)
    error = await refused(services.engine.execute(EDITOR, other))
    assert (error.code, status_of(error).http) == ("request.key_reused", 422)
    assert details_of(error) == {"execution_id": told["execution_id"]}
    error = await refused(listed(services.engine.execute_stream(EDITOR, other)))
    assert error.code == "request.key_reused"


async def test_a_start_by_name_is_safe_to_repeat_after_a_deploy(
    services: Platform,
) -> None:
    order = Order(workflow="sum", input={"a": 1}, key="k1", wait_ms=10_000)
    first = await services.engine.execute(OPERATOR, order)
    services.plans["sum"] = plan_of(OTHER_SUM)
    assert await services.engine.execute(OPERATOR, order) == first


async def test_trace_context_reaches_the_calls(services: Platform) -> None:
    order = Order(workflow="calling", trace=TRACE)
    running = asyncio.ensure_future(services.engine.execute(OPERATOR, order))
    await services.calls.started.wait()
    services.calls.answer("ann")
    assert (await running)["output"] == "ann"
    assert services.calls.calls[0].trace == TRACE


async def test_who_gives_up_cancels_what_is_done_for_them(services: Platform) -> None:
    running = asyncio.ensure_future(
        services.engine.execute(OPERATOR, Order(workflow="calling"))
    )
    await services.calls.started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await services.calls.cancelled.wait()


async def test_an_express_execution_is_told_while_it_runs(services: Platform) -> None:
    stream: Any = services.engine.execute_stream(OPERATOR, Order(workflow="calling"))
    async with aclosing(stream):
        first = await anext(stream)
        assert (first.type, first.data["status"]) == ("start", "running")
        assert first.data["mode"] == "express"
        turn = await anext(stream)
        assert turn.data["events"][-1]["type"] == "StepStarted"
        services.calls.answer("ann")
        rest = await listed(stream)
    assert rest[-1].type == "result"
    assert rest[-1].data["output"] == "ann"


@pytest.mark.parametrize("binding", ["in-process", "grpc"])
async def test_an_express_run_takes_no_longer_than_a_request_may(binding: str) -> None:
    async with platform(binding, request_timeout_ms=50) as services:
        order = Order(definition={**CALLING, "timeout": "30s"})
        with_its_own = asyncio.ensure_future(services.engine.execute(EDITOR, order))
        await services.calls.started.wait()
        order = Order(workflow="calling")
        error = await refused(services.engine.execute(OPERATOR, order))
        assert (error.code, status_of(error).http) == ("request.timeout", 504)
        assert services.calls.cancelled.is_set()
        error = await refused(listed(services.engine.execute_stream(OPERATOR, order)))
        assert error.code == "request.timeout"
        services.calls.answer("ann")
        assert (await with_its_own)["output"] == "ann"


async def test_who_leaves_an_express_stream_ends_it(services: Platform) -> None:
    stream: Any = services.engine.execute_stream(OPERATOR, Order(workflow="calling"))
    async with aclosing(stream):
        await anext(stream)
        await services.calls.started.wait()
    await services.calls.cancelled.wait()


async def test_a_durable_execution_is_told_to_its_end(services: Platform) -> None:
    stream: Any = services.engine.execute_stream(OPERATOR, Order(workflow="waiting"))
    told = []
    async with aclosing(stream):
        async for one in stream:
            told.append(one)
            if one.type == "start":
                assert one.data["mode"] == "durable"
                body: Any = {"name": "paid", "payload": 7}
                execution_id = one.data["execution_id"]
                await services.executions.change(OPERATOR, execution_id, "signals", body)
    assert told[-1].type == "result"
    assert told[-1].data["output"] == 7
    numbers = [one.number for one in told if one.type == "turn"]
    assert numbers == [*range(1, len(numbers) + 1)]


# -- executions ------------------------------------------------------------------------


async def test_executions_are_found_by_what_they_are(services: Platform) -> None:
    order = Order(workflow="sum", input={"a": 1}, key="k", wait_ms=10_000)
    ended = await services.engine.execute(OPERATOR, order)
    await services.engine.execute(OPERATOR, Order(workflow="waiting"))
    search = Search(workflow="sum", statuses=("completed",), key="k", text='"a"', limit=5)
    found: Any = await services.executions.find(OPERATOR, search, 1)
    assert [one["id"] for one in found["executions"]] == [ended["execution_id"]]
    assert (found["total_count"], found["page"], found["page_size"]) == (1, 1, 5)
    none = await services.executions.find(OPERATOR, Search(until_ms=1))
    assert none["executions"] == []


async def test_who_knows_an_id_learns_how_it_ended_and_no_more(
    services: Platform,
) -> None:
    told = await services.engine.execute(OPERATOR, Order(workflow="waiting"))
    execution_id = str(told["execution_id"])
    shown = await services.executions.get(ANYBODY, execution_id)
    assert "input" not in shown
    assert "steps" in await services.executions.get(OPERATOR, execution_id)
    line = await services.executions.timeline(OPERATOR, execution_id)
    assert line["status"] == "running"
    error = await refused(services.executions.get(STRANGER, execution_id))
    assert (error.code, status_of(error).http) == ("execution.unknown", 404)


async def test_events_go_on_behind_the_one_that_is_known(services: Platform) -> None:
    told = await services.engine.execute(OPERATOR, Order(workflow="waiting"))
    execution_id = str(told["execution_id"])
    await services.executions.change(OPERATOR, execution_id, "cancel", {})
    whole = await listed(services.executions.events(OPERATOR, execution_id, 0))
    rest = await listed(services.executions.events(OPERATOR, execution_id, 1))
    assert whole[-1].type == "end"
    assert [one.number for one in whole][:2] == [1, 2]
    assert rest == whole[1:]


async def test_an_unknown_verb_is_refused(services: Platform) -> None:
    error = await refused(services.executions.change(OPERATOR, "x", "cancle", {}))
    assert (error.code, "cancel" in str(error)) == ("request.invalid", True)


# -- deployments, triggers, agent: what is asked for arrives as it was asked ------------


async def test_a_deployment_arrives_as_it_was_wanted(services: Platform) -> None:
    wanted = Wanted("orders", "name: orders\n", [{"type": "webhook"}], "é", "v1", False)
    told = ["orders", "name: orders\n", {"type": "webhook"}, "é", "v1", False]
    some = services.deployments
    assert await some.deploy(EDITOR, wanted) == {"by": "user:ed", "told": told}
    assert await some.validate(EDITOR, wanted) == {"by": "user:ed", "trial": told}
    for kept in ("\ufeff[ ]\r\n", ""):
        one = replace(wanted, triggers_text=kept)
        assert (await some.deploy(EDITOR, one))["told"] == [*told, kept]
        assert (await some.validate(EDITOR, one))["trial"] == [*told, kept]
    plain = Wanted("", "b")
    assert (await some.deploy(EDITOR, plain))["told"] == ["", "b", "", None, True]
    assert (await some.validate(EDITOR, plain))["trial"] == ["", "b", "", None, True]


async def test_what_is_refused_is_refused_alike_when_only_validating(
    services: Platform,
) -> None:
    some, wanted = services.deployments, Wanted("orders", "x: 1", expected="gone")
    for error in (
        await refused(some.deploy(EDITOR, wanted)),
        await refused(some.validate(EDITOR, wanted)),
    ):
        assert (error.code, status_of(error).http) == ("deployment.conflict", 409)
        assert details_of(error)["active"] == "v2"


async def test_deployments_are_asked_for_as_meant(services: Platform) -> None:
    some = services.deployments
    assert await some.list(STRANGER, after="a", limit=7) == {
        "deployments": ["elsewhere", "a", 7],
        "next": None,
    }
    told = await some.difference(EDITOR, "d", "v1", "v2")
    assert told == {"id": "d", "old": "v1", "new": "v2"}
    assert (await some.activate(EDITOR, "d", None))["version"] is None
    assert (await some.activate(EDITOR, "d", "v1"))["version"] == "v1"
    error = await refused(some.get(EDITOR, "d"))
    assert (str(error), details_of(error)) == ("no 'd'", {"known": ["orders"]})


async def test_a_webhook_arrives_byte_for_byte(services: Platform) -> None:
    delivery = Delivery("p/q", "POST", "a=1", {"webhook-id": "1"}, b"\x00\xff{")
    told = await services.triggers.deliver(delivery)
    assert told["told"] == ["p/q", "POST", "a=1", {"webhook-id": "1"}, "00ff7b"]
    listed_ = await services.triggers.list(GRANTED)
    assert listed_ == {"triggers": ["default", "viewer", {"sum": "operator"}]}


async def test_a_conversation_is_told_word_by_word(services: Platform) -> None:
    session = await services.agent.create_session(EDITOR, "edit", "orders")
    assert session == {"session_id": "s1", "action": "edit", "workflow_id": "orders"}
    made = await services.agent.create_session(EDITOR, "create", None)
    assert made["workflow_id"] is None
    told = await listed(services.agent.chat(EDITOR, "s1", "get the user"))
    assert [one.data["content"] for one in told] == ["get", "the", "user"]


async def test_who_leaves_a_draft_ends_it(services: Platform) -> None:
    stream: Any = services.agent.generate(EDITOR, "s1", 41)
    async with aclosing(stream):
        assert (await anext(stream)).number == 42
        assert not services.drafts.left.is_set()
    await services.drafts.left.wait()


@pytest.mark.parametrize(("limit", "page"), [(0, None), (-5, None), (10, 0), (10, -1)])
async def test_a_page_without_rows_is_no_wish(
    services: Platform, limit: int, page: int | None
) -> None:
    error = await refused(services.executions.find(OPERATOR, Search(limit=limit), page))
    assert error.code == "request.invalid"

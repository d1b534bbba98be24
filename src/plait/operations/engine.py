"""The engine in this process: runs workflows for somebody who waits.

Rule 1. An operator runs what is deployed; only an editor runs a document that is not.
Rule 2. A start with a key is durable: nothing else could tell that it came before.
        Who repeats it gets the first execution, also when its input would not fit, or would
        be filled in otherwise, by the version that is deployed now.
Rule 3. Whoever leaves an express execution ends it; a durable one goes on.
Rule 4. What nobody would wait for is not run express: it would be answered at its end.
Rule 5. Whoever listens to an express execution that is cut off is told so.

Not here: executions of the gateway's endpoints (plait.operations.runs).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from plait.drivers.inline import Hear, InlineDriver, NeedsDurable, Result
from plait.drivers.inline import Start as InlineStart
from plait.drivers.inputs import InvalidInput, fitted
from plait.drivers.journal import Start, Store
from plait.kernel import Kernel
from plait.kernel.events import Event
from plait.model.caller import Caller, require
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject, JsonValue
from plait.operations.executions import event_json
from plait.operations.following import Following
from plait.operations.keeper import Keeper
from plait.operations.keys import KeyReused, api_trigger, check_same
from plait.operations.runs import Durable, LocalRuns
from plait.plan import Plan, load_plan
from plait.ports.journal import Search
from plait.ports.platform import CutOff, InvalidRequest, Order, Told

_ID_BYTES: Final = 16
_NOT_WITHOUT: Final = (
    "is express: it ends with the request, and nobody would wait for it. Leave out `wait`, "
    "or send `mode: durable`"
)


class UnknownWorkflow(PlaitError):
    """No workflow of that name is deployed."""

    code = "workflow.unknown"
    advice = Advice.FIX_REQUEST

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no workflow '{name}' here")
        self.details: JsonObject = {"workflow": name}


async def start_named(
    durable: Durable, find: Callable[[str, str], Plan | None], name: str, start: Start
) -> None:
    """Start a durable execution of a workflow by its name, once for its key.

    Args:
        find: Returns the plan of a tenant's workflow.

    Raises:
        UnknownWorkflow: There is none of that name.
        StoreUnavailable: Nothing was begun, or nothing is known of it.
        PlaitError: What else speaks against it.
    """
    plan = find(start.tenant, name)
    if plan is None:
        raise UnknownWorkflow(name)
    fitting = replace(start, input=fitted(plan, start.input))
    await durable.start(plan, fitting, 0, is_promotable=False)


class TookTooLong(PlaitError):
    """An express execution has not ended in the time that a request may take."""

    code = "request.timeout"

    def __init__(self, timeout_ms: int) -> None:
        super().__init__(f"the request was not answered within {timeout_ms} ms")
        self.details: JsonObject = {"timeout_ms": timeout_ms}


class LocalEngine:
    """Runs workflows in this process (plait.ports.platform, `Engine`).

    Args:
        find: Returns the plan of a deployed workflow, for a tenant; None: there is none.
        compile_: Returns the plan of a document.
        request_timeout_ms: How long an express execution may take whose workflow has no
            `timeout` of its own.
    """

    def __init__(
        self,
        driver: InlineDriver,
        kernel_for: Callable[[Plan], Kernel],
        keeper: Keeper,
        *,
        find: Callable[[str, str], Awaitable[Plan | None]],
        compile_: Callable[[JsonObject], Awaitable[Plan]],
        request_timeout_ms: int,
    ) -> None:
        self._driver = driver
        self._kernel_for = kernel_for
        self._keeper = keeper
        self._runs = LocalRuns(keeper)
        self._find = find
        self._compile = compile_
        self._request_timeout_ms = request_timeout_ms
        self._following = Following(self._store)
        self._listened = set[asyncio.Future[Result]]()

    def cut(self) -> None:
        """End the express executions that somebody listens to: `request.cut_off`."""
        for running in self._listened:
            running.cancel()

    async def execute(self, caller: Caller, order: Order) -> JsonObject:
        """Run a workflow; return `{execution_id, workflow, status, output, error}`.

        Raises:
            InvalidRequest: Order or input cannot be.
            UnknownWorkflow: None of that name is deployed.
            Forbidden: The caller may not run it.
            NeedsDurable: It is express, and nobody would wait for it.
            TookTooLong: It was given up, and its calls were cancelled.
        """
        plan = await self._plan(caller, order)
        if not _is_durable(plan, order):
            if order.is_unawaited:
                raise NeedsDurable(plan.name, _NOT_WITHOUT)
            start = _express_start(caller, order, _fitted(plan, order.input))
            return _told(plan, await self._run(plan, start))
        ended = await self._begun(plan, caller, order, order.wait_ms)
        return _running(plan, ended) if isinstance(ended, str) else _told(plan, ended)

    async def execute_stream(
        self, caller: Caller, order: Order
    ) -> AsyncGenerator[Told, None]:
        """Run a workflow; yield `start`, a `turn` for whatever happens, `result` at last.

        Raises:
            CutOff: It was ended, because this process ends.
            PlaitError: As `execute`.
        """
        plan = await self._plan(caller, order)
        if _is_durable(plan, order):
            events = self._durable_events(plan, caller, order)
        else:
            express = _express_start(caller, order, _fitted(plan, order.input))
            events = self._express_events(plan, express)
        async with aclosing(events):
            async for told in events:
                yield told

    async def _begun(
        self, plan: Plan, caller: Caller, order: Order, wait_ms: int
    ) -> Result | str:
        """Return what a durable execution came to, or the first of its key; or its id."""
        try:
            start = _durable_start(caller, order, _fitted(plan, order.input))
            return await self._runs.start(plan, start, wait_ms, is_promotable=False)
        except (InvalidRequest, KeyReused):
            first = await self._first(plan, caller, order)
            if first is None:
                raise
        return await self._runs.awaited(first, wait_ms)

    async def _first(self, plan: Plan, caller: Caller, order: Order) -> str | None:
        """Return the execution that has the order's key, of the same input by its version.

        Raises:
            InvalidRequest, KeyReused: The order has another input.
        """
        if order.key is None or order.workflow is None:
            return None
        search = Search(workflow=plan.name, key=order.key, tenant=caller.tenant, limit=1)
        store = await self._store()
        for summary in await store.find(search):
            history = await store.read(summary.new.execution_id)
            former = load_plan(await store.load_plan(summary.new.plan_hash))
            start = _durable_start(caller, order, _fitted(former, order.input))
            check_same(history, start, plan.content_hash)
            return summary.new.execution_id
        return None

    async def _durable_events(
        self, plan: Plan, caller: Caller, order: Order
    ) -> AsyncGenerator[Told, None]:
        ended = await self._begun(plan, caller, order, 0)
        execution_id = ended if isinstance(ended, str) else ended.execution_id
        yield Told("start", {**_running(plan, execution_id), "mode": "durable"})
        number = 0
        async with aclosing(self._following.follow(execution_id)) as courses:
            async for course in courses:
                for latest, turn in course.turns(number, is_whole=True):
                    number = latest
                    yield Told("turn", turn, number)
        result = await (await self._keeper.kept()).driver.result(execution_id)
        yield Told("result", _told(plan, result), number)

    async def _express_events(
        self, plan: Plan, start: InlineStart
    ) -> AsyncGenerator[Told, None]:
        heard: asyncio.Queue[list[Event] | None] = asyncio.Queue()
        running = asyncio.ensure_future(self._run(plan, start, heard.put_nowait))
        running.add_done_callback(lambda _: heard.put_nowait(None))
        self._listened.add(running)
        number = 0
        try:
            told = _running(plan, start.execution_id)
            yield Told("start", {**told, "mode": "express"})
            while (events := await heard.get()) is not None:
                number += 1
                shown: list[JsonValue] = [event_json(one) for one in events]
                yield Told("turn", {"number": number, "events": shown}, number)
            if running.cancelled():
                raise CutOff("the engine stops, and the execution with it")
            yield Told("result", _told(plan, await running), number)
        finally:
            self._listened.discard(running)
            running.cancel()

    async def _run(
        self, plan: Plan, start: InlineStart, hear: Hear | None = None
    ) -> Result:
        running = self._driver.run(self._kernel_for(plan), start, hear)
        if plan.timeout_ms is not None:
            return await running
        timeout_ms = self._request_timeout_ms
        try:
            async with asyncio.timeout(timeout_ms / 1000) as bound:
                return await running
        except TimeoutError:
            if not bound.expired():
                raise
            raise TookTooLong(timeout_ms) from None

    async def _plan(self, caller: Caller, order: Order) -> Plan:
        if (order.workflow is None) == (order.definition is None):
            raise InvalidRequest("say `workflow`, a name, or `definition`, a document")
        if order.definition is not None:
            require(caller, "editor")
            return await self._compile(order.definition)
        assert order.workflow is not None
        require(caller, "operator", order.workflow)
        found = await self._find(caller.tenant, order.workflow)
        if found is None:
            raise UnknownWorkflow(order.workflow)
        return found

    async def _store(self) -> Store:
        return (await self._keeper.kept()).store


def _is_durable(plan: Plan, order: Order) -> bool:
    if order.mode == "express" and order.key is not None:
        raise InvalidRequest("a key needs a durable execution: leave out `mode`")
    return order.key is not None or (order.mode or plan.mode) == "durable"


def _fitted(plan: Plan, value: JsonValue) -> JsonValue:
    try:
        return fitted(plan, value)
    except InvalidInput as error:
        raise InvalidRequest(str(error), {"violations": [*error.violations]}) from error


def _express_start(caller: Caller, order: Order, value: JsonValue) -> InlineStart:
    trigger = _trigger(caller, order)
    return InlineStart(_new_id(), value, trigger, order.trace, caller.tenant)


def _durable_start(caller: Caller, order: Order, value: JsonValue) -> Start:
    return Start(
        _new_id(),
        value,
        _trigger(caller, order),
        order.key,
        trace=order.trace,
        tenant=caller.tenant,
    )


def _trigger(caller: Caller, order: Order) -> JsonObject:
    return api_trigger(caller.subject, is_definition=order.definition is not None)


def _new_id() -> str:
    return secrets.token_hex(_ID_BYTES)


def _running(plan: Plan, execution_id: str) -> JsonObject:
    return {
        "execution_id": execution_id,
        "workflow": plan.name,
        "status": "running",
        "output": None,
        "error": None,
    }


def _told(plan: Plan, result: Result) -> JsonObject:
    failure = result.failure
    return {
        "execution_id": result.execution_id,
        "workflow": plan.name,
        "status": result.status,
        "output": result.output,
        "error": None if failure is None else failure.as_json(),
        "degraded": result.is_degraded,
    }

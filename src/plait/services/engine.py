"""EngineService, for any implementation of the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from plait.drivers.inline import Start
from plait.ports.platform import Engine, InvalidRequest, Order
from plait.services.plans import PlanRunner, Plans
from plait.services.results import message_of
from plait.services.streams import events_of
from plait.services.v1 import engine_pb2 as messages
from plait.services.v1.common_pb2 import Event
from plait.services.wire import Asked, dumped, given, given_object


class EngineServicer:
    """Answers for EngineService (proto/plait/v1/engine.proto)."""

    def __init__(self, engine: Engine, runner: PlanRunner) -> None:
        self._engine = engine
        self._runner = runner
        self._plans = Plans()

    async def execute(
        self, asked: Asked, request: messages.ExecuteRequest
    ) -> messages.ExecuteReply:
        """See the proto."""
        told = await self._engine.execute(asked.caller, order_of(asked, request))
        return messages.ExecuteReply(
            execution_id=str(told.get("execution_id", "")),
            status=str(told.get("status", "")),
            json=dumped(told),
        )

    def execute_stream(
        self, asked: Asked, request: messages.ExecuteRequest
    ) -> AsyncIterator[Event]:
        """See the proto."""
        order = order_of(asked, request)
        return events_of(self._engine.execute_stream(asked.caller, order))

    async def run_plan(
        self, asked: Asked, request: messages.RunPlanRequest
    ) -> messages.RunReply:
        """See the proto."""
        plan, workflows = self._plans.of(asked.caller, request)
        start = Start(
            request.execution_id,
            given("input", request.input),
            given("trigger", request.trigger),
            asked.trace,
            asked.caller.tenant,
        )
        result = await self._runner.run(plan, workflows, start)
        return message_of(result, wants_names=request.wants_names)


def order_of(asked: Asked, request: messages.ExecuteRequest) -> Order:
    """Return the order that a message holds."""
    what = request.WhichOneof("what")
    definition = None
    if what == "definition":
        definition = given_object("definition", request.definition)
    return Order(
        workflow=request.workflow if what == "workflow" else None,
        definition=definition,
        input=given("input", request.input),
        mode=_mode(request.mode),
        wait_ms=max(request.wait_ms, 0),
        is_unawaited=request.is_unawaited,
        key=request.key if request.HasField("key") else None,
        trace=asked.trace,
    )


def _mode(given: str) -> Literal["express", "durable"] | None:
    match given:
        case "":
            return None
        case "express" | "durable":
            return given
        case _:
            raise InvalidRequest("`mode` is 'express' or 'durable'")

"""Results of executions as messages: whole, so that an endpoint answers as if it had run.

What a result's state holds beside the steps' values stays where it ran: nobody else needs
it.
"""

from __future__ import annotations

from typing import Any

import orjson

from plait.drivers.inline import Result, StepTrace, Trace
from plait.kernel import Ambient, Execution
from plait.kernel.codec import failure_json, load_failure
from plait.kernel.events import ExecutionStarted
from plait.kernel.state import Frame
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.plan import Plan
from plait.services.v1.engine_pb2 import RunReply
from plait.services.wire import dumped, loaded

# Nobody but a call's request reads secrets, and no call follows.
_KEPT_BACK = ("secrets",)


def message_of(result: Result, *, wants_names: bool) -> RunReply:
    """Return the message that stands for a result.

    Args:
        wants_names: Whether the values of all steps are needed too.
    """
    return RunReply(
        execution_id=result.execution_id,
        status=result.status,
        output=dumped(result.output),
        failure=_failure(result.failure),
        passed_over=_failure(result.passed_over),
        trace=orjson.dumps(_trace_json(result.trace)),
        names=orjson.dumps(_names(result.state)) if wants_names else b"",
    )


def result_of(reply: RunReply, plan: Plan) -> Result:
    """Return the result that a message stands for."""
    return Result(
        reply.execution_id,
        reply.status,
        loaded(reply.output),
        _load_failure(reply.failure),
        _load_failure(reply.passed_over),
        _load_trace(orjson.loads(reply.trace)),
        _state(plan, reply),
    )


def _failure(failure: Failure | None) -> bytes:
    return b"" if failure is None else orjson.dumps(failure_json(failure))


def _load_failure(data: bytes) -> Failure | None:
    return load_failure(orjson.loads(data)) if data else None


def _names(state: Execution) -> JsonObject:
    names = {} if state.root is None else state.root.names
    return {name: value for name, value in names.items() if name not in _KEPT_BACK}


def _state(plan: Plan, reply: RunReply) -> Execution:
    """Return a state of which the steps' values are known, and nothing else."""
    started = ExecutionStarted(reply.execution_id, plan.content_hash, None, {}, 0, 0, None)
    state = Execution(plan, started, Ambient(), 0)
    if reply.names:
        names: dict[str, Any] = orjson.loads(reply.names)
        state.root = Frame(plan.scope, None, "", "", names, [], 0, is_open=False)
    return state


def _trace_json(trace: Trace) -> list[Any]:
    steps = [_step_json(one) for one in trace.steps.values()]
    return [trace.started_s, trace.ended_s, trace.forgotten_count, steps]


def _step_json(step: StepTrace) -> list[Any]:
    attempts = [
        [begin_s, end_s, None if failure is None else failure_json(failure)]
        for begin_s, end_s, failure in step.attempts
    ]
    failure = None if step.failure is None else failure_json(step.failure)
    notes = None if step.notes is None else [*step.notes.items()]
    times = [step.started_s, step.ended_s]
    return [step.step, step.status, *times, attempts, step.by_fallback, failure, notes]


def _load_trace(told: list[Any]) -> Trace:
    started_s, ended_s, forgotten_count, lines = told
    steps = {line[0]: _load_step(line) for line in lines}
    return Trace(started_s, ended_s, steps, forgotten_count)


def _load_step(line: list[Any]) -> StepTrace:
    step, status, started_s, ended_s, attempts, by_fallback, failure, notes = line
    return StepTrace(
        step,
        status,
        started_s,
        ended_s,
        [(begin_s, end_s, _loaded_failure(why)) for begin_s, end_s, why in attempts],
        by_fallback,
        _loaded_failure(failure),
        None if notes is None else dict(notes),
    )


def _loaded_failure(told: JsonValue) -> Failure | None:
    return load_failure(told) if isinstance(told, dict) else None

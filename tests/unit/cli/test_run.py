"""`plait run`, inside: what it makes, it closes."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Literal

import orjson
import pytest

from plait.assembly import compose
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured
from plait.cli.durable import Bench
from plait.cli.outcome import Manner, output_text, tell_error
from plait.cli.run import execute
from plait.compile import compile_text
from plait.document import Step
from plait.document.step import Parts
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.ports.calls import Call, CallReply, Done
from plait.ports.connector import Connector

TEXT = b"name: n\nsteps: [{id: a, type: ask}]"


class AskStep(Step):
    """Ask something."""

    machine: ClassVar[str] = "call"
    type: Literal["ask"]

    def parts(self, raw: JsonObject) -> Parts:
        """Nothing to render."""
        del raw
        return Parts()


class Asked:
    """Calls that answer at once, or never."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.started = asyncio.Event()
        self.is_cancelled = False
        self.is_closed = False

    def start(self, call: Call, done: Done) -> Asked:
        self.started.set()
        if self.answers:
            done(CallReply(call.attempt, {}))
        return self

    def cancel(self) -> None:
        self.is_cancelled = True

    async def close(self) -> None:
        self.is_closed = True


def run(calls: Asked) -> Any:
    available = [Connector(1, AskStep, lambda _: calls)]
    plan = compile_text(TEXT, name="n.yaml", catalog=compose.catalog(available)).plan
    return execute(Bench(Configured(Settings(), {}), available), plan, None)


async def test_calls_are_closed_when_the_execution_has_ended() -> None:
    calls = Asked(answers=True)
    result = await run(calls)
    assert (result.status, result.output) == ("completed", {"a": 1})
    assert calls.is_closed


async def test_calls_are_cancelled_and_closed_when_the_execution_is_given_up() -> None:
    calls = Asked(answers=False)
    task = asyncio.create_task(run(calls))
    await calls.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls.is_cancelled
    assert calls.is_closed


def nested(levels: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("is_pretty", [True, False])
def test_an_output_nested_too_deep_is_a_failure_with_a_code(is_pretty: bool) -> None:
    assert isinstance(output_text(nested(200), is_pretty=is_pretty), str)
    failure = output_text(nested(300), is_pretty=is_pretty)
    assert isinstance(failure, Failure)
    assert failure.code == "reply.not_json"
    assert "nested too deep" in failure.message


@pytest.mark.parametrize("as_json", [True, False])
def test_details_nested_too_deep_are_cut_and_the_error_is_told(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    failure = Failure("a.b", "m", {"x": nested(300)})
    tell_error(failure, Manner(quiet=False, as_json=as_json))
    error = orjson.loads(capsys.readouterr().err)["error"]
    assert (error["code"], "…" in str(error["details"]["x"])) == ("a.b", True)

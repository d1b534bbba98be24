"""The contract of plait.ports.calls.Calls, as tests that every implementation runs.

    class TestHttpCalls(CallsSuite):
        @pytest.fixture(params=[None, uvloop.new_event_loop])
        def loop_factory(self, request): return request.param

        def stage(self): return http_stage()

Also here: `call_to` and `outcome_of`, for any test that makes calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

import pytest

from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.ports.calls import Call, CallReply, Calls, Outcome

LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]

_TIMEOUT_MS = 10_000
_SHORT_MS = 50


def call_to(request: dict[str, Any], **changes: Any) -> Call:
    """Return a call with `request`, the rest as in most tests.

    >>> call_to({"url": "http://h"}, attempt=2).attempt
    2
    """
    facts: dict[str, Any] = {
        "kind": "http",
        "request": request,
        "host_is_literal": True,
        "timeout_ms": _TIMEOUT_MS,
        "idempotency_key": None,
        "headers_wanted": (),
        "execution_id": "execution-1",
        "step": "step",
        "attempt": 1,
    }
    return Call(**{**facts, **changes})


async def outcome_of(calls: Calls, call: Call) -> Outcome:
    """Make `call` and return its outcome."""
    heard: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    calls.start(call, heard.set_result)
    return await heard


class Stage(Protocol):
    """An implementation on its stage: the calls, and the other side under control."""

    @property
    def calls(self) -> Calls:
        """What is under test."""
        ...

    def answered(self, value: JsonValue) -> Call:
        """Return a call that will be answered with `value`."""
        ...

    def refused(self) -> Call:
        """Return a call that the other side will answer with an error."""
        ...

    def unanswered(self, *, timeout_ms: int) -> Call:
        """Return a call that the other side will take and never answer."""
        ...

    async def until_taken(self, count: int) -> None:
        """Return when the other side has taken `count` unanswered calls."""
        ...

    async def until_free(self) -> None:
        """Return when no connection or slot is held for an unanswered call any more."""
        ...


class CallsSuite:
    """Subclass it, and say what the stage is."""

    def stage(self) -> AbstractAsyncContextManager[Stage]:
        """Return a fresh stage, which closes its calls at the end."""
        raise NotImplementedError

    @pytest.fixture
    def loop_factory(self) -> LoopFactory | None:
        """Which event loop to run on; None for asyncio's."""
        return None

    @pytest.fixture
    def play(
        self, loop_factory: LoopFactory | None
    ) -> Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], None]:
        """Return what runs one scene."""

        async def with_stage(scene: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
            async with self.stage() as stage:
                await scene(stage)

        def run(scene: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(with_stage(scene))

        return run

    def test_an_answer_reaches_done_once(self, play: Any) -> None:
        async def scene(stage: Stage) -> None:
            heard: list[Outcome] = []
            stage.calls.start(stage.answered({"n": 1}), heard.append)
            await outcome_of(stage.calls, stage.answered(None))
            await outcome_of(stage.calls, stage.answered(None))
            assert [reply_of(outcome).response for outcome in heard] == [{"n": 1}]

        play(scene)

    def test_an_error_reaches_done_as_a_failure_with_a_stable_code(self, play: Any) -> None:
        async def scene(stage: Stage) -> None:
            failure = failure_of(await outcome_of(stage.calls, stage.refused()))
            assert failure.code.startswith("connector.")
            assert failure.message

        play(scene)

    def test_each_of_many_calls_hears_its_own_answer(self, play: Any) -> None:
        async def scene(stage: Stage) -> None:
            calls = [stage.answered({"n": n}) for n in range(200)]
            outcomes = await asyncio.gather(*(outcome_of(stage.calls, c) for c in calls))
            numbers = [reply_of(outcome).response for outcome in outcomes]
            assert numbers == [{"n": n} for n in range(200)]

        play(scene)

    def test_a_call_without_an_answer_times_out_and_frees_what_it_held(
        self, play: Any
    ) -> None:
        async def scene(stage: Stage) -> None:
            call = stage.unanswered(timeout_ms=_SHORT_MS)
            began_s = asyncio.get_running_loop().time()
            failure = failure_of(await outcome_of(stage.calls, call))
            waited_s = asyncio.get_running_loop().time() - began_s
            assert (failure.code, failure.classes) == ("connector.timeout", ("timeout",))
            # Clocks tick in milliseconds: the loop's may lag by one.
            assert waited_s * 1000 >= _SHORT_MS - 2
            await stage.until_free()

        play(scene)

    def test_a_cancelled_call_is_never_heard_of_and_frees_what_it_held(
        self, play: Any
    ) -> None:
        async def scene(stage: Stage) -> None:
            heard: list[Outcome] = []
            call = stage.unanswered(timeout_ms=_SHORT_MS)
            handle = stage.calls.start(call, heard.append)
            await stage.until_taken(1)
            handle.cancel()
            await stage.until_free()
            # Its deadline would be over when this one is.
            await outcome_of(stage.calls, stage.unanswered(timeout_ms=2 * _SHORT_MS))
            assert heard == []

        play(scene)

    def test_a_call_cancelled_at_once_is_never_heard_of(self, play: Any) -> None:
        async def scene(stage: Stage) -> None:
            heard: list[Outcome] = []
            stage.calls.start(stage.answered(None), heard.append).cancel()
            for _ in range(3):
                await outcome_of(stage.calls, stage.answered(None))
            assert heard == []

        play(scene)

    def test_cancelling_twice_or_after_the_end_does_nothing(self, play: Any) -> None:
        async def scene(stage: Stage) -> None:
            heard: list[Outcome] = []
            handle = stage.calls.start(stage.answered(None), heard.append)
            await outcome_of(stage.calls, stage.answered(None))
            while not heard:
                await outcome_of(stage.calls, stage.answered(None))
            handle.cancel()
            handle.cancel()
            assert len(heard) == 1

        play(scene)

    @pytest.mark.parametrize("request_", [{}, {"what": 1}, {"url": 7}, {"url": ""}, None])
    def test_nonsense_is_a_failure_and_not_an_exception(
        self, play: Any, request_: Any
    ) -> None:
        async def scene(stage: Stage) -> None:
            failure = failure_of(await outcome_of(stage.calls, call_to(request_)))
            assert not failure.sent

        play(scene)

    def test_done_may_start_the_next_call(self, play: Any) -> None:
        async def scene(stage: Stage) -> None:
            heard: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

            def first_done(outcome: Outcome) -> None:
                assert reply_of(outcome).response == 1
                stage.calls.start(stage.answered(2), heard.set_result)

            stage.calls.start(stage.answered(1), first_done)
            assert reply_of(await heard).response == 2

        play(scene)

    def test_close_silences_what_is_under_way_and_refuses_what_comes(
        self, play: Any
    ) -> None:
        async def scene(stage: Stage) -> None:
            heard: list[Outcome] = []
            stage.calls.start(stage.unanswered(timeout_ms=_TIMEOUT_MS), heard.append)
            await stage.until_taken(1)
            await stage.calls.close()
            await stage.until_free()
            assert heard == []
            late = failure_of(await outcome_of(stage.calls, stage.answered(None)))
            assert not late.sent

        play(scene)


def reply_of(outcome: Outcome) -> CallReply:
    """Return `outcome`, which is a reply; fail the test when it is not."""
    assert isinstance(outcome, CallReply), outcome
    return outcome


def failure_of(outcome: Outcome) -> Failure:
    """Return `outcome`, which is a failure; fail the test when it is not."""
    assert isinstance(outcome, Failure), outcome
    return outcome

"""The express driver, on a real event loop, against calls that the tests answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from plait.drivers.inline import InlineDriver, NeedsDurable, Result, Start
from plait.kernel import Kernel, Limits
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.ports.calls import Call, CallHandle, CallReply, Done, Outcome
from tests.simulation.asking import ask, give, plan_with

START = Start("e1", {"n": 1})
BUSY = Failure("connector.http.503", "busy", advice=Advice.RETRY)


def answered(response: Any) -> CallReply:
    return CallReply(response, {"note": None})


@pytest.mark.parametrize("effect", ["read", "keyed", "unsafe"])
async def test_a_call_says_what_its_repetition_would_do(effect: str) -> None:
    calls = Calls(lambda _: answered(1))
    plan = plan_with(ask("a", effect=effect))
    await InlineDriver(calls).run(Kernel(plan), START)
    assert [handle.call.effect for handle in calls.handles] == [effect]


class Handle:
    """One call that somebody answers, or that is cancelled."""

    def __init__(self, call: Call, done: Done) -> None:
        self.call = call
        self.done = done
        self.is_cancelled = False

    def cancel(self) -> None:
        """Note it."""
        self.is_cancelled = True


class Calls:
    """Calls that wait until the test answers them.

    Args:
        at_once: Answers given before `start` returns; None leaves the call open.
    """

    def __init__(self, at_once: Callable[[Call], Outcome | None] | None = None) -> None:
        self.handles: list[Handle] = []
        self._at_once = at_once
        self._changed = asyncio.Event()

    def start(self, call: Call, done: Done) -> CallHandle:
        """Keep the call, or answer it at once."""
        handle = Handle(call, done)
        self.handles.append(handle)
        self._changed.set()
        outcome = self._at_once(call) if self._at_once is not None else None
        if outcome is not None:
            done(outcome)
        return handle

    async def close(self) -> None:
        """Nothing to close."""

    async def made(self, count: int) -> list[Handle]:
        """Wait until `count` calls have been made, and return them."""
        while len(self.handles) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.handles

    @property
    def steps(self) -> list[str]:
        return [handle.call.step for handle in self.handles]


def running(
    calls: Calls, *steps: Any, start: Start = START, **document: Any
) -> asyncio.Task[Result]:
    kernel = Kernel(plan_with(*steps, **document))
    return asyncio.ensure_future(InlineDriver(calls).run(kernel, start))


async def test_an_execution_completes_with_its_output() -> None:
    calls = Calls()
    task = running(calls, ask("a", "${input.n}"), give("b", "${a.response}"))
    (handle,) = await calls.made(1)
    assert handle.call.request["arg"] == 1
    handle.done(answered(5))
    result = await task
    assert (result.status, result.output, result.failure) == (
        "completed",
        {"a": 5, "b": 5},
        None,
    )
    assert result.execution_id == "e1"


async def test_calls_that_are_answered_within_start_need_no_turn_of_the_loop() -> None:
    calls = Calls(lambda call: answered(call.step))
    steps = [ask("s0"), *(ask(f"s{n}", f"${{s{n - 1}.response}}") for n in range(1, 500))]
    result = await running(calls, *steps, output="${s499.response}")
    assert result.output == "s499"
    assert len(calls.handles) == 500


async def test_an_outcome_heard_while_another_is_decided_waits_its_turn() -> None:
    first: list[Handle] = []

    def at_once(call: Call) -> Outcome | None:
        if call.step == "b":
            first[0].done(answered("a"))
            return answered("b")
        return None

    calls = Calls(at_once)
    first_ready = running(calls, ask("a"), ask("x"), ask("b", "${x.response}"))
    handles = await calls.made(2)
    first.append(handles[0])
    handles[1].done(answered("x"))
    result = await first_ready
    assert result.output == {"a": "a", "x": "x", "b": "b"}


async def test_a_call_is_still_cancelled_when_another_was_heard_while_it_started() -> None:
    first: list[Handle] = []

    def at_once(call: Call) -> Outcome | None:
        if call.step == "open":
            first[0].done(answered("a"))
        return None

    calls = Calls(at_once)
    task = running(calls, ask("a"), ask("x"), ask("open", "${x.response}"))
    handles = await calls.made(2)
    first.append(handles[0])
    handles[1].done(answered("x"))
    await calls.made(3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls.handles[2].is_cancelled


async def test_giving_up_the_await_cancels_every_call_and_timer() -> None:
    calls = Calls()
    wait = {"id": "w", "type": "wait", "for": "1h"}
    task = running(calls, ask("a"), ask("b"), wait, timeout="2h")
    await calls.made(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [handle.is_cancelled for handle in calls.handles] == [True, True]
    assert open_timers() == 0


def open_timers() -> int:
    """Return how many timers of ours the loop still has to serve."""
    scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return sum("start_timer" in repr(one) and not one.cancelled() for one in scheduled)


async def test_an_outcome_after_giving_up_is_ignored() -> None:
    calls = Calls()
    task = running(calls, ask("a"), ask("b", "${a.response}"))
    (handle,) = await calls.made(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    handle.done(answered(1))
    assert calls.steps == ["a"]


async def test_the_losers_of_a_race_are_cancelled() -> None:
    branches = {name: {"steps": [ask("x")]} for name in ("l", "r")}
    calls = Calls()
    task = running(
        calls, {"id": "p", "type": "parallel", "join": "any", "branches": branches}
    )
    left, right = await calls.made(2)
    right.done(answered(2))
    assert (await task).output == {"p": {"r": {"x": 2}}}
    assert (left.is_cancelled, right.is_cancelled) == (True, False)


async def test_an_answered_call_is_never_cancelled() -> None:
    calls = Calls(lambda _: answered(1))
    await running(calls, ask("a"), ask("b", "${a.response}"))
    assert not any(handle.is_cancelled for handle in calls.handles)


async def test_a_failure_is_a_result_and_cancels_the_rest() -> None:
    calls = Calls()
    task = running(calls, ask("a"), ask("b"))
    handle, other = await calls.made(2)
    handle.done(BUSY)
    result = await task
    assert (result.status, result.output) == ("failed", None)
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("connector.http.503", "a")
    assert other.is_cancelled


async def test_a_retry_waits_on_the_loop_and_calls_again() -> None:
    calls = Calls(lambda call: BUSY if call.attempt < 3 else answered(1))
    retry = {"max_attempts": 3, "delay": "3ms"}
    started_s = asyncio.get_running_loop().time()
    result = await running(calls, ask("a", retry=retry))
    assert result.output == {"a": 1}
    # Moments are whole milliseconds, so each wait may be one of them shorter.
    assert asyncio.get_running_loop().time() - started_s >= 0.004


async def test_a_timer_never_fires_before_its_moment_by_the_events() -> None:
    result = await running(Calls(), {"id": "w", "type": "wait", "for": "5ms"})
    assert result.state.now_ms >= result.state.started.at_ms + 5


async def test_the_workflows_limit_ends_a_call_that_hangs() -> None:
    calls = Calls()
    result = await running(calls, ask("a"), timeout="5ms")
    assert result.failure is not None
    assert result.failure.code == "execution.timeout"
    assert calls.handles[0].is_cancelled
    assert open_timers() == 0


async def test_a_step_that_was_continued_makes_the_result_degraded() -> None:
    result = await running(Calls(lambda _: BUSY), ask("a", on_error="continue"))
    assert (result.status, result.is_degraded) == ("completed", True)


class Unfit(Exception):
    """What a broken Calls raises."""


def unfit_at(step: str) -> Callable[[Call], Outcome | None]:
    def at_once(call: Call) -> Outcome | None:
        if call.step == step:
            raise Unfit
        return None

    return at_once


async def test_a_calls_that_raises_in_the_first_turn_surfaces_and_frees_the_others() -> (
    None
):
    calls = Calls(unfit_at("b"))
    with pytest.raises(Unfit):
        await running(calls, ask("a"), ask("b"))
    assert calls.handles[0].is_cancelled


async def test_a_calls_that_raises_later_surfaces_and_frees_the_others() -> None:
    calls = Calls(unfit_at("c"))
    task = running(calls, ask("a"), ask("b"), ask("c", "${a.response}"))
    handles = await calls.made(2)
    handles[0].done(answered(1))
    with pytest.raises(Unfit):
        await task
    assert handles[1].is_cancelled


async def test_a_secret_that_the_other_side_repeats_is_masked() -> None:
    calls = Calls(lambda call: answered(call.request["arg"]))
    plan = plan_with(ask("a", ["${secrets.y}"]), output="${a.response}")
    driver = InlineDriver(calls, secrets={"y": "s3cr3t"})
    result = await driver.run(Kernel(plan), START)
    assert result.output == ["***"]


async def test_env_secrets_trigger_and_trace_headers_reach_the_workflow() -> None:
    calls = Calls()
    kernel = Kernel(plan_with(ask("a", ["${env.x}", "${secrets.y}", "${trigger}"])))
    driver = InlineDriver(calls, env={"x": 1}, secrets={"y": "2"})
    start = Start("e", None, trigger="t", trace=(("traceparent", "00"),))
    task = asyncio.ensure_future(driver.run(kernel, start))
    (handle,) = await calls.made(1)
    handle.done(answered(1))
    await task
    assert handle.call.request["arg"] == [1, "2", "t"]
    assert handle.call.trace == (("traceparent", "00"),)


async def test_one_driver_runs_many_executions_at_once() -> None:
    calls = Calls()
    kernel = Kernel(plan_with(ask("a", "${input}")))
    driver = InlineDriver(calls)
    tasks = [asyncio.ensure_future(driver.run(kernel, Start(str(n), n))) for n in range(20)]
    for handle in reversed(await calls.made(20)):
        handle.done(answered(handle.call.request["arg"]))
    results = await asyncio.gather(*tasks)
    assert [result.output for result in results] == [{"a": n} for n in range(20)]


async def test_a_workflow_that_waits_for_somebody_outside_is_refused_before_any_call() -> (
    None
):
    calls = Calls()
    waiting = {"id": "w", "type": "wait", "event": {"name": "paid"}}
    group = {"id": "g", "type": "sequence", "steps": [ask("x", fallback=waiting)]}
    with pytest.raises(NeedsDurable, match="run it durably"):
        await InlineDriver(calls).run(Kernel(plan_with(ask("a"), group)), START)
    assert calls.handles == []


async def test_no_history_is_kept_and_so_a_long_loop_makes_none_too_long() -> None:
    calls = Calls(lambda _: answered(1))
    step = {"id": "f", "type": "foreach", "items": "${input}", "steps": [ask("x")]}
    plan = plan_with(step, output="${f.response.success_count}")
    kernel = Kernel(plan, limits=Limits(events_max=1_200))
    result = await InlineDriver(calls).run(kernel, Start("e1", list(range(1_000))))
    assert (result.status, result.output) == ("completed", 1_000)

"""The circuit breaker beside its model, in a crowd, and with wrong arguments."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from plait.resilience import (
    BreakerRegistry,
    BreakerSettings,
    BreakerSnapshot,
    BreakerState,
    BreakerStateChanged,
    BulkheadFull,
    CircuitBreaker,
    CircuitOpen,
    TimedOut,
)
from tests.unit.resilience.breaker_model import BreakerMachine, Rig
from tests.unit.resilience.clocks import HandClock


class LocalRig:
    """A breaker of this process."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        self.acquire = breaker.try_acquire
        self.succeed = breaker.succeeded
        self.fail = breaker.failed
        self.abandon = breaker.abandoned

    def by_hand(self, verb: str) -> None:
        getattr(self.breaker, verb)()

    def snapshot(self) -> BreakerSnapshot:
        return self.breaker.snapshot()


class LocalMachine(BreakerMachine):
    def rig_of(self, settings: BreakerSettings, clock: HandClock) -> Rig:
        return LocalRig(CircuitBreaker(settings, clock=clock))


@pytest.mark.parametrize("examples", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_a_breaker_does_what_the_model_does(examples: int) -> None:
    settings = hypothesis_settings(max_examples=examples, stateful_step_count=40)
    run_state_machine_as_test(LocalMachine, settings=settings)


class Refused(Exception):
    """An answer with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def fail(error: BaseException | None = None) -> None:
    await asyncio.sleep(0)
    raise error or ConnectionError("down")


async def succeed() -> str:
    await asyncio.sleep(0)
    return "done"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def opened(clock: HandClock, **settings: Any) -> CircuitBreaker:
    """Return a breaker that has just opened; it lets calls through after 30 s."""
    breaker = CircuitBreaker(BreakerSettings(failure_threshold=1, **settings), clock=clock)
    breaker.failed(breaker.acquire())
    assert breaker.snapshot().state is BreakerState.OPEN
    return breaker


async def test_an_open_circuit_calls_nothing_and_says_when_to_come_back(
    clock: HandClock,
) -> None:
    breaker = opened(clock)
    clock.advance(10)
    with pytest.raises(CircuitOpen, match="is open for another 20 s") as caught:
        await breaker.call(fail)
    assert caught.value.retry_after == 20
    assert breaker.snapshot().refused == 1


async def test_a_hundred_failures_at_the_same_time_are_a_hundred_failures(
    clock: HandClock,
) -> None:
    breaker = CircuitBreaker(BreakerSettings(failure_threshold=101), clock=clock)
    calls = [breaker.call(fail) for _ in range(100)]
    await asyncio.gather(*calls, return_exceptions=True)
    assert breaker.snapshot().consecutive_failures == 100
    assert breaker.snapshot().state is BreakerState.CLOSED
    with pytest.raises(ConnectionError):
        await breaker.call(fail)
    assert breaker.snapshot().state is BreakerState.OPEN


async def test_no_more_than_the_allowed_calls_run_while_half_open(
    clock: HandClock,
) -> None:
    breaker = opened(clock, max_half_open_calls=3, success_threshold=200)
    clock.advance(30)
    running = most = 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    async def ask() -> None:
        for _ in range(20):
            try:
                await breaker.call(work)
            except CircuitOpen:
                await asyncio.sleep(0)

    await asyncio.gather(*(ask() for _ in range(100)))
    assert most == 3
    assert breaker.snapshot().refused > 0


async def test_a_call_of_an_earlier_round_does_not_decide_this_one(
    clock: HandClock,
) -> None:
    breaker = opened(clock)
    clock.advance(30)
    first = breaker.acquire()
    breaker.failed(first)
    clock.advance(30)
    second = breaker.acquire()
    breaker.succeeded(first)
    assert breaker.snapshot().state is BreakerState.HALF_OPEN
    with pytest.raises(CircuitOpen, match="half-open"):
        breaker.acquire()
    breaker.succeeded(second)
    assert breaker.snapshot().state is BreakerState.CLOSED


def test_a_call_of_an_earlier_round_that_is_given_up_frees_no_place(
    clock: HandClock,
) -> None:
    breaker = opened(clock)
    clock.advance(30)
    first = breaker.acquire()
    breaker.open()
    breaker.close()
    breaker.failed(breaker.acquire())
    clock.advance(30)
    breaker.acquire()
    breaker.abandoned(first)
    assert breaker.snapshot().half_open_calls == 1
    assert breaker.try_acquire() == 0


async def test_a_cancelled_call_gives_its_permit_back_and_counts_as_nothing(
    clock: HandClock,
) -> None:
    breaker = opened(clock)
    clock.advance(30)
    task = asyncio.create_task(breaker.call(asyncio.Event().wait))
    await asyncio.sleep(0)
    assert breaker.snapshot().half_open_calls == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert breaker.snapshot().half_open_calls == 0
    assert await breaker.call(succeed) == "done"
    assert breaker.snapshot().state is BreakerState.CLOSED


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (ConnectionError(), True),
        (TimedOut("late"), True),
        (Refused(500), True),
        (Refused(429), True),
        (Refused(404), False),
        (BulkheadFull("full"), False),
        (asyncio.CancelledError(), False),
    ],
)
async def test_what_speaks_against_the_upstream_counts_and_nothing_else(
    clock: HandClock, error: BaseException, counts: bool
) -> None:
    breaker = CircuitBreaker(BreakerSettings(failure_threshold=1), clock=clock)
    with pytest.raises(type(error)):
        await breaker.call(fail, error)
    assert (breaker.snapshot().state is BreakerState.OPEN) is counts


async def test_an_error_that_is_no_failure_breaks_a_row_of_failures(
    clock: HandClock,
) -> None:
    settings = BreakerSettings(failure_threshold=2)
    breaker = CircuitBreaker(settings, failures=(ConnectionError, "5xx"), clock=clock)
    for error in (ConnectionError(), Refused(404), Refused(503), KeyError("id")):
        with pytest.raises(type(error)):
            await breaker.call(fail, error)
    assert breaker.snapshot().state is BreakerState.CLOSED


async def test_a_refusal_by_another_policy_leaves_a_row_of_failures_alone(
    clock: HandClock,
) -> None:
    breaker = CircuitBreaker(BreakerSettings(failure_threshold=2), clock=clock)
    for error in (ConnectionError(), BulkheadFull("full"), ConnectionError()):
        with pytest.raises(type(error)):
            await breaker.call(fail, error)
    assert breaker.snapshot().state is BreakerState.OPEN


async def test_slow_calls_open_the_circuit(clock: HandClock) -> None:
    settings = BreakerSettings(
        failure_threshold=None, slow_call_s=2, slow_rate=0.5, min_calls=4
    )
    breaker = CircuitBreaker(settings, clock=clock)

    async def take(seconds: float) -> None:
        clock.advance(seconds)

    for seconds in (0.1, 2.0, 0.1):
        await breaker.call(take, seconds)
    assert breaker.snapshot().state is BreakerState.CLOSED
    await breaker.call(take, 3.0)
    assert breaker.snapshot().state is BreakerState.OPEN
    assert breaker.snapshot().slow == 2


def test_a_slow_call_while_half_open_is_a_failure(clock: HandClock) -> None:
    breaker = opened(clock, slow_call_s=2, slow_rate=0.5)
    clock.advance(30)
    breaker.succeeded(breaker.acquire(), duration_s=2.5)
    assert breaker.snapshot().state is BreakerState.OPEN


async def test_each_change_of_state_is_told_with_its_reason(clock: HandClock) -> None:
    told: list[BreakerStateChanged] = []
    settings = BreakerSettings(failure_threshold=1)
    breaker = CircuitBreaker(settings, name="pay", on_event=told.append, clock=clock)
    with pytest.raises(ConnectionError):
        await breaker.call(fail)
    clock.advance(30)
    await breaker.call(succeed)
    breaker.open()
    breaker.reset()
    assert [(event.name, str(event.after), event.reason) for event in told] == [
        ("pay", "open", "failures"),
        ("pay", "half_open", "open_time_over"),
        ("pay", "closed", "probes_succeeded"),
        ("pay", "isolated", "by_hand"),
        ("pay", "closed", "by_hand"),
    ]


async def test_a_circuit_that_was_opened_by_hand_stays_open(clock: HandClock) -> None:
    breaker = CircuitBreaker(clock=clock)
    breaker.open()
    clock.advance(1e6)
    with pytest.raises(CircuitOpen, match="isolated") as caught:
        await breaker.call(succeed)
    assert caught.value.retry_after is None
    breaker.close()
    assert await breaker.call(succeed) == "done"


@pytest.mark.parametrize("waits", [False, True])
async def test_a_fallback_answers_what_is_refused(clock: HandClock, waits: bool) -> None:
    async def later(refusal: CircuitOpen) -> str:
        return f"cached {refusal.code}"

    def now(refusal: CircuitOpen) -> str:
        return f"cached {refusal.code}"

    breaker = CircuitBreaker(fallback=later if waits else now, clock=clock)
    breaker.open()
    assert await breaker.call(succeed) == "cached resilience.circuit_open"


async def test_a_breaker_is_a_decorator_and_a_scope(clock: HandClock) -> None:
    breaker = CircuitBreaker(BreakerSettings(failure_threshold=2), clock=clock)

    @breaker
    async def later() -> None:
        raise ConnectionError

    @breaker
    def now() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await later()
    with pytest.raises(ConnectionError):
        now()
    assert breaker.snapshot().state is BreakerState.OPEN
    breaker.close()
    for _ in range(2):
        with pytest.raises(ConnectionError):
            async with breaker:
                raise ConnectionError
    with pytest.raises(CircuitOpen):
        async with breaker:
            pass


async def test_scopes_of_many_tasks_do_not_mix_up_their_permits(clock: HandClock) -> None:
    breaker = CircuitBreaker(BreakerSettings(failure_threshold=1), clock=clock)
    gate = asyncio.Event()

    async def hold(open_meanwhile: bool) -> None:
        async with breaker:
            if open_meanwhile:
                breaker.open()
                breaker.close()
            await gate.wait()
            raise ConnectionError

    old = asyncio.create_task(hold(False))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(gate.set)
    with pytest.raises(ConnectionError):
        await hold(True)
    with pytest.raises(ConnectionError):
        await old
    assert breaker.snapshot().state is BreakerState.CLOSED


def test_a_plain_function_that_gives_a_coroutine_is_not_taken_for_a_success() -> None:
    breaker = CircuitBreaker()
    with pytest.raises(TypeError, match="await"):
        _ = breaker.call_sync(succeed)


def test_all_who_ask_a_registry_for_a_name_share_one_breaker(clock: HandClock) -> None:
    breakers = BreakerRegistry(BreakerSettings(failure_threshold=1), clock=clock)
    first = breakers.get("pay")
    first.failed(first.acquire())
    assert breakers.get("pay").snapshot().state is BreakerState.OPEN
    assert breakers.get("stock").snapshot().state is BreakerState.CLOSED
    assert [*breakers.snapshot()] == ["pay", "stock"]
    with pytest.raises(ValueError, match="settings of the breaker 'pay' differ"):
        breakers.get("pay", BreakerSettings(failure_threshold=2))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"failure_threshold": 0}, "failure_threshold is 0; give a whole number of at"),
        ({"failure_threshold": 2.5}, "failure_threshold is 2.5"),
        ({"failure_rate": 0}, "failure_rate is 0; give a share above 0"),
        ({"failure_rate": 1.5}, "failure_rate is 1.5"),
        ({"slow_rate": -1, "slow_call_s": 1}, "slow_rate is -1"),
        ({"slow_rate": 0.5}, "slow_rate is given without slow_call_s"),
        ({"slow_call_s": 0}, "slow_call_s is 0; give seconds, more than 0"),
        ({"window_calls": 0}, "window_calls is 0"),
        ({"window_s": -1}, "window_s is -1"),
        ({"min_calls": 0}, "min_calls is 0"),
        ({"failure_rate": 0.5, "window_calls": 5}, "min_calls is 10, more than window"),
        ({"success_threshold": 0}, "success_threshold is 0"),
        ({"open_s": 0}, "open_s is 0"),
        ({"open_s": float("nan")}, "open_s is nan"),
        ({"open_s": float("inf")}, "open_s is inf"),
        ({"max_half_open_calls": True}, "max_half_open_calls is True"),
        ({"half_open_s": -5}, "half_open_s is -5"),
        ({"failure_threshold": None}, "the breaker would never open"),
    ],
)
def test_a_setting_out_of_its_range_is_named(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        BreakerSettings(**wrong)


@pytest.mark.parametrize("failures", [(), asyncio.CancelledError, 99, "", None])
def test_words_that_name_no_errors_are_refused(failures: Any) -> None:
    with pytest.raises(ValueError, match="failures"):
        CircuitBreaker(failures=failures)

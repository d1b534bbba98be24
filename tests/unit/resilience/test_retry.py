"""Retry: which errors, how often, when, and what is told afterwards."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.resilience import Attempt, CircuitOpen, RetryBudget, RetryPolicy, retry
from plait.testing.virtual_time import run_virtually
from tests.unit.resilience.clocks import HandClock, LoopClock


class Refused(Exception):
    """An answer with a status and, maybe, a time to come back."""

    def __init__(self, status: int, after: float | None = None) -> None:
        super().__init__(status)
        self.status_code = status
        self.retry_after = after


class Service:
    """Fails with `errors`, one after the other, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def ask(self, answer: str = "done") -> str:
        await asyncio.sleep(0)
        return self.ask_now(answer)

    def ask_now(self, answer: str = "done") -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return answer


def policy_of(clock: HandClock, **arguments: Any) -> RetryPolicy:
    return RetryPolicy(clock=clock, sleep_sync=clock.sleep_sync, **arguments)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.mark.parametrize(
    ("settings", "waits"),
    [
        ({"delay_s": 1}, [1, 1, 1, 1]),
        ({"delay_s": 1, "backoff": "linear"}, [1, 2, 3, 4]),
        ({"delay_s": 1, "backoff": "exponential"}, [1, 2, 4, 8]),
        ({"delay_s": 1, "backoff": "exponential", "factor": 3}, [1, 3, 9, 27]),
        ({"delay_s": 1, "backoff": "exponential", "max_delay_s": 3}, [1, 2, 3, 3]),
        ({"delay_s": 1, "backoff": "random", "max_delay_s": 5}, [2, 2, 2, 2]),
        ({"delay_s": 4, "jitter": 0.5}, [3, 3, 3, 3]),
        ({"delay_s": 0}, [0, 0, 0, 0]),
    ],
)
@pytest.mark.parametrize("waiting", [True, False])
async def test_waits_grow_as_the_back_off_says(
    clock: HandClock, settings: dict[str, Any], waits: list[float], waiting: bool
) -> None:
    service = Service(*(ConnectionError() for _ in waits))
    policy = policy_of(clock, max_attempts=5, draw=lambda: 0.25, **settings)
    if waiting:
        assert await policy.call(service.ask, answer="here") == "here"
    else:
        assert policy.call_sync(service.ask_now, answer="here") == "here"
    assert clock.slept_s == waits
    assert service.calls == 5


@given(
    backoff=st.sampled_from(["fixed", "linear", "exponential", "random"]),
    delay_s=st.floats(0, 100),
    factor=st.floats(1, 1e300),
    max_delay_s=st.floats(0, 100),
    jitter=st.floats(0, 1),
    attempt=st.integers(1, 10_000),
    asked_s=st.none() | st.floats(0, 1e9),
)
def test_no_wait_is_longer_than_the_ceiling(
    backoff: Any,
    delay_s: float,
    factor: float,
    max_delay_s: float,
    jitter: float,
    attempt: int,
    asked_s: float | None,
) -> None:
    policy = RetryPolicy(
        backoff=backoff,
        delay_s=min(delay_s, max_delay_s) if backoff == "random" else delay_s,
        factor=factor,
        max_delay_s=max_delay_s,
        jitter=jitter,
    )
    waited_s = policy.delay_after_s(attempt, asked_s)
    assert min(asked_s or 0, max_delay_s) <= waited_s <= max_delay_s


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (Refused(503), True),
        (Refused(429), True),
        (CircuitOpen("open"), True),
        (Refused(500), True),
        (Refused(404), False),
        (KeyError("id"), False),
    ],
)
async def test_what_may_pass_is_retried_unless_the_policy_says_otherwise(
    clock: HandClock, error: Exception, again: bool
) -> None:
    service = Service(error)
    if again:
        assert await policy_of(clock).call(service.ask) == "done"
    else:
        with pytest.raises(type(error)):
            await policy_of(clock).call(service.ask)
    assert service.calls == 1 + again


@pytest.mark.parametrize(
    ("words", "again"),
    [
        (Refused, True),
        (KeyError, False),
        (418, True),
        (419, False),
        ("4xx", True),
        ("5xx", False),
        ("tea.pot", True),
        ("tea.*", True),
        ("tea", False),
        ((KeyError, 503, "tea.pot"), True),
        (lambda error: error.status_code == 418, True),
        ((KeyError, lambda error: False), False),
    ],
)
async def test_words_name_classes_statuses_codes_and_conditions(
    clock: HandClock, words: Any, again: bool
) -> None:
    error = Refused(418)
    error.code = "tea.pot"  # type: ignore[attr-defined]
    service = Service(error)
    try:
        await policy_of(clock, on=words).call(service.ask)
    except Refused:
        assert not again
    assert service.calls == 1 + again


@pytest.mark.parametrize(
    ("word", "error", "again"),
    [
        ("timeout", TimeoutError(), True),
        ("timeout", ConnectionResetError(), False),
        ("connect", ConnectionResetError(), True),
        ("connect", TimeoutError(), False),
    ],
)
async def test_the_words_of_documents_mean_here_what_they_mean_there(
    clock: HandClock, word: str, error: Exception, again: bool
) -> None:
    service = Service(error)
    try:
        await policy_of(clock, on=word).call(service.ask)
    except type(error):
        assert not again
    assert service.calls == 1 + again


@pytest.mark.parametrize(
    ("asked", "waited"), [(7.0, 7.0), (0.01, 0.1), (90.0, 30.0), (None, 0.1)]
)
async def test_what_the_other_side_asks_for_is_waited_up_to_the_ceiling(
    clock: HandClock, asked: float | None, waited: float
) -> None:
    await policy_of(clock).call(Service(Refused(429, asked)).ask)
    assert clock.slept_s == [waited]


@pytest.mark.parametrize("header", ["5", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_retry_after_of_a_response_counts_in_seconds(
    clock: HandClock, header: str
) -> None:
    class Response:
        status_code = 503
        headers = {"retry-after": header}  # noqa: RUF012

    error = ConnectionError()
    error.response = Response()  # type: ignore[attr-defined]
    await policy_of(clock).call(Service(error).ask)
    assert clock.slept_s == [5.0 if header == "5" else 0.1]


async def test_the_last_error_tells_of_all_attempts(clock: HandClock) -> None:
    errors = [ConnectionError("one"), ConnectionError("two"), ConnectionError("three")]
    told: list[Attempt] = []
    policy = policy_of(clock, on_retry=told.append)
    with pytest.raises(ConnectionError, match="three") as caught:
        await policy.call(Service(*errors).ask)
    assert (policy.retries, policy.failures) == (2, 1)
    attempts = caught.value.attempts  # type: ignore[attr-defined]
    assert [one.error for one in attempts] == errors
    assert [(one.number, one.delay_s) for one in attempts] == [
        (1, 0.1),
        (2, 0.1),
        (3, None),
    ]
    assert told == list(attempts[:2])
    assert caught.value.__notes__ == [
        "attempt 1 failed after 0 s: ConnectionError: one; next after 0.1 s",
        "attempt 2 failed after 0 s: ConnectionError: two; next after 0.1 s",
        "attempt 3 failed after 0 s: ConnectionError: three",
    ]


@pytest.mark.parametrize("waiting", [True, False])
async def test_each_attempt_tells_how_long_it_took(clock: HandClock, waiting: bool) -> None:
    told: list[Attempt] = []
    policy = policy_of(clock, max_attempts=4, delay_s=9, on_retry=told.append)

    def ask_now() -> None:
        clock.advance(len(told) + 1)
        raise ConnectionError

    async def ask() -> None:
        ask_now()

    if waiting:
        with pytest.raises(ConnectionError):
            await policy.call(ask)
    else:
        with pytest.raises(ConnectionError):
            policy.call_sync(ask_now)
    assert [one.duration_s for one in told] == [1, 2, 3]


async def test_a_success_can_tell_of_the_attempts_before_it(clock: HandClock) -> None:
    retried = await policy_of(clock).call_with_history(Service(ConnectionError()).ask)
    assert retried.value == "done"
    assert [one.number for one in retried.attempts] == [1]


async def test_no_attempt_begins_after_the_deadline(clock: HandClock) -> None:
    service = Service(*(ConnectionError() for _ in range(9)))
    policy = policy_of(clock, max_attempts=9, delay_s=1, deadline_s=3)
    with pytest.raises(ConnectionError):
        await policy.call(service.ask)
    assert (service.calls, clock.slept_s) == (3, [1, 1])


def test_a_cancelled_wait_ends_at_once() -> None:
    service = Service(ConnectionError(), ConnectionError())

    async def main() -> float:
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        policy = RetryPolicy(delay_s=3600, max_delay_s=3600, clock=LoopClock())
        task = asyncio.create_task(policy.call(service.ask))
        loop.call_later(1, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        return loop.time() - begun_at

    assert run_virtually(main()) == pytest.approx(1)
    assert service.calls == 1


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt()])
def test_what_is_no_exception_is_never_retried(
    clock: HandClock, error: BaseException
) -> None:
    service = Service(error)
    with pytest.raises(type(error)):
        policy_of(clock, on=lambda error: True).call_sync(service.ask_now)
    assert service.calls == 1


async def test_retry_is_a_decorator_of_all_kinds_of_functions(clock: HandClock) -> None:
    service = Service(ConnectionError(), ConnectionError())

    class Client:
        @retry(clock=clock)
        async def ask(self) -> str:
            return await service.ask("waited for")

        @retry(sleep_sync=clock.sleep_sync)
        def ask_now(self) -> str:
            return service.ask_now("at once")

    assert inspect.iscoroutinefunction(Client.ask)
    assert await Client().ask() == "waited for"
    service.errors.append(ConnectionError())
    assert Client().ask_now() == "at once"
    assert Client.ask.__name__ == "ask"


def test_generators_cannot_be_retried() -> None:
    with pytest.raises(TypeError, match="cannot protect the generator"):

        @retry()
        def count() -> Any:
            yield 1


async def test_a_hook_that_raises_ends_the_call(clock: HandClock) -> None:
    def refuse(attempt: Attempt) -> None:
        raise LookupError("enough")

    service = Service(ConnectionError())
    with pytest.raises(LookupError, match="enough"):
        await policy_of(clock, on_retry=refuse).call(service.ask)
    assert service.calls == 1


async def test_retries_come_out_of_the_budget_of_all_policies(clock: HandClock) -> None:
    budget = RetryBudget(ratio=0.5, min_retries=0, clock=clock)
    policies = [policy_of(clock, budget=budget, max_attempts=9) for _ in range(2)]
    service = Service(*(ConnectionError() for _ in range(1_000)))
    for _ in range(20):
        for policy in policies:
            with pytest.raises(ConnectionError):
                await policy.call(service.ask)
    assert service.calls == 40 + 20
    service.errors.clear()
    assert await policies[0].call(service.ask) == "done"
    service.errors.append(ConnectionError())
    assert budget.snapshot().requests == 41
    with pytest.raises(ConnectionError):
        await policies[1].call(service.ask)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"max_attempts": 0}, "max_attempts is 0; give a whole number of at least 1"),
        ({"delay_s": -1}, "delay_s is -1; give seconds, 0 or more"),
        ({"backoff": "cubic"}, "backoff is 'cubic'; it can be fixed, linear, expon"),
        ({"factor": 0.5}, "factor is 0.5; give a number of at least 1"),
        ({"max_delay_s": -1}, "max_delay_s is -1"),
        (
            {"backoff": "random", "delay_s": 40},
            "max_delay_s is 30.0; give 40 or more: a random wait is drawn between the two",
        ),
        ({"jitter": 1.5}, "jitter is 1.5; give a share from 0 to 1"),
        ({"jitter": -0.1}, "jitter is -0.1"),
        ({"deadline_s": 0}, "deadline_s is 0"),
        ({"on": ()}, "on is empty"),
        ({"on": KeyboardInterrupt}, "on names KeyboardInterrupt; only subclasses"),
        ({"on": 42}, "on names 42; give exception classes"),
    ],
)
def test_an_argument_out_of_its_range_is_named(
    wrong: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        RetryPolicy(**wrong)

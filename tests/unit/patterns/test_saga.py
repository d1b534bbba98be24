"""Saga: forward, backward, and what is told of both."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from plait.patterns import (
    Context,
    PatternFailed,
    Retry,
    Saga,
    SagaStep,
    StepError,
    current_call,
)

NO_WAIT = Retry(max_attempts=2, delay_s=0)


@dataclass
class Order:
    sku: str
    count: int = 1


@dataclass
class Shop:
    """Remembers what it was asked to do."""

    log: list[Any] = field(default_factory=list)

    def does(self, word: str, returns: Any = None) -> Callable[..., Any]:
        def do(order: Order) -> Any:
            self.log.append((word, order.sku))
            return returns

        return do

    def fails(self, word: str, times: int = 1_000) -> Callable[..., Any]:
        left = iter(range(times))

        async def fail(order: Order) -> str:
            self.log.append((word, order.sku))
            if next(left, None) is not None:
                raise ConnectionError(f"{word} is down")
            return word

        return fail

    @property
    def words(self) -> list[str]:
        return [word for word, _ in self.log]


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def test_all_steps_go_forward_and_each_result_is_kept(shop: Shop) -> None:
    saga = Saga[Order](
        "order",
        [
            SagaStep("reserve", shop.does("reserve", {"place": 3}), shop.does("release")),
            SagaStep("charge", shop.does("charge", 9.5), shop.does("refund")),
        ],
    )
    outcome = await saga.run(Order("tea"))
    assert outcome.output == {"reserve": {"place": 3}, "charge": 9.5}
    assert outcome.status == "completed"
    assert outcome.completed_steps == ["reserve", "charge"]
    assert shop.log == [("reserve", "tea"), ("charge", "tea")]
    assert not outcome.compensations


async def test_a_failure_undoes_what_completed_the_last_first(shop: Shop) -> None:
    saga = Saga[Order](
        "order",
        [
            SagaStep("reserve", shop.does("reserve", 1), shop.does("release")),
            SagaStep("note", shop.does("note")),
            SagaStep("charge", shop.does("charge", 2), shop.does("refund")),
            SagaStep("ship", shop.fails("ship"), shop.does("recall")),
            SagaStep("tell", shop.does("tell")),
        ],
    )
    outcome = await saga.run(Order("tea"))
    assert outcome.status == "compensated"
    assert outcome.failure is not None
    assert outcome.failure.code == "python.ConnectionError"
    assert shop.words == ["reserve", "note", "charge", "ship", "refund", "release"]
    assert outcome.undone == ["charge", "reserve"]
    told = {path: (step.status, step.result) for path, step in outcome.steps.items()}
    assert told["reserve"] == ("completed", 1)
    assert told["ship"] == ("failed", None)
    assert told["tell"] == ("pending", None)
    with pytest.raises(PatternFailed, match=r"order: python\.ConnectionError: .*is down"):
        _ = outcome.output


async def test_what_cannot_be_undone_is_told_and_the_rest_is_undone(shop: Shop) -> None:
    saga = Saga[Order](
        "order",
        [
            SagaStep("reserve", shop.does("reserve"), shop.does("release")),
            SagaStep(
                "charge", shop.does("charge"), shop.fails("refund"), backward_retry=NO_WAIT
            ),
            SagaStep("ship", shop.fails("ship")),
        ],
    )
    outcome = await saga.run(Order("tea"))
    assert outcome.status == "failed"
    assert outcome.failure is not None
    assert outcome.failure.code == "saga.compensation_failed"
    assert (outcome.undone, outcome.not_undone) == (["reserve"], ["charge"])
    first = outcome.compensations[0]
    assert (first.step, first.is_undone) == ("charge", False)
    assert first.error["code"] == "python.ConnectionError"  # type: ignore[index,call-overload]
    assert first.report is not None
    assert first.report.attempts == 2
    assert shop.words.count("refund") == 2


async def test_a_step_is_tried_again_as_often_as_it_says(shop: Shop) -> None:
    step = SagaStep("ship", shop.fails("ship", times=2), retry=Retry(3, delay_s=0))
    outcome = await Saga[Order]("order", [step]).run(Order("tea"))
    assert outcome.output == {"ship": "ship"}
    assert outcome.steps["ship"].attempts == 3


async def test_only_errors_that_a_retry_names_are_tried_again(shop: Shop) -> None:
    named = Retry(3, delay_s=0, on=(LookupError,))
    step = SagaStep("ship", shop.fails("ship"), retry=named)
    await Saga[Order]("order", [step]).run(Order("tea"))
    assert shop.words == ["ship"]


async def test_a_step_that_takes_too_long_is_cut_off_and_the_rest_undone(
    shop: Shop,
) -> None:
    async def hang(order: Order) -> None:
        await asyncio.get_running_loop().create_future()

    saga = Saga[Order](
        "order",
        [
            SagaStep("reserve", shop.does("reserve"), shop.does("release")),
            SagaStep("ship", hang, timeout_s=0.02),
        ],
    )
    outcome = await saga.run(Order("tea"))
    assert outcome.failure is not None
    assert outcome.failure.code in ("connector.timeout", "step.timeout")
    assert outcome.undone == ["reserve"]


async def test_functions_see_what_came_before_and_what_they_undo() -> None:
    seen: list[Any] = []

    def reserve(order: Order) -> Order:
        return Order(order.sku, 7)

    def charge(context: Context[Order]) -> int:
        return context.result("reserve", Order).count

    def refund(context: Context[Order], amount: int) -> None:
        assert context.error is not None
        seen.append((context.input, context.results, context.error.code, amount))

    def release(order: Order, reserved: Order) -> None:
        seen.append((order, reserved))

    def ship() -> None:
        raise StepError("ship.closed", "no ship today", is_final=True)

    saga = Saga[Order](
        "order",
        [
            SagaStep("reserve", reserve, release),
            SagaStep("charge", charge, refund),
            SagaStep("ship", ship),
        ],
    )
    await saga.run(Order("tea"))
    reserved = {"sku": "tea", "count": 7}
    results = {"reserve": reserved, "charge": 7}
    assert seen == [
        (Order("tea"), results, "ship.closed", 7),
        (Order("tea"), Order("tea", 7)),
    ]


async def test_every_attempt_of_a_step_has_the_same_key() -> None:
    keys: list[str | None] = []

    def fail() -> None:
        keys.append(current_call().idempotency_key)
        raise ConnectionError

    step = SagaStep("pay", fail, retry=Retry(3, delay_s=0))
    await Saga[None]("order", [step]).run(None)
    assert len(keys) == 3
    assert keys[0] is not None
    assert len(set(keys)) == 1


def two_needed(order: Order, other: Order) -> None: ...


def nothing(order: Order) -> None: ...


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Saga("order", []), "saga 'order': it has no steps"),
        (lambda: Saga("or der", []), "'or der' cannot name a pattern"),
        (lambda: Saga("order", [SagaStep("", nothing)]), "it has no name; give it one"),
        (lambda: Saga("order", [SagaStep("a b", nothing)]), "'a b' cannot be its name"),
        (lambda: Saga("order", [SagaStep("input", nothing)]), "'input' cannot be its name"),
        (
            lambda: Saga("order", [SagaStep("a", nothing), SagaStep("a", nothing)]),
            "there are two of the name 'a'",
        ),
        (
            lambda: Saga("order", [SagaStep("a", 3)]),  # type: ignore[arg-type]
            "saga 'order': a: a function is needed, this is a int",
        ),
        (
            lambda: Saga("order", [SagaStep("a", two_needed)]),
            "nothing is there for its parameter 'other'",
        ),
        (
            lambda: Saga("order", [SagaStep("a", nothing, timeout_s=0)]),
            "saga 'order': a: timeout_s: seconds, 0.001 or more, are needed, not 0",
        ),
        (
            lambda: Saga("order", [SagaStep("a", nothing, retry=0)]),
            "a: retry: max_attempts: a whole number from 1",
        ),
        (lambda: Saga("order", [nothing]), "a list of SagaSteps is needed"),  # type: ignore[list-item]
        (lambda: Saga("order", SagaStep("a", nothing)), "a list of SagaSteps is needed"),  # type: ignore[arg-type]
        (
            lambda: Saga("order", [SagaStep("a", nothing, backward_timeout_s=-1)]),
            "a: backward: timeout_s: seconds",
        ),
        (
            lambda: Saga("order", [SagaStep("a", nothing, timeout_s=True)]),
            "a: timeout_s: seconds, 0.001 or more, are needed, not True",
        ),
        (
            lambda: Retry(backoff="random", delay_s=2, max_delay_s=1),
            "a random wait is drawn between delay_s and max_delay_s: 2 or more is needed",
        ),
        (lambda: Retry(jitter=2), "jitter: a number from 0 to 1 is needed, not 2"),
        (lambda: Retry(backoff="slow"), "backoff: 'slow' is none"),  # type: ignore[arg-type]
        (lambda: Saga("order", [SagaStep("a", nothing, effect="safe")]), "effect"),
    ],
)
def test_misuse_fails_when_the_saga_is_made(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


async def test_a_context_that_is_no_json_is_refused_before_anything_runs(
    shop: Shop,
) -> None:
    saga = Saga[Any]("order", [SagaStep("a", shop.does("a"))])
    with pytest.raises(ValueError, match="saga 'order' was given a set at tags, which"):
        await saga.run({"tags": {"x"}})
    assert shop.log == []


async def test_giving_up_a_run_cancels_what_is_under_way() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    run = asyncio.create_task(Saga[None]("order", [SagaStep("hang", hang)]).run(None))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await cancelled.wait()

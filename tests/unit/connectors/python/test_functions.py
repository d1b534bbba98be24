"""Registered functions: what may be registered, what they take and what they return."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from pydantic import BaseModel

from plait.connectors.egress import InvalidRequest
from plait.connectors.python import (
    FunctionCall,
    Functions,
    PythonCalls,
    StepError,
    current_call,
)
from plait.model.errors import Advice
from plait.testing.calls_suite import call_to, failure_of, outcome_of, reply_of

Calling = Callable[..., Any]


class Size(Enum):
    SMALL = "s"


@dataclass
class Line:
    sku: str
    count: int
    size: Size = Size.SMALL


class Order(BaseModel):
    id: str
    on: date
    lines: list[Line]


class StockError(LookupError):
    pass


class OutOfStock(StockError):
    pass


ORDER = {"id": "a", "on": "2026-01-02", "lines": [{"sku": "x", "count": 2}]}


@pytest.fixture
async def called() -> AsyncIterator[Calling]:
    """Call a function as a step does; return the outcome."""
    functions = Functions()
    calls = PythonCalls(functions)

    async def call(function: Callable[..., Any], arguments: Any = (), **more: Any) -> Any:
        name = f"f{len(list(functions))}"
        functions.add(name, function)
        given = list(arguments) if isinstance(arguments, tuple) else arguments
        request = {"function": name, "arguments": given}
        return await outcome_of(calls, call_to(request, **more))

    yield call
    await calls.close()


async def test_arguments_become_what_the_parameters_are_annotated_with(
    called: Calling,
) -> None:
    def order_kinds(order: Order, line: Line, *, at: datetime) -> list[str]:
        return [type(one).__name__ for one in (order.lines[0], order.on, line.size, at)]

    given = {"order": ORDER, "line": {"sku": "y", "count": 1}, "at": "2026-01-02T00:00:00Z"}
    assert reply_of(await called(order_kinds, given)).response == [
        "Line",
        "date",
        "Size",
        "datetime",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "missing a required argument: 'line'"),
        ({"line": {"sku": "x"}}, "argument 'line': count: Field required"),
        ({"line": {"sku": "x", "count": "two"}}, "argument 'line': count: "),
        ({"line": {}, "lines": []}, "unexpected keyword argument 'lines'"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_before_the_function_is_called(
    called: Calling, arguments: Any, said: str
) -> None:
    seen: list[Line] = []

    def take(line: Line) -> None:
        seen.append(line)

    failure = failure_of(await called(take, arguments))
    assert failure.code == "connector.invalid_request"
    assert said in failure.message
    assert not failure.sent
    assert seen == []


async def test_what_was_asked_for_is_not_repeated_in_the_refusal(called: Calling) -> None:
    def take(count: int) -> None: ...

    failure = failure_of(await called(take, {"count": "a secret"}))
    assert "a secret" not in failure.message


async def test_dataclasses_models_moments_and_decimals_are_encoded(called: Calling) -> None:
    def made() -> Any:
        order = Order.model_validate(ORDER)
        return {"order": order, "price": Decimal("1.10"), "file": Path("a/b"), "of": (1,)}

    line = {"sku": "x", "count": 2, "size": "s"}
    assert reply_of(await called(made)).response == {
        "order": {"id": "a", "on": "2026-01-02", "lines": [line]},
        "price": "1.10",
        "file": "a/b",
        "of": [1],
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"lines": [{"tags": {"a"}}]}, "a set at lines[0].tags, which JSON cannot hold"),
        ([float("nan")], "the number nan at [0]"),
        ({1: "a"}, "a mapping with a key that is no text but int"),
        (2**64, "an integer that does not fit 64 bits"),
        (["\ud800"], "half a surrogate pair at [0]"),
        (object(), "a object, which JSON cannot hold"),
    ],
)
async def test_what_json_cannot_hold_is_an_error_that_says_where_it_stands(
    called: Calling, value: Any, said: str
) -> None:
    failure = failure_of(await called(lambda: value))
    assert failure.code == "connector.decode"
    assert said in failure.message
    assert failure.advice is Advice.REPORT


async def test_a_value_that_holds_itself_is_refused(called: Calling) -> None:
    own: list[Any] = []
    own.append(own)
    failure = failure_of(await called(lambda: own))
    assert "nested deeper than" in failure.message


async def test_a_function_shares_neither_its_arguments_nor_its_result(
    called: Calling,
) -> None:
    given = {"order": {"lines": [1]}}
    kept: list[Any] = []

    async def spoil(order: dict[str, Any]) -> Any:
        kept.append(order)
        order["lines"].append(2)
        return order

    reply = reply_of(await called(spoil, given))
    kept[0]["lines"].append(3)
    assert given == {"order": {"lines": [1]}}
    assert reply.response == {"lines": [1, 2]}


async def test_an_exception_is_told_by_its_class_and_text_and_matches_its_bases(
    called: Calling,
) -> None:
    def fail() -> None:
        raise OutOfStock("none of x")

    failure = failure_of(await called(fail))
    assert (failure.code, failure.message) == ("python.OutOfStock", "OutOfStock: none of x")
    assert failure.details == {"exception": f"{__name__}.OutOfStock"}
    assert failure.classes[:3] == (
        "python.OutOfStock",
        "python.StockError",
        "python.LookupError",
    )
    assert failure.advice is Advice.RETRY


@pytest.mark.parametrize(
    ("error", "word"), [(TimeoutError(), "timeout"), (ConnectionResetError(), "connect")]
)
async def test_errors_of_the_network_have_the_words_of_the_language(
    called: Calling, error: Exception, word: str
) -> None:
    async def fail() -> None:
        raise error

    failure = failure_of(await called(fail))
    assert failure.code == f"python.{type(error).__name__}"
    assert word in failure.classes


async def test_a_step_error_has_its_own_code_details_and_advice(called: Calling) -> None:
    async def fail() -> None:
        raise StepError(
            "pay.declined", "no", details={"n": 1}, is_final=True, retry_after_s=1.5
        )

    failure = failure_of(await called(fail))
    assert (failure.code, failure.details) == ("pay.declined", {"n": 1})
    assert failure.advice is Advice.REPORT
    assert failure.retry_after_ms == 1500


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class UnspeakableStep(StepError):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (Unspeakable(), "python.Unspeakable", "Unspeakable"),
        (UnspeakableStep("stock.gone", "x"), "stock.gone", "stock.gone"),
        (GeneratorExit(), "python.GeneratorExit", "GeneratorExit"),
        (ValueError("caf\udce9.txt"), "python.ValueError", "ValueError: caf?.txt"),
        (StepError("stock.gone", "caf\udce9"), "stock.gone", "caf?"),
    ],
)
@pytest.mark.parametrize("is_async", [True, False])
async def test_an_exception_is_told_however_hard_it_is_to_tell(
    called: Calling, error: BaseException, code: str, message: str, is_async: bool
) -> None:
    async def soon() -> None:
        raise error

    def in_thread() -> None:
        raise error

    made = called(soon if is_async else in_thread)
    failure = failure_of(await asyncio.wait_for(made, 5))
    assert (failure.code, failure.message) == (code, message)


@pytest.mark.parametrize("kind", [StopIteration, SystemExit, asyncio.CancelledError])
async def test_what_no_future_can_hold_comes_out_of_a_thread(
    called: Calling, kind: type[BaseException]
) -> None:
    def end() -> None:
        raise kind("done")

    failure = failure_of(await asyncio.wait_for(called(end, timeout_ms=4_000), 5))
    assert failure.code == f"python.{kind.__name__}"
    assert failure.message == f"{kind.__name__}: done"


async def test_details_that_json_cannot_hold_are_told_as_text(called: Calling) -> None:
    def refuse() -> None:
        details: Any = {"tags": {1}, "order": Line("x", 2), "file": "caf\udce9"}
        raise StepError("stock.gone", "none left", details=details)

    failure = failure_of(await called(refuse))
    assert failure.details == {
        "tags": "{1}",
        "order": {"sku": "x", "count": 2, "size": "s"},
        "file": "'caf\\udce9'",
    }


async def test_a_cancellation_inside_the_function_is_its_failure(called: Calling) -> None:
    async def fail() -> None:
        raise asyncio.CancelledError

    assert failure_of(await called(fail)).code == "python.CancelledError"


async def test_a_coroutine_is_cancelled_when_its_time_is_over(called: Calling) -> None:
    ended: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    failure = failure_of(await called(hang, timeout_ms=10))
    assert (failure.code, failure.classes) == ("connector.timeout", ("timeout",))
    assert ended == ["cancelled"]


async def test_a_thread_holds_nobody_up_when_its_time_is_over(called: Calling) -> None:
    go_on = threading.Event()
    try:
        failure = failure_of(await called(go_on.wait, timeout_ms=10))
        assert failure.code == "connector.timeout"
        assert reply_of(await called(lambda: "others go on")).response == "others go on"
    finally:
        go_on.set()


async def test_what_a_function_asks_of_its_call_is_known_in_tasks_and_threads(
    called: Calling,
) -> None:
    async def key_in_a_task() -> FunctionCall:
        return current_call()

    async def ask(function: Callable[..., Any]) -> Any:
        facts = {"idempotency_key": "k", "attempt": 2, "step": "pay"}
        return reply_of(await called(function, **facts)).response

    expected = {
        "execution_id": "execution-1",
        "step": "pay",
        "attempt": 2,
        "idempotency_key": "k",
    }
    assert await ask(key_in_a_task) == expected
    assert await ask(lambda: current_call()) == expected
    with pytest.raises(LookupError):
        current_call()


async def test_coroutine_functions_are_known_through_partials_objects_and_lambdas(
    called: Calling,
) -> None:
    async def add(a: int, b: int) -> int:
        return a + b

    class Adder:
        async def __call__(self, a: int) -> int:
            return a + 1

    for function in (functools.partial(add, b=1), Adder(), lambda a: add(a, 1)):
        assert reply_of(await called(function, (2,))).response == 3


async def test_objects_that_have_a_func_are_called_as_what_they_are_themselves(
    called: Calling,
) -> None:
    async def fetch(a: int) -> int:
        return a

    class Waiting:
        """A wrapper that answers at once, around a function that does not."""

        def __init__(self) -> None:
            self.func = fetch

        def __call__(self, a: int) -> int:
            return a + 1

    # Of whatever a mock is asked it has one, and that has one, too.
    mocks = (Mock(return_value=3), AsyncMock(return_value=3))
    for function in (Waiting(), *mocks, functools.partial(Waiting())):
        assert reply_of(await called(function, (2,))).response == 3


def two(first: int, second: str = "s") -> str:
    return f"{first}{second}"


@functools.wraps(two)
def around(*values: Any) -> str:
    return two(*values)


@pytest.mark.parametrize("function", [two, around])
@pytest.mark.parametrize(
    ("arguments", "bound"),
    [
        ([1, "x"], (1, "x")),
        ({"second": "x", "first": 1}, (1, "x")),
        (["1", "x"], (1, "x")),
        ([1], (1,)),
        ({"first": 1}, (1,)),
    ],
)
def test_arguments_are_given_by_place_however_they_are_written(
    function: Callable[..., Any], arguments: Any, bound: tuple[Any, ...]
) -> None:
    functions = Functions({"two": function})
    assert functions.named("two").bound(arguments) == (bound, {})


@pytest.mark.parametrize("arguments", [[1, "x", 2], {"first": 1, "third": 2}, []])
def test_arguments_that_no_parameter_is_there_for_are_refused(arguments: Any) -> None:
    with pytest.raises(InvalidRequest, match="function 'two': "):
        Functions({"two": two}).named("two").bound(arguments)


async def test_an_unknown_function_is_refused_with_the_nearest_name() -> None:
    calls = PythonCalls(Functions({"shop.reserve": len}))
    failure = failure_of(await outcome_of(calls, call_to({"function": "shop.reserv"})))
    assert failure.message == (
        "no function 'shop.reserv' is registered (did you mean 'shop.reserve'?)"
    )
    await calls.close()


async def test_a_call_can_be_left_to_a_worker_that_has_the_function() -> None:
    calls, heard = PythonCalls(Functions({"here": len})), list[Any]()
    left = call_to({"function": "elsewhere", "wait_for_worker": True})
    known = call_to({"function": "here", "arguments": ["abc"], "wait_for_worker": True})
    own = call_to({"function": "elsewhere"})
    assert [calls.lacks(one) for one in (left, known, own)] == [True, False, False]
    assert reply_of(await outcome_of(calls, known)).response == 3
    # Whoever does not ask, as an express execution, would wait in vain.
    calls.start(left, heard.append)
    assert failure_of(heard[0]).code == "connector.invalid_request"
    await calls.close()


def test_what_cannot_be_called_is_refused_at_registration() -> None:
    functions = Functions({"f": len})
    with pytest.raises(ValueError, match=r"'n' cannot be called: it is a int"):
        functions.add("n", 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there is another function of the name 'f'"):
        functions.add("f", max)
    for name in ("", "1a", "a b", "a..b", "${x}"):
        with pytest.raises(ValueError, match="cannot name a function"):
            functions.add(name, len)


def test_annotations_of_no_use_are_refused_at_registration() -> None:
    def takes_thread(thread: threading.Thread) -> None: ...

    def gives_thread() -> threading.Thread:
        raise NotImplementedError

    with pytest.raises(ValueError, match=r"parameter 'thread' is annotated Thread, which"):
        Functions({"f": takes_thread})
    with pytest.raises(ValueError, match=r"its result is annotated Thread, which JSON"):
        Functions({"f": gives_thread})

    class Local(BaseModel):
        n: int

    def unknown(local: Local) -> None: ...

    with pytest.raises(ValueError, match=r"cannot be resolved .*Local.* top level"):
        Functions({"f": unknown})


def test_of_a_module_public_functions_are_registered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    text = "from os.path import join\ndef reserve(sku): ...\ndef _own(): ...\nN = 1\n"
    (tmp_path / "stock_of_test.py").write_text(text)
    (tmp_path / "chosen_of_test.py").write_text(f"__all__ = ['join']\n{text}")
    (tmp_path / "broken_of_test.py").write_text("1 / 0")
    functions = Functions()
    functions.add_module("stock_of_test")
    functions.add_module("chosen_of_test")
    assert list(functions) == ["stock_of_test.reserve", "chosen_of_test.join"]
    with pytest.raises(ValueError, match=r"'broken_of_test' cannot be imported: ZeroDiv"):
        functions.add_module("broken_of_test")


def test_a_code_of_ones_own_is_checked() -> None:
    with pytest.raises(ValueError, match="code: 'so sad' is none"):
        StepError("so sad", "…")

"""Fallbacks: who answers, for which errors, and in which order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.resilience import Fallback
from plait.resilience.fallback import FallbackUsed


async def fail(error: BaseException) -> str:
    await asyncio.sleep(0)
    raise error


def fail_now(error: BaseException) -> str:
    raise error


async def ask_mirror(error: Exception) -> str:
    await asyncio.sleep(0)
    return f"mirror, for {error}"


async def ask_dead_mirror(error: Exception) -> str:
    raise ConnectionError("mirror is down too")


async def test_a_value_a_function_or_a_coroutine_function_answers() -> None:
    down = ConnectionError("down")
    assert await Fallback("cached").call(fail, down) == "cached"
    assert await Fallback(lambda error: f"{error}!").call(fail, down) == "down!"
    assert await Fallback(ask_mirror).call(fail, down) == "mirror, for down"
    assert await Fallback(None).call(fail, down) is None
    assert Fallback("cached").call_sync(fail_now, down) == "cached"


async def test_what_does_not_fail_needs_no_answer() -> None:
    asked = Fallback(ask_dead_mirror)
    assert await asked.call(asyncio.sleep, 0, "here") == "here"
    assert asked.call_sync(str, 3) == "3"
    assert asked.used == 0


async def test_answers_are_asked_in_order_until_one_does_not_fail() -> None:
    told: list[FallbackUsed] = []
    chain = Fallback(ask_dead_mirror, ask_mirror, "never", name="m", on_event=told.append)
    assert await chain.call(fail, TimeoutError()) == "mirror, for mirror is down too"
    assert [(event.name, event.position) for event in told] == [("m", 1)]
    assert isinstance(told[0].error, ConnectionError)


async def test_when_no_answer_is_left_the_last_error_is_raised() -> None:
    with pytest.raises(ConnectionError, match="down too") as caught:
        await Fallback(ask_dead_mirror).call(fail, TimeoutError("first"))
    assert isinstance(caught.value.__context__, TimeoutError)


@pytest.mark.parametrize("error", [KeyError("id"), asyncio.CancelledError()])
async def test_only_what_is_named_is_answered_for(error: BaseException) -> None:
    asked = Fallback("cached", on=(ConnectionError, 503))
    with pytest.raises(type(error)) as caught:
        await asked.call(fail, error)
    assert caught.value is error
    with pytest.raises(type(error)):
        asked.call_sync(fail_now, error)


async def test_an_answer_that_fails_with_something_else_ends_the_chain() -> None:
    chain = Fallback(lambda error: error.args[0]["key"], "never", on=ConnectionError)
    with pytest.raises(KeyError):
        await chain.call(fail, ConnectionError({}))
    with pytest.raises(KeyError):
        chain.call_sync(fail_now, ConnectionError({}))


def test_a_coroutine_cannot_answer_who_does_not_wait() -> None:
    with pytest.raises(TypeError, match="await"):
        Fallback(ask_mirror, on=ConnectionError).call_sync(fail_now, ConnectionError())


async def test_a_fallback_is_a_decorator() -> None:
    @Fallback("cached")
    async def later() -> str:
        return await fail(ConnectionError())

    @Fallback("cached")
    def now() -> str:
        return fail_now(ConnectionError())

    assert (await later(), now()) == ("cached", "cached")


@pytest.mark.parametrize(
    ("answers", "wrong", "complaint"),
    [
        ((), {}, "answers is empty"),
        ((1,), {"on": ()}, "on is empty"),
        ((1,), {"on": BaseException}, "on names BaseException"),
    ],
)
def test_a_fallback_that_cannot_work_is_refused(
    answers: tuple[Any, ...], wrong: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Fallback(*answers, **wrong)

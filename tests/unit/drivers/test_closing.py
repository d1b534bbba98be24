"""Closing several things: none is skipped because another fails."""

from __future__ import annotations

import asyncio
import logging

import pytest

from plait.drivers.closing import Close, close_all


class Closes:
    """Notes who was closed, in which order; those of `errors` fail."""

    def __init__(self, **errors: BaseException) -> None:
        self._errors = errors
        self.closed: list[str] = []

    def __getitem__(self, name: str) -> Close:
        async def close() -> None:
            self.closed.append(name)
            if name in self._errors:
                raise self._errors[name]

        return close


async def test_all_are_closed_one_after_the_other() -> None:
    closes = Closes()
    await close_all(closes["b"], closes["a"], closes["c"])
    assert closes.closed == ["b", "a", "c"]


async def test_a_close_that_fails_skips_nothing_and_the_first_error_is_raised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    closes = Closes(a=OSError("first"), b=ValueError("second"))
    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match="first"):
        await close_all(closes["a"], closes["b"], closes["c"])
    assert closes.closed == ["a", "b", "c"]
    (told,) = caplog.records
    assert told.exc_info is not None
    assert str(told.exc_info[1]) == "second"


async def test_who_is_cancelled_while_one_closes_closes_the_rest_all_the_same() -> None:
    closes, is_closing = Closes(), asyncio.Event()

    async def hangs() -> None:
        is_closing.set()
        await asyncio.Event().wait()

    closing = asyncio.create_task(close_all(hangs, closes["b"]))
    await is_closing.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert closes.closed == ["b"]

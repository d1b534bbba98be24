"""Kept replies: hits, staleness, one making for all, bounds, and who may give up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from plait.gateway.cache import ReplyCache
from plait.gateway.message import Reply


class Kitchen:
    """Makes numbered replies, each when it is let."""

    def __init__(self, *, bytes_max: int = 100_000) -> None:
        self.now_s = 0.0
        self.made = 0
        self.cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.status = 200
        self.cache = ReplyCache(
            clock=lambda: self.now_s,
            is_keepable=lambda reply: reply.status == 200,
            bytes_max=bytes_max,
        )

    async def make(self) -> Reply:
        self.made += 1
        number = self.made
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Reply(self.status, [], b"%d" % number)

    async def get(
        self, key: bytes = b"k", make: Callable[[], Awaitable[Reply]] | None = None
    ) -> tuple[bytes, str, float]:
        reply, how, age_s = await self.cache.get(
            key, make or self.make, ttl_s=10, stale_s=5
        )
        return reply.body, how, age_s


async def test_a_reply_is_given_again_while_it_is_young() -> None:
    kitchen = Kitchen()
    assert await kitchen.get() == (b"1", "miss", 0)
    kitchen.now_s = 9.5
    assert await kitchen.get() == (b"1", "hit", 9.5)
    assert await kitchen.get(b"other") == (b"2", "miss", 0)


async def test_a_stale_reply_is_given_while_one_new_one_is_made() -> None:
    kitchen = Kitchen()
    await kitchen.get()
    kitchen.now_s = 10
    kitchen.gate.clear()
    assert await kitchen.get() == (b"1", "stale", 10)
    assert await kitchen.get() == (b"1", "stale", 10)
    kitchen.gate.set()
    await until(lambda: kitchen.made == 2 and not kitchen.cache.is_busy)
    assert await kitchen.get() == (b"2", "hit", 0)


async def test_a_reply_that_is_too_old_is_made_anew() -> None:
    kitchen = Kitchen()
    await kitchen.get()
    kitchen.now_s = 15
    assert await kitchen.get() == (b"2", "miss", 0)


async def test_a_failed_refresh_leaves_the_stale_reply() -> None:
    kitchen = Kitchen()
    await kitchen.get()
    kitchen.now_s = 11

    async def broken() -> Reply:
        raise RuntimeError("no")

    assert await kitchen.get(make=broken) == (b"1", "stale", 11)
    await until(lambda: not kitchen.cache.is_busy)
    assert (await kitchen.get(make=broken))[1] == "stale"
    await kitchen.cache.close()


async def test_all_who_ask_at_once_share_one_making() -> None:
    kitchen = Kitchen()
    kitchen.gate.clear()
    asking = [asyncio.create_task(kitchen.get()) for _ in range(5)]
    await until(lambda: kitchen.made == 1)
    kitchen.gate.set()
    assert await asyncio.gather(*asking) == [(b"1", "miss", 0)] * 5


async def test_what_is_not_keepable_is_shared_and_forgotten() -> None:
    kitchen = Kitchen()
    kitchen.status = 502
    assert (await kitchen.get())[0] == b"1"
    assert (await kitchen.get())[0] == b"2"
    assert kitchen.cache.size_bytes == 0


async def test_an_error_reaches_everyone_who_waited() -> None:
    kitchen = Kitchen()

    async def broken() -> Reply:
        await kitchen.gate.wait()
        raise RuntimeError("no")

    kitchen.gate.clear()
    asking = [asyncio.create_task(kitchen.get(make=broken)) for _ in range(2)]
    await until(lambda: kitchen.cache.is_busy)
    kitchen.gate.set()
    for task in asking:
        with pytest.raises(RuntimeError, match="no"):
            await task


async def test_one_who_gives_up_does_not_harm_the_others() -> None:
    kitchen = Kitchen()
    kitchen.gate.clear()
    leaving, staying = (asyncio.create_task(kitchen.get()) for _ in range(2))
    await until(lambda: kitchen.made == 1)
    leaving.cancel()
    await asyncio.wait([leaving])
    kitchen.gate.set()
    assert await staying == (b"1", "miss", 0)
    assert kitchen.cancelled == 0


async def test_when_all_gave_up_the_making_is_cancelled_and_the_next_begins_anew() -> None:
    kitchen = Kitchen()
    kitchen.gate.clear()
    leaving = asyncio.create_task(kitchen.get())
    await until(lambda: kitchen.made == 1)
    leaving.cancel()
    following = asyncio.create_task(kitchen.get())
    await asyncio.wait([leaving])
    kitchen.gate.set()
    assert await following == (b"2", "miss", 0)
    assert kitchen.cancelled == 1


async def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    kitchen = Kitchen(bytes_max=2_100)
    await kitchen.get(b"a")
    await kitchen.get(b"b")
    await kitchen.get(b"a")
    await kitchen.get(b"c")
    assert (await kitchen.get(b"a"))[1] == "hit"
    assert (await kitchen.get(b"b"))[1] == "miss"
    assert kitchen.cache.size_bytes <= 2_100


async def test_a_reply_larger_than_everything_is_not_kept() -> None:
    kitchen = Kitchen(bytes_max=900)
    await kitchen.get()
    assert kitchen.cache.size_bytes == 0


async def test_closing_cancels_what_is_made_in_the_background() -> None:
    kitchen = Kitchen()
    await kitchen.get()
    kitchen.now_s = 11
    kitchen.gate.clear()
    await kitchen.get()
    await until(lambda: kitchen.made == 2)
    await kitchen.cache.close()
    assert kitchen.cancelled == 1


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_true():
            await asyncio.sleep(0)

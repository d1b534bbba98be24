"""What every store of a cache keeps: the suite of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest

from plait.resilience import Cache
from plait.resilience.cache import Store

NESTED: Any = [1, {"a": [None, "b"]}, [], {}]
VALUES = (None, True, 0, -1, 1.5, 2**80, "", "ä\ud800\n", NESTED)


class Passing(Protocol):
    """Lets seconds pass for all that is kept."""

    def __call__(self, seconds: float) -> Awaitable[None]: ...


async def until(is_so: Callable[[], object], task: asyncio.Task[Any]) -> None:
    """Let all that is ready run until it `is_so`; raise what ends `task` before that."""
    while not is_so():
        if task.done():
            raise AssertionError(f"it has ended: {task.result()}")
        await asyncio.sleep(0)


def itself(*arguments: Any) -> Any:
    return arguments


class StoreSuite:
    """Subclass it, with fixtures `store` and `passing`."""

    @pytest.mark.parametrize("value", VALUES, ids=repr)
    async def test_what_is_kept_comes_back_as_it_was(
        self, store: Store, value: Any
    ) -> None:
        assert await store.get("a") is None
        assert await store.put("a", value, 60)
        found = await store.get("a")
        assert found is not None
        assert (type(found.value), found.value) == (type(value), value)
        assert 0 <= found.age_s < 30

    async def test_a_later_value_takes_the_place_of_the_earlier(self, store: Store) -> None:
        for value in ("one", "two"):
            await store.put("a", value, 60)
        found = await store.get("a")
        assert found is not None
        assert found.value == "two"

    async def test_it_tells_how_old_a_value_is(
        self, store: Store, passing: Passing
    ) -> None:
        await store.put("a", 1, 1_000)
        await passing(400)
        found = await store.get("a")
        assert found is not None
        assert 400 <= found.age_s < 430

    async def test_a_value_is_gone_when_its_time_is_over(
        self, store: Store, passing: Passing
    ) -> None:
        await store.put("a", 1, 1_000)
        await store.put("b", 2, 3_000)
        await passing(1_001)
        assert await store.get("a") is None
        assert await store.get("b") is not None

    async def test_what_is_deleted_is_gone_and_the_rest_stays(self, store: Store) -> None:
        await store.put("a", 1, 60)
        await store.put("b", 2, 60)
        await store.delete("a")
        await store.delete("never there")
        assert await store.get("a") is None
        assert await store.get("b") is not None

    async def test_clear_forgets_all(self, store: Store) -> None:
        for number in range(30):
            await store.put(f"key {number}", number, 60)
        await store.clear()
        assert [await store.get(f"key {n}") for n in range(30)] == [None] * 30

    @pytest.mark.parametrize("key", ["", "a b*?[", "ä\ud800", "k" * 10_000, "a\0b"])
    async def test_any_text_is_a_key(self, store: Store, key: str) -> None:
        await store.put(key, "kept", 60)
        assert await store.get(key) is not None
        assert await store.get(key + "x") is None

    async def test_a_hundred_tasks_at_once_make_one_call(self, store: Store) -> None:
        calls: list[str] = []
        gate = asyncio.Event()
        cache = Cache(60, store=store, key=itself)

        async def fetch(sku: str) -> list[str]:
            calls.append(sku)
            await gate.wait()
            return [sku]

        tasks = [asyncio.create_task(cache.call(fetch, "A-1")) for _ in range(100)]
        await until(lambda: calls, tasks[0])
        gate.set()
        assert await asyncio.gather(*tasks) == [["A-1"]] * 100
        assert calls == ["A-1"]
        assert await cache.call(fetch, "A-1") == ["A-1"]
        assert await cache.call(fetch, "B-2") == ["B-2"]
        assert calls == ["A-1", "B-2"]

    async def test_a_stale_answer_is_given_while_one_call_replaces_it(
        self, store: Store, passing: Passing
    ) -> None:
        cache = Cache(100, stale_while_revalidate_s=1_000, store=store, key=itself)
        gate, calls = asyncio.Event(), 0

        async def count() -> int:
            nonlocal calls
            calls += 1
            if calls > 1:
                await gate.wait()
            return calls

        assert await cache.call(count) == 1
        await passing(200)
        assert [await cache.call(count) for _ in range(5)] == [1] * 5
        assert calls <= 2
        gate.set()
        while await cache.call(count) == 1:
            await asyncio.sleep(0)
        assert await cache.call(count) == 2
        assert calls == 2
        await cache.aclose()

    async def test_a_stale_answer_is_given_when_the_call_fails(
        self, store: Store, passing: Passing
    ) -> None:
        cache = Cache(100, stale_if_error_s=1_000, store=store, key=itself)
        answers: list[Any] = ["fine", ConnectionError("down"), KeyError("x"), "again"]

        async def ask() -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        assert await cache.call(ask) == "fine"
        await passing(200)
        assert await cache.call(ask) == "fine"
        assert cache.snapshot().failed_over == 1
        await passing(2_000)
        with pytest.raises(KeyError):
            await cache.call(ask)
        assert await cache.call(ask) == "again"

    async def test_an_invalidated_answer_is_asked_for_anew_also_one_under_way(
        self, store: Store
    ) -> None:
        cache = Cache(60, store=store, key=itself)
        gates = [asyncio.Event(), asyncio.Event()]
        begun: list[int] = []

        async def price(sku: str) -> int:
            number = len(begun)
            begun.append(number)
            await gates[number].wait()
            return number

        old = asyncio.create_task(cache.call(price, "A"))
        await until(lambda: begun, old)
        await cache.invalidate(price, "A")
        new = asyncio.create_task(cache.call(price, "A"))
        await until(lambda: len(begun) == 2, new)
        gates[1].set()
        assert await new == 1
        gates[0].set()
        assert await old == 0
        assert await cache.call(price, "A") == 1

    async def test_users_never_get_each_others_answers(self, store: Store) -> None:
        key, user = (lambda user, *rest: rest), (lambda user, *rest: user)
        cache = Cache(60, store=store, key=key, user=user)
        made: list[tuple[str, ...]] = []

        async def orders(user: str | None, *rest: str) -> list[str]:
            made.append((str(user), *rest))
            return [str(user), *rest]

        calls: list[tuple[str, ...]] = [
            ("ann", "b"),
            ("ann'", "b"),
            ("a", "nn", "b"),
            ("b",),
        ]
        for call in calls * 2:
            assert await cache.call(orders, *call) == list(call)
        assert made == calls
        for nobody in ("", None):
            await cache.call(orders, nobody)
            await cache.call(orders, nobody)
        assert len(made) == len(calls) + 4
        assert cache.snapshot().unkeyed == 4

"""The cache: what it answers, what it keeps, and who waits for whom."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.resilience import (
    BreakerSettings,
    Cache,
    CircuitBreaker,
    MemoryStore,
    PipelineBuilder,
    RetryPolicy,
    Timeout,
)
from plait.resilience.cache import Event, RefreshFailed, measured
from plait.resilience.cache.memory import ENTRY_BYTES
from tests.unit.resilience.clocks import HandClock


class Upstream:
    """Counts its calls, and answers when it is let."""

    def __init__(self, *, held: bool = True) -> None:
        self.calls = 0
        self.gate = asyncio.Event()
        if not held:
            self.gate.set()

    async def __call__(self, *args: Any) -> int:
        self.calls += 1
        number = self.calls
        await self.gate.wait()
        return number


def keyed(**settings: Any) -> Cache:
    return Cache(**{"ttl_s": 10, "key": lambda *args: args, **settings})


async def turns(count: int = 5) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


# -- against a model -------------------------------------------------------------------

OUTCOMES = st.sampled_from(["ok", "down", "bad"])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("ask"), st.integers(0, 3), st.sampled_from(["ok", "down", "bad"])
        ),
        st.tuples(st.just("pass"), st.sampled_from([1, 4, 5, 9, 10, 30]), st.just("")),
        st.tuples(st.just("invalidate"), st.integers(0, 3), st.just("")),
    ),
    max_size=40,
)


@given(steps=STEPS, revalidate_s=st.sampled_from([0, 5]), error_s=st.sampled_from([0, 20]))
def test_it_answers_what_the_model_answers(
    steps: list[tuple[str, int, str]], revalidate_s: int, error_s: int
) -> None:
    """The model: the last answer to each key, and when it was given."""

    async def main() -> None:
        clock, kept, said = HandClock(), dict[int, tuple[int, float]](), 0
        outcome = ""
        cache = Cache(
            10,
            stale_while_revalidate_s=revalidate_s,
            stale_if_error_s=error_s,
            clock=clock,
        )

        async def ask(key: int) -> int:
            nonlocal said
            if outcome == "down":
                raise ConnectionError
            if outcome == "bad":
                raise LookupBad
            said += 1
            kept[key] = (said, clock.now())
            return said

        for verb, number, outcome in steps:
            if verb == "pass":
                clock.advance(number)
            elif verb == "invalidate":
                kept.pop(number, None)
                await cache.invalidate(ask, number)
            else:
                before = kept.get(number)
                age_s = clock.now() - before[1] if before else 1_000
                got: Any
                try:
                    got = await cache.call(ask, number)
                except (ConnectionError, LookupBad) as error:
                    got = type(error)
                if before and age_s < 10 + revalidate_s:
                    assert got == before[0]
                elif outcome == "ok":
                    assert got == kept[number][0] == said
                elif before and outcome == "down" and age_s < 10 + error_s:
                    assert got == before[0]
                else:
                    assert got is (ConnectionError if outcome == "down" else LookupBad)
                # What is fetched in the background is there before the next step.
                await turns()
                refreshes = before is not None and 10 <= age_s < 10 + revalidate_s
                assert (kept.get(number) != before) == (
                    outcome == "ok" and (refreshes or age_s >= 10 + revalidate_s)
                )

    asyncio.run(main())


class LookupBad(Exception):
    """An answer that blames the caller."""

    status = 400


@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(0, 5), st.booleans()), max_size=60
    )
)
def test_the_memory_store_forgets_what_was_used_least_recently(
    steps: list[tuple[str, int, bool]],
) -> None:
    size = {n: ENTRY_BYTES + 1 + measured("x" * n * 100) for n in range(6)}
    store, model = MemoryStore(3 * size[3]), dict[str, int]()
    for key, number, writes in steps:
        if writes:
            model.pop(key, None)
            fits = store.keep(key, "x" * number * 100, 60)
            assert fits == (size[number] <= store.max_bytes)
            model[key] = number
            while sum(size[n] for n in model.values()) > store.max_bytes:
                del model[next(iter(model))]
        else:
            found = store.look(key)
            assert (found is not None) == (key in model)
            if key in model:
                model[key] = model.pop(key)
    assert store.used_bytes == sum(size[n] for n in model.values()) <= store.max_bytes
    assert len(store) == len(model)


# -- one call for many -----------------------------------------------------------------


async def test_a_hundred_tasks_make_one_call_and_an_error_is_for_all_of_them() -> None:
    cache, upstream = keyed(), Upstream()

    async def fail() -> int:
        await upstream()
        raise ConnectionError

    tasks = [asyncio.create_task(cache.call(fail)) for _ in range(100)]
    await turns()
    upstream.gate.set()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in ends} == {ConnectionError}
    assert (upstream.calls, cache.snapshot().shared) == (1, 99)
    with pytest.raises(ConnectionError):
        await cache.call(fail)
    assert upstream.calls == 2


async def test_a_cancelled_leader_hands_on_to_the_next() -> None:
    cache, upstream = keyed(), Upstream()
    tasks = [asyncio.create_task(cache.call(upstream)) for _ in range(5)]
    await turns()
    tasks[0].cancel()
    await turns()
    assert upstream.calls == 2
    # It is the next one's turn, who is cancelled before it can know; and the one after too.
    tasks[1].cancel()
    tasks[2].cancel()
    await turns()
    upstream.gate.set()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends[:3]] == [asyncio.CancelledError] * 3
    assert ends[3] == ends[4] == upstream.calls
    assert cache.snapshot().loading == 0


async def test_who_is_handed_the_call_and_cancelled_before_it_knows_hands_it_on() -> None:
    cache, upstream = keyed(), Upstream()
    tasks = [asyncio.create_task(cache.call(upstream)) for _ in range(3)]
    await turns()
    tasks[0].cancel()
    await turns(1)
    tasks[1].cancel()
    await turns()
    assert (tasks[0].cancelled(), tasks[1].cancelled(), upstream.calls) == (True, True, 2)
    upstream.gate.set()
    assert await tasks[2] == 2


@given(cancelled=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=12))
def test_no_order_of_cancelling_leaves_anybody_waiting(
    cancelled: list[tuple[int, int]],
) -> None:
    async def main() -> None:
        cache, upstream = keyed(), Upstream()
        tasks = [asyncio.create_task(cache.call(upstream)) for _ in range(10)]
        for number, count in cancelled:
            await turns(count)
            tasks[number].cancel()
        await turns()
        assert upstream.calls <= 1 + len(cancelled)
        upstream.gate.set()
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        gone = {number for number, _ in cancelled}
        assert all((type(end) is int) == (n not in gone) for n, end in enumerate(ends))
        assert cache.snapshot().loading == 0

    asyncio.run(main())


async def test_different_keys_do_not_wait_for_each_other() -> None:
    cache, upstream = keyed(), Upstream()
    tasks = [
        asyncio.create_task(cache.call(upstream, n)) for n in (1, "1", 1.0, True, b"1")
    ]
    await turns()
    assert upstream.calls == 5
    upstream.gate.set()
    assert sorted(await asyncio.gather(*tasks)) == [1, 2, 3, 4, 5]


# -- stale -----------------------------------------------------------------------------


async def test_a_hundred_stale_answers_are_replaced_by_one_call() -> None:
    clock = HandClock()
    cache, upstream = keyed(stale_while_revalidate_s=5, clock=clock), Upstream(held=False)
    assert await cache.call(upstream) == 1
    clock.advance(12)
    upstream.gate.clear()
    assert await asyncio.gather(*(cache.call(upstream) for _ in range(100))) == [1] * 100
    assert upstream.calls == 2
    # Too old by now; the call under way is waited for, and no other is made.
    clock.advance(10)
    waiting = asyncio.create_task(cache.call(upstream))
    await turns()
    upstream.gate.set()
    assert await waiting == 2
    assert (upstream.calls, cache.snapshot().stale) == (2, 100)


async def test_a_refresh_that_takes_no_time_is_one_call_too() -> None:
    clock = HandClock()
    cache, upstream = keyed(stale_while_revalidate_s=5, clock=clock), Upstream(held=False)
    assert await cache.call(upstream) == 1
    clock.advance(12)
    assert await asyncio.gather(*(cache.call(upstream) for _ in range(100))) == [1] * 100
    assert await cache.call(upstream) == 2
    assert upstream.calls == 2


async def test_a_refresh_that_fails_is_told_and_the_stale_answer_stays() -> None:
    clock, told = HandClock(), list[Event]()
    cache = Cache(10, stale_while_revalidate_s=50, clock=clock, on_event=told.append)
    answers: list[Any] = [1, OSError("down"), 3]

    async def ask() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await cache.call(ask) == 1
    clock.advance(20)
    assert await cache.call(ask) == 1
    await turns()
    assert [type(event) for event in told] == [RefreshFailed]
    assert await cache.call(ask) == 1
    await turns()
    assert await cache.call(ask) == 3


async def test_closing_cancels_what_is_fetched_in_the_background() -> None:
    clock = HandClock()
    cache, upstream = keyed(stale_while_revalidate_s=5, clock=clock), Upstream(held=False)
    await cache.call(upstream)
    clock.advance(12)
    upstream.gate.clear()
    await cache.call(upstream)
    await turns()
    await cache.aclose()
    assert cache.snapshot().loading == 0


async def test_an_open_circuit_answers_from_what_is_stale() -> None:
    clock = HandClock()
    is_down = False
    pipeline = (
        PipelineBuilder()
        .circuit_breaker(CircuitBreaker(BreakerSettings(failure_threshold=1), clock=clock))
        .cache(Cache(10, stale_if_error_s=60, clock=clock))
        .retry(RetryPolicy(max_attempts=2, delay_s=0))
        .attempt_timeout(Timeout(5))
        .build()
    )
    calls = 0

    @pipeline
    async def price(sku: str) -> str:
        nonlocal calls
        calls += 1
        if is_down:
            raise ConnectionError
        return f"price of {sku}"

    assert [await price("A"), await price("B"), await price("A")] == [
        "price of A",
        "price of B",
        "price of A",
    ]
    assert calls == 2
    is_down = True
    clock.advance(30)
    assert [await price("A") for _ in range(3)] == ["price of A"] * 3
    assert calls == 3


# -- what is kept ----------------------------------------------------------------------


async def test_errors_are_kept_only_when_they_are_named() -> None:
    clock = HandClock()
    calls = 0

    async def find(sku: str) -> None:
        nonlocal calls
        calls += 1
        raise LookupBad(sku)

    for cache, expected in (
        (Cache(10, clock=clock), [3, 6]),
        (Cache(10, clock=clock, negative=LookupBad, negative_ttl_s=2), [1, 2]),
    ):
        calls, seen = 0, []
        for _ in range(2):
            for _ in range(3):
                with pytest.raises(LookupBad, match="A-1"):
                    await cache.call(find, "A-1")
            seen.append(calls)
            clock.advance(2)
        assert seen == expected


async def test_only_answers_worth_keeping_are_kept() -> None:
    cache = keyed(keep=lambda number: number > 1)
    upstream = Upstream(held=False)
    assert [await cache.call(upstream) for _ in range(4)] == [1, 2, 2, 2]


async def test_a_value_too_large_is_answered_and_not_kept() -> None:
    cache = Cache(10, store=MemoryStore(1_000))
    calls = 0

    async def page(size: int) -> str:
        nonlocal calls
        calls += 1
        return "x" * size

    for size in (100, 2_000, 100, 2_000):
        assert len(await cache.call(page, size)) == size
    assert (calls, cache.snapshot().unkept) == (3, 2)


async def test_clear_forgets_what_is_under_way_too() -> None:
    cache, upstream = keyed(), Upstream()
    old = asyncio.create_task(cache.call(upstream))
    await turns()
    await cache.clear()
    upstream.gate.set()
    assert await old == 1
    assert await cache.call(upstream) == 2


# -- keys ------------------------------------------------------------------------------


async def test_a_call_whose_key_is_none_is_not_cached() -> None:
    cache, upstream = keyed(key=lambda *args: None), Upstream(held=False)
    assert [await cache.call(upstream), await cache.call(upstream)] == [1, 2]


async def test_two_functions_never_share_answers() -> None:
    cache = Cache(10)

    async def one(sku: str) -> str:
        return f"one {sku}"

    async def two(sku: str) -> str:
        return f"two {sku}"

    assert [await cache.call(one, "A"), await cache.call(two, "A")] == ["one A", "two A"]


def getter(answer: str, asked: list[str] | None = None) -> Any:
    async def get(number: int) -> str:
        if asked is not None:
            asked.append(answer)
        return f"{answer} {number}"

    return get


def bound(answer: str) -> Any:
    async def get(number: int, own: str = answer) -> str:
        return f"{own} {number}"

    return get


def telling(answer: str) -> Any:
    @functools.wraps(doubled)
    async def told(number: int) -> str:
        return f"{answer} {number}"

    return told


async def doubled(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("wrapped", [lambda get: get, Timeout(5)], ids=["bare", "timeout"])
@pytest.mark.parametrize("made", [getter, bound, telling])
async def test_functions_of_one_name_get_their_own_answers(made: Any, wrapped: Any) -> None:
    store = MemoryStore()
    functions = [wrapped(made(answer)) for answer in ("one", "two")]
    for name in ("", "named"):
        cache = Cache(10, store=store, name=name)
        for _ in range(2):
            answers = [await cache.call(get, 1) for get in functions]
            assert answers == ["one 1", "two 1"]
        assert (cache.snapshot().misses, cache.snapshot().hits) == (2, 2)


async def test_a_function_made_after_another_has_gone_does_not_get_its_answers() -> None:
    cache = Cache(10)
    for number in range(50):
        get = getter(str(number))
        assert await cache.call(get, 1) == f"{number} 1"


async def test_a_decorated_closure_is_forgotten_by_the_name_that_its_users_have() -> None:
    cache, asked = Cache(10), list[str]()

    def log(function: Any) -> Any:
        @functools.wraps(function)
        async def logged(number: int) -> Any:
            return await function(number)

        return logged

    in_pipeline = PipelineBuilder().cache(cache).attempt_timeout(Timeout(5)).build()
    for outer in (cache, in_pipeline):
        for around in (lambda get: get, Timeout(5), log):
            asked.clear()
            get = around(outer(Timeout(5)(getter("one", asked))))
            assert [await get(1), await get(1), asked] == ["one 1", "one 1", ["one"]]
            await cache.invalidate(get, 1)
            assert cache.peek(get, 1) is None
            assert await get(1) == "one 1"
            assert cache.peek(get, 1) is not None
            assert asked == ["one"] * 2


async def test_arguments_that_make_no_key_are_refused_with_the_remedy() -> None:
    cache = Cache(10)

    async def find(query: Any) -> None: ...

    for query in ({"a": 1}, [1], object(), (1, [2])):
        with pytest.raises(TypeError, match="makes no key; give `key`"):
            await cache.call(find, query)
    with pytest.raises(TypeError, match="belongs to an object"):
        await cache.call(asyncio.Event().wait)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"ttl_s": 0}, "ttl_s is 0"),
        ({"ttl_s": "60"}, "ttl_s is '60'"),
        ({"stale_while_revalidate_s": -1}, "stale_while_revalidate_s is -1"),
        ({"stale_if_error_s": float("inf")}, "stale_if_error_s is inf"),
        ({"negative_ttl_s": 0}, "negative_ttl_s is 0"),
        ({"negative": ()}, "negative is empty"),
        ({"stale_on": ()}, "stale_on is empty"),
    ],
)
def test_an_argument_out_of_its_range_is_named(
    wrong: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        keyed(**wrong)


def test_a_store_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="max_bytes is 0"):
        MemoryStore(0)

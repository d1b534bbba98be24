"""The disk store keeps the contract, outlives its process, and touches no other file."""

from __future__ import annotations

import asyncio
import functools
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from plait.resilience import (
    Cache,
    Collapse,
    DiskStore,
    PipelineBuilder,
    Timeout,
    sqlite_file,
)
from plait.resilience.cache import Event, StoreFailed
from tests.conformance.cache.suite import Passing, StoreSuite
from tests.unit.resilience.clocks import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def store(clock: HandClock, tmp_path: Path) -> AsyncIterator[DiskStore]:
    store = DiskStore(tmp_path / "cache.db", wall_clock=clock.now)
    yield store
    await store.aclose()


class TestDiskStore(StoreSuite):
    @pytest.fixture
    def passing(self, clock: HandClock) -> Passing:
        return clock.sleep


def getter(answer: str, default: str = "") -> Any:
    async def get(number: int) -> str:
        return f"{answer} {number}"

    async def get_with_default(number: int, answer: str = default) -> str:
        return f"{answer} {number}"

    return get_with_default if default else get


def telling(word: str) -> Any:
    def decorated(function: Any) -> Any:
        @functools.wraps(function)
        async def told(number: int) -> str:
            return f"{word}{await function(number)}"

        return told

    return decorated


async def named(number: int) -> str:
    return f"{number}"


@pytest.mark.parametrize(
    "wrapped", [lambda get: get, Timeout(5), Collapse()], ids=["bare", "timeout", "twice"]
)
@pytest.mark.parametrize(
    "function",
    [getter("one"), getter("", "two"), telling("one")(named), lambda number: named(number)],
    ids=["closure", "default", "decorator", "lambda"],
)
async def test_functions_that_one_name_does_not_tell_apart_need_a_key(
    store: DiskStore, function: Any, wrapped: Any
) -> None:
    """Another process would give their answers to another function of that name."""
    cache = Cache(10, store=store)
    if function.__name__ != "<lambda>":
        with pytest.raises(TypeError, match=r"(get|named|default) .* give `key`"):
            cache(wrapped(function))
        with pytest.raises(TypeError, match="give `key`"):
            PipelineBuilder().cache(cache).build()(wrapped(function))
        function = wrapped(function)
    with pytest.raises(TypeError, match="give `key`"):
        await cache.call(function, 1)
    with_key = Cache(10, store=store, key=lambda number: (number, "of this one"))
    assert await with_key.call(function, 1) == await function(1)


async def test_functions_that_their_name_tells_apart_need_none(store: DiskStore) -> None:
    for function in (named, Timeout(5)(named), plain(named)):
        cache = Cache(10, store=store)
        assert await cache(function)(1) == "1"
    assert cache.snapshot().hits == 1


def plain(function: Any) -> Any:
    @functools.wraps(function)
    async def decorated(number: int) -> Any:
        return await function(number)

    return decorated


async def test_what_is_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    for expected in (None, "kept"):
        store = DiskStore(tmp_path / "cache.db")
        found = await store.get("a")
        assert (found.value if found is not None else None) == expected
        await store.put("a", "kept", 60)
        await store.aclose()


async def test_two_who_share_a_file_share_its_values_and_its_bound(tmp_path: Path) -> None:
    one, two = (DiskStore(tmp_path / "cache.db", 2_000) for _ in range(2))
    await asyncio.gather(
        *(store.put(f"{n}", "x" * 98, 60) for store in (one, two) for n in range(40))
    )
    assert await one.used_bytes() == await two.used_bytes() == 2_000
    await one.put("a", "of one", 60)
    found = await two.get("a")
    assert found is not None
    assert found.value == "of one"
    await one.aclose()
    await two.aclose()


async def test_who_makes_the_file_waits_for_another_who_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own waiting does not help here: both have begun to read an empty file."""
    other = rival(tmp_path / "cache.db")
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(sqlite_file, "sleep", lambda _: other.rollback())
    store = DiskStore(tmp_path / "cache.db")
    assert await store.put("a", "kept", 60)
    assert not other.in_transaction
    await store.aclose()
    other.close()


async def test_who_writes_waits_for_another_who_writes_and_the_loop_goes_on(
    tmp_path: Path,
) -> None:
    store, other = DiskStore(tmp_path / "cache.db"), rival(tmp_path / "cache.db")
    await store.put("a", "kept", 60)
    other.execute("BEGIN IMMEDIATE")
    getting = asyncio.create_task(store.get("a"))
    # A loop that waited too would never come to the second.
    done, _ = await asyncio.wait([getting], timeout=0.1)
    assert not done
    other.rollback()
    found = await getting
    assert found is not None
    assert found.value == "kept"
    await store.aclose()
    other.close()


@pytest.mark.parametrize("is_new", [True, False])
async def test_who_holds_the_file_for_ever_stops_no_call(
    is_new: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT_MS", 20)
    told: list[Event] = []
    store, other = DiskStore(tmp_path / "cache.db"), rival(tmp_path / "cache.db")
    if not is_new:
        await store.clear()
    other.execute("BEGIN IMMEDIATE")
    cache = Cache(60, store=store, name="prices", on_event=told.append)

    async def price() -> int:
        return 7

    assert await cache.call(price) == 7
    assert any(isinstance(event, StoreFailed) for event in told)
    other.rollback()
    assert [await cache.call(price), await cache.call(price)] == [7, 7]
    assert cache.snapshot().hits == 1
    await store.aclose()
    other.close()


def rival(path: Path) -> sqlite3.Connection:
    """Return another's connection to the file, which any thread may use."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


async def test_the_file_is_for_its_owner_only_and_names_no_key(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    store = DiskStore(path)
    await store.put("token-of-ann", "value", 60)
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"token-of-ann" not in file.read_bytes()
    await store.aclose()


async def test_a_value_of_the_future_is_none(store: DiskStore, clock: HandClock) -> None:
    await store.put("a", 1, 60)
    clock.advance(-3_600)
    assert await store.get("a") is None


async def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "accounts.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE accounts (id)")
    other.commit()
    other.close()
    before = path.read_bytes()
    store = DiskStore(path)
    with pytest.raises(ValueError, match="another program's database"):
        await store.get("a")
    await store.aclose()
    assert path.read_bytes() == before


async def test_a_file_that_cannot_be_used_stops_no_call(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    path.write_bytes(b"no database, but long enough to be taken for one " * 99)
    told: list[Event] = []
    store = DiskStore(path)
    cache = Cache(60, store=store, name="prices", on_event=told.append)

    async def price() -> int:
        return 7

    assert [await cache.call(price), await cache.call(price)] == [7, 7]
    actions = [
        (event.name, event.action) for event in told if isinstance(event, StoreFailed)
    ]
    assert actions == [("prices", "get"), ("prices", "put")] * 2
    assert cache.snapshot().store_failures == 4
    await store.aclose()


async def test_what_json_would_change_is_answered_and_not_kept(store: DiskStore) -> None:
    cache = Cache(60, store=store, key=lambda: ())
    calls = 0

    async def pair() -> tuple[int, int]:
        nonlocal calls
        calls += 1
        return 1, 2

    assert [await cache.call(pair), await cache.call(pair)] == [(1, 2), (1, 2)]
    assert (calls, cache.snapshot().unkept) == (2, 2)

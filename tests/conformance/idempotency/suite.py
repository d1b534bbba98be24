"""What every store of an idempotency guard keeps: the suite of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest

from plait.resilience import EarlierCallFailed, IdempotencyConflict, IdempotencyGuard
from plait.resilience.idempotency import IdempotencyStore, State


class Passing(Protocol):
    """Lets seconds pass for all that is kept."""

    def __call__(self, seconds: float) -> Awaitable[None]: ...


class Declined(Exception):
    """An answer that blames the caller."""

    code = "card.declined"
    status = 402


def guard(store: IdempotencyStore, **settings: Any) -> IdempotencyGuard:
    """Return a guard of a process of its own: guards share nothing but the store."""
    return IdempotencyGuard(lambda order, *rest: order, store=store, **settings)


class Charge:
    """Counts its calls, and answers when it is let."""

    def __init__(self) -> None:
        self.calls = 0
        self.begun, self.gate = asyncio.Event(), asyncio.Event()

    async def __call__(self, order: str, *rest: Any) -> dict[str, Any]:
        self.calls += 1
        self.begun.set()
        await self.gate.wait()
        return {"order": order, "number": self.calls}


class IdempotencySuite:
    """Subclass it, with fixtures `store` and `passing`."""

    async def test_of_a_hundred_who_claim_a_key_one_gets_it(
        self, store: IdempotencyStore
    ) -> None:
        claims = (store.begin("a", f"owner-{n}", "r", 60) for n in range(100))
        states = [record.state for record in await asyncio.gather(*claims)]
        assert sorted(states) == [State.BEGUN] + [State.PENDING] * 99

    @pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED])
    async def test_the_end_of_a_call_is_told_until_its_time_is_over(
        self, store: IdempotencyStore, passing: Passing, state: State
    ) -> None:
        await store.begin("a", "one", "request", 60)
        assert await store.finish("a", "one", state, b"\x00end\xff", 1_000)
        await passing(900)
        record = await store.begin("a", "two", "other", 60)
        assert record[:3] == (state, "request", b"\x00end\xff")
        assert 50 < record.left_s <= 100
        await passing(101)
        assert (await store.begin("a", "two", "other", 60)).state is State.BEGUN

    async def test_a_claim_that_is_not_renewed_expires_and_its_owner_can_write_no_more(
        self, store: IdempotencyStore, passing: Passing
    ) -> None:
        await store.begin("a", "one", "r", 100)
        await passing(60)
        assert await store.extend("a", "one", 100)
        await passing(60)
        assert (await store.begin("a", "two", "r", 100)).state is State.PENDING
        await passing(60)
        assert not await store.extend("a", "one", 100)
        assert (await store.begin("a", "two", "r", 100)).state is State.BEGUN
        assert not await store.finish("a", "one", State.COMPLETED, b"1", 100)
        await store.release("a", "one")
        assert await store.finish("a", "two", State.COMPLETED, b"2", 100)
        assert not await store.finish("a", "two", State.FAILED, b"3", 100)
        assert (await store.begin("a", "one", "r", 100)).data == b"2"

    async def test_who_comes_back_takes_its_own_claim_again_and_no_end(
        self, store: IdempotencyStore
    ) -> None:
        for _ in range(2):
            record = await store.begin("key", "one", "request", 60)
            assert record.state is State.BEGUN
            assert (await store.begin("key", "two", "request", 60)).state is State.PENDING
        assert await store.finish("key", "one", State.COMPLETED, b"end", 60)
        record = await store.begin("key", "one", "request", 60)
        assert (record.state, record.data) == (State.COMPLETED, b"end")

    async def test_a_released_claim_is_anybodys(self, store: IdempotencyStore) -> None:
        await store.begin("a", "one", "r", 100)
        await store.release("a", "two")
        assert (await store.begin("a", "two", "r", 100)).state is State.PENDING
        await store.release("a", "one")
        assert (await store.begin("a", "two", "r", 100)).state is State.BEGUN

    async def test_a_hundred_callers_in_two_processes_make_one_call(
        self, store: IdempotencyStore
    ) -> None:
        charge, guards = Charge(), (guard(store), guard(store))
        tasks = [
            asyncio.create_task(guards[n % 2].call(charge, "A-1", 5)) for n in range(100)
        ]
        await charge.begun.wait()
        charge.gate.set()
        assert await asyncio.gather(*tasks) == [{"order": "A-1", "number": 1}] * 100
        assert charge.calls == 1
        # And so does who comes after a restart.
        assert (await guard(store).call(charge, "A-1", 5))["number"] == 1
        assert (await guard(store).call(charge, "B-2", 5))["number"] == 2

    async def test_another_request_under_the_same_key_is_refused(
        self, store: IdempotencyStore
    ) -> None:
        charge, one = Charge(), guard(store, name="pay")
        first = asyncio.create_task(one.call(charge, "A-1", 5))
        await charge.begun.wait()
        for asked in (one, guard(store, name="pay")):
            with pytest.raises(IdempotencyConflict, match="another request"):
                await asked.call(charge, "A-1", 6)
        charge.gate.set()
        await first
        with pytest.raises(IdempotencyConflict, match="pay is refused") as caught:
            await one.call(charge, "A-1", 6)
        assert caught.value.retry_after is None
        assert (charge.calls, one.snapshot().conflicts) == (1, 2)

    async def test_who_would_not_wait_so_long_for_another_process_is_told_when_to_come(
        self, store: IdempotencyStore
    ) -> None:
        charge = Charge()
        first = asyncio.create_task(guard(store).call(charge, "A-1"))
        await charge.begun.wait()
        for wait_s in (0, 0.05):
            with pytest.raises(IdempotencyConflict, match="under way") as caught:
                await guard(store, wait_s=wait_s).call(charge, "A-1")
            assert caught.value.retry_after is not None
            assert 0 < caught.value.retry_after <= 60
        charge.gate.set()
        await first

    async def test_a_call_whose_process_died_is_made_by_the_next(
        self, store: IdempotencyStore, passing: Passing
    ) -> None:
        crashed, charge = Charge(), Charge()
        first = asyncio.create_task(guard(store).call(crashed, "A-1"))
        await crashed.begun.wait()
        waiting = asyncio.create_task(guard(store).call(charge, "A-1"))
        await asyncio.sleep(0)
        await passing(61)
        charge.gate.set()
        assert (await waiting)["number"] == 1
        assert charge.calls == 1
        # It was not dead, only late: its end takes nobody's place.
        crashed.gate.set()
        assert (await first)["number"] == 1
        assert (await guard(store).call(charge, "A-1"))["number"] == 1
        assert charge.calls == 1

    async def test_a_claim_is_renewed_for_as_long_as_its_call_runs(
        self, store: IdempotencyStore
    ) -> None:
        charge = Charge()
        pending_s = 0.6
        one, two = (guard(store, pending_s=pending_s) for _ in range(2))
        first = asyncio.create_task(one.call(charge, "A-1"))
        await charge.begun.wait()
        asyncio.get_running_loop().call_later(2 * pending_s, charge.gate.set)
        assert (await two.call(charge, "A-1"))["number"] == 1
        assert (await first, charge.calls)[1] == 1

    async def test_an_end_in_an_error_is_told_to_all_and_made_once(
        self, store: IdempotencyStore
    ) -> None:
        calls = 0

        async def pay(order: str) -> None:
            nonlocal calls
            calls += 1
            raise Declined("no funds")

        one = guard(store)
        asked = [one.call(pay, "A-1") for _ in range(10)]
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(end) for end in ends} == {Declined}
        with pytest.raises(EarlierCallFailed, match="failed before: no funds") as caught:
            await guard(store).call(pay, "A-1")
        told = caught.value
        assert (told.kind, told.original_code, told.status) == (
            "Declined",
            "card.declined",
            402,
        )
        assert calls == 1

    async def test_after_an_error_that_may_pass_the_call_is_made_again(
        self, store: IdempotencyStore
    ) -> None:
        ends: list[Callable[[], Any]] = [_lose_connection, lambda: "paid"]

        async def pay(order: str) -> Any:
            return ends.pop(0)()

        with pytest.raises(ConnectionError):
            await guard(store).call(pay, "A-1")
        assert await guard(store).call(pay, "A-1") == "paid"

    async def test_a_call_that_has_begun_is_finished_though_all_its_callers_have_gone(
        self, store: IdempotencyStore
    ) -> None:
        charge, one = Charge(), guard(store)
        tasks = [asyncio.create_task(one.call(charge, "A-1")) for _ in range(3)]
        await charge.begun.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        charge.gate.set()
        await one.aclose()
        assert (await guard(store).call(charge, "A-1"))["number"] == 1
        assert charge.calls == 1

    async def test_who_is_cancelled_before_the_call_leaves_no_claim(
        self, store: IdempotencyStore
    ) -> None:
        charge = Charge()
        charge.gate.set()
        for turns in range(12):
            one = guard(store)
            task = asyncio.create_task(one.call(charge, f"A-{turns}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
            await one.aclose()
            again = guard(store, wait_s=30)
            assert (await again.call(charge, f"A-{turns}"))["order"] == f"A-{turns}"


def _lose_connection() -> None:
    raise ConnectionError

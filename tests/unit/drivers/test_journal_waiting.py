"""Whoever takes an execution up hears what waits for it before it acts.

Whoever sent it was told that it is kept, perhaps by a worker that has died since.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from plait.drivers.journal import (
    JournalDriver,
    Start,
    Store,
    cancel_message,
    is_at_rest,
    signal_message,
)
from plait.kernel import Kernel
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import History, Message
from plait.stores.memory import MemoryStore
from plait.stores.sqlite import SqliteStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with

ROW = plan_with(
    ask("one"),
    ask("slow", "${one.response}"),
    ask("three", "${slow.response}"),
    ask("four", "${three.response}"),
)
SENT: Any = {"id": "sent", "type": "wait", "event": {"name": "sent"}}


class Upstream:
    """Answers at once, but for `slow`, until it `is_mended`."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.is_mended = False
        self.hangs = asyncio.Event()

    def start(self, call: Call, done: Done) -> CallHandle:
        """Answer soon, or never."""
        self.made.append(call.step)
        loop = asyncio.get_running_loop()
        if call.step == "slow" and not self.is_mended:
            self.hangs.set()
            return loop.call_later(1e6, done, CallReply(None, {}))
        return loop.call_later(0.001, done, CallReply(None, {}))

    async def close(self) -> None:
        """Nothing to close."""


async def died_with(
    store: Store, upstream: Upstream, message: Message, plan: Any = ROW
) -> None:
    """Let a worker begin `x` and die as it calls `slow`, and `message` be kept then."""
    worker = JournalDriver(store, upstream, Kernel, worker_id="first")
    await worker.open()
    await worker.start(plan, Start("x", None))
    await upstream.hangs.wait()
    await worker.perish()
    await store.post(message)
    await store.leave("first")
    upstream.made.clear()
    upstream.is_mended = True


async def taken_up(store: Store, upstream: Upstream) -> History:
    """Let another worker bring it to its end."""
    heir = JournalDriver(store, upstream, Kernel, worker_id="heir")
    await heir.open()
    async with asyncio.timeout(60):
        await heir.ended("x")
    history = await store.read("x")
    await heir.close()
    return history


async def cancelled_while_nobody_lived(store: Store) -> tuple[History, list[str]]:
    upstream = Upstream()
    await died_with(store, upstream, cancel_message("x", "enough", "wish"))
    return await taken_up(store, upstream), upstream.made


def test_a_wish_to_cancel_that_outlived_its_worker_is_heard_before_any_call() -> None:
    history, made = run_virtually(cancelled_while_nobody_lived(MemoryStore()))
    assert (history.summary.standing.status, made) == ("cancelled", [])


def test_a_wish_to_cancel_in_a_file_is_heard_before_any_call(tmp_path: Path) -> None:
    async def main() -> tuple[History, list[str]]:
        store = await SqliteStore.open(tmp_path / "plait.db")
        try:
            return await cancelled_while_nobody_lived(store)
        finally:
            await store.close()

    history, made = asyncio.run(main())
    assert (history.summary.standing.status, made) == ("cancelled", [])


def test_what_was_under_way_goes_on_after_a_message_that_does_not_end_it() -> None:
    async def main() -> tuple[History, list[str]]:
        store, upstream = MemoryStore(), Upstream()
        plan = plan_with(ask("slow"), SENT, ask("three", "${slow.response}"))
        await died_with(store, upstream, signal_message("x", "sent", 1, "s"), plan)
        return await taken_up(store, upstream), upstream.made

    history, made = run_virtually(main())
    assert (history.summary.standing.status, made) == ("completed", ["slow", "three"])


def test_a_message_that_nobody_can_read_keeps_nothing_back() -> None:
    async def main() -> tuple[History, list[str]]:
        store, upstream = MemoryStore(), Upstream()
        await died_with(store, upstream, Message("odd", "x", b"odd"))
        return await taken_up(store, upstream), upstream.made

    history, made = run_virtually(main())
    assert (history.summary.standing.status, made) == (
        "completed",
        ["slow", "three", "four"],
    )
    assert [one.message_id for one in history.aside] == ["odd"]


@pytest.mark.parametrize("effect", ["unsafe", "keyed"])
def test_a_call_whose_outcome_is_unknown_is_doubted_after_a_signal_was_heard(
    effect: str,
) -> None:
    async def main() -> tuple[str | None, list[str]]:
        store, upstream = MemoryStore(), Upstream()
        plan = plan_with(ask("slow", effect=effect), SENT)
        await died_with(store, upstream, signal_message("x", "sent", 1, "s"), plan)
        heir = JournalDriver(store, upstream, Kernel, worker_id="heir")
        await heir.open()
        standing = (await heir.ended("x", is_at_rest)).standing
        await heir.close()
        return standing.error_code, upstream.made

    expected = ("step.outcome_unknown", []) if effect == "unsafe" else (None, ["slow"])
    assert run_virtually(main()) == expected

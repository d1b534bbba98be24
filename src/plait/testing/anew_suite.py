"""The part of the stores' contract that says how a history begins anew in its place.

Not here: everything else that a store promises (plait.testing.journal_suite, which has
these tests too).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from plait.drivers.journal import Store
from plait.ports.journal import (
    RUNNING,
    Append,
    Entry,
    LostRace,
    NewExecution,
    Standing,
    Summary,
)

_NOW_MS = 1_767_225_600_000
_DUE = Standing(RUNNING, _NOW_MS, 0)
_ENDED = Standing("completed", _NOW_MS, None)


def _entry(text: str) -> Entry:
    return Entry(text.encode(), text.encode()[:16])


async def _begun(store: Store, execution_id: str = "x1") -> Summary:
    new = NewExecution(execution_id, "shop", "sha256:1", _NOW_MS, "{}")
    return (await store.create(new, [_entry("started")], _DUE, "ann")).summary


def _append(known: Summary, *texts: str, **fields: Any) -> Append:
    entries = [_entry(text) for text in texts]
    name = known.new.execution_id
    return replace(Append(name, entries, _DUE, known.length, known.epoch), **fields)


class AnewSuite:
    """Tests of stores whose histories begin anew. For `JournalSuite`."""

    async def test_a_history_that_begins_anew_drops_what_was_before(
        self, store: Store
    ) -> None:
        summary = await _begun(store)
        other = await _begun(store, "x2")
        await store.append(_append(summary, "two", "three"))
        at_three = replace(summary, length=3)
        anew = _append(at_three, "anew", "five", begins_history=True)
        await store.append(anew)
        history = await store.read(summary.new.execution_id)
        assert [one.body for one in history.entries] == [b"anew", b"five"]
        assert (history.summary.length, history.summary.head) == (5, _entry("five").digest)
        with pytest.raises(LostRace):
            await store.append(anew)
        await store.append(_append(replace(summary, length=5), "six"))
        history = await store.read(summary.new.execution_id)
        assert [one.body for one in history.entries] == [b"anew", b"five", b"six"]
        again = _append(replace(summary, length=6), "large", begins_history=True)
        large = Entry(b"-" * 300_000, b"\x00" * 16)
        await store.append(replace(again, entries=[large], standing=_ENDED))
        history = await store.read(summary.new.execution_id)
        assert (history.entries, history.summary.length) == ([large], 7)
        assert (await store.read(other.new.execution_id)).entries == [_entry("started")]

    async def test_a_refused_append_drops_nothing(self, store: Store) -> None:
        summary = await _begun(store)
        for wrong in ({"epoch": 2}, {"expected_length": 2}):
            with pytest.raises(LostRace):
                await store.append(_append(summary, "a", begins_history=True, **wrong))
        history = await store.read(summary.new.execution_id)
        assert (history.entries, history.summary) == ([_entry("started")], summary)

    async def test_whoever_reads_while_histories_begin_anew_sees_a_whole_one(
        self, store: Store
    ) -> None:
        summary = await _begun(store)

        async def write() -> None:
            for number in range(1, 60):
                known = replace(summary, length=2 * number - 1)
                await store.append(_append(known, "anew", "more", begins_history=True))

        writing = asyncio.create_task(write())
        while not writing.done():
            found = await store.read(summary.new.execution_id)
            assert len(found.entries) == (1 if found.summary.length == 1 else 2)
            assert found.summary.head == found.entries[-1].digest
            await asyncio.sleep(0)
        await writing

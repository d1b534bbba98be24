"""What the parts of the stores' contract begin with: a store, two workers, executions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from typing import Final, TypeAlias

import pytest

from plait.drivers.journal import Store
from plait.ports.journal import Append, Entry, NewExecution, Standing, Summary

OpenStore: TypeAlias = Callable[[], Awaitable[Store]]

NOW_MS: Final = 1_767_225_600_000
LATER_MS: Final = NOW_MS + 60_000
AT_ONCE: Final = Standing("running", NOW_MS, 0)
COMPLETED: Final = Standing("completed", NOW_MS + 5, None)
ANN, BOB = "ann", "bob"

_numbers = count()


def entry(text: str = "turn") -> Entry:
    """Return an entry; stores do not look into it."""
    return Entry(text.encode(), f"digest of {text}".encode()[:16])


def new(execution_id: str, **fields: object) -> NewExecution:
    """Return what is known of an execution of the workflow `shop`."""
    plain = NewExecution(execution_id, "shop", "sha256:1", NOW_MS, "{}")
    return replace(plain, **fields)  # type: ignore[arg-type]  # as the tests give them


def append_to(summary: Summary, *texts: str, **fields: object) -> Append:
    """Return the append of entries to an execution as its row says it is."""
    entries = [entry(text) for text in texts]
    plain = Append(
        summary.new.execution_id, entries, AT_ONCE, summary.length, summary.epoch
    )
    return replace(plain, **fields)  # type: ignore[arg-type]  # as the tests give them


class StoreSuite:
    """Gives the store that a fixture `stores` opens, and executions in it."""

    @pytest.fixture
    async def store(self, stores: OpenStore) -> Store:
        """Two workers have joined and are alive."""
        store = await stores()
        for worker in (ANN, BOB):
            await store.join(worker)
            await store.beat(worker, NOW_MS, LATER_MS)
        return store

    async def begin(
        self,
        store: Store,
        execution_id: str = "",
        standing: Standing = AT_ONCE,
        **fields: object,
    ) -> Summary:
        """Create an execution that Ann holds."""
        execution_id = execution_id or f"x{next(_numbers)}"
        started = new(execution_id, **fields)
        return (await store.create(started, [entry("started")], standing, ANN)).summary

    async def free(self, store: Store, execution_id: str, wake_at_ms: int | None) -> None:
        """Create an execution that nobody holds."""
        standing = Standing("running", NOW_MS, wake_at_ms)
        summary = await self.begin(store, execution_id, standing)
        await store.release(ANN, [summary.new.execution_id])

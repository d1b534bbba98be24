"""Durable executions run here and now: a worker that lives as long as one of them takes.

While it lives it takes up whatever else in its store is due and has nobody to run it, and
gives it back at its end.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import NoReturn

from plait.assembly import compose
from plait.assembly.connectors import Available
from plait.assembly.deploying import active_plans
from plait.assembly.documents import Neighbours
from plait.assembly.sources import Configured
from plait.assembly.stores import open_store
from plait.cli.output import EXIT_FAILED, say, stop
from plait.cli.performer import performer_of
from plait.cli.stores import finish, give_up, in_records
from plait.cli.whoever import whoever
from plait.drivers.children import Workflows
from plait.drivers.clock import now_ms
from plait.drivers.closing import close_all
from plait.drivers.journal import (
    JournalDriver,
    Quarantined,
    SecretMissing,
    Start,
    Store,
    WorkerMissing,
    is_at_rest,
    waits_for_worker,
)
from plait.model.record import record
from plait.operations import (
    Hand,
    Shown,
    check_same,
    queue_of,
    secrets_lacking,
    show,
    waits,
)
from plait.plan import Plan
from plait.ports.journal import QUEUED, RUNNING, Search, Standing, Summary

# Whoever knows an execution's id learns how it ended: nobody guesses 128 random bits.
_ID_BYTES = 16


@record
class Bench:
    """Where durable executions are worked on.

    Attributes:
        place: Which store, in the words of `--store`; None: what the settings say.
        folder: Where the workflows are that `workflow` steps name.
    """

    settings: Configured
    available: Sequence[Available]
    place: str | None = None
    folder: str = "."


def neighbours(bench: Bench) -> Neighbours:
    """Return what finds the workflows that `workflow` steps name."""
    limits = compose.source_limits(bench.settings.settings)
    return Neighbours(bench.folder, compose.catalog(bench.available), limits)


async def _workflows(bench: Bench, *, files_first: bool) -> Workflows:
    """Return what finds workflows in files, and among what is deployed in the store.

    Args:
        files_first: Of two with one name, a file's; else what is deployed: executions that
            were begun before have little to do with the files that are at hand.
    """
    settings = bench.settings.settings
    url = bench.place or settings.store.url
    plans = await in_records(
        url, lambda records: active_plans(settings, records, bench.available)
    )
    files = neighbours(bench)

    def found(tenant: str, name: str) -> Plan | None:
        deployed = plans.get((tenant, name))
        if files_first or deployed is None:
            return files(tenant, name) or deployed
        return deployed

    return found


def new_id() -> str:
    """Return an id that no other execution or worker has."""
    return secrets.token_hex(_ID_BYTES)


def hand_of(bench: Bench, store: Store) -> Hand:
    """Return what changes the course of executions in `store`."""
    kernel_for = partial(compose.kernel, bench.settings.settings)
    own = f"hand-{new_id()}", now_ms(), bench.settings.secrets
    return Hand(store, kernel_for, *own, whoever())


def start_and_finish(bench: Bench, plan: Plan, start: Start) -> Shown:
    """Start an execution, run it to its end, and return it.

    A key that was used before gives the first execution, which is run to its end as well;
    with another input it is refused.
    """

    async def begin(driver: JournalDriver, store: Store) -> Summary:
        summary = await driver.start(plan, start)
        execution_id = summary.new.execution_id
        if execution_id != start.execution_id:
            check_same(await store.read(execution_id), start, plan.content_hash)
            say(f"execution {execution_id} was started with this key before")
        return summary

    return _run(bench, begin, files_first=True)


def change_and_finish(
    bench: Bench, change: Callable[[Hand], Awaitable[Summary]], *, is_left: bool
) -> Shown:
    """Change an execution's course, and run it to its end unless it `is_left`."""

    async def begin(driver: JournalDriver, store: Store) -> Summary:
        summary = await change(hand_of(bench, store))
        driver.stir()
        return summary

    return _run(bench, begin, is_left=is_left)


def _run(
    bench: Bench,
    begin: Callable[[JournalDriver, Store], Awaitable[Summary]],
    *,
    is_left: bool = False,
    files_first: bool = False,
) -> Shown:
    async def main() -> Shown:
        async with worker(bench, files_first=files_first) as (driver, store):
            execution_id = (await begin(driver, store)).new.execution_id
            say(f"execution {execution_id}")
            await _tell_queue(store, execution_id)
            if not is_left:
                await driver.ended(execution_id, _is_enough)
                await _tell_missing(hand_of(bench, store), execution_id)
                await driver.ended(execution_id, is_at_rest)
            shown = show(await store.read(execution_id), now_ms())
            if not is_left and shown.status == RUNNING:
                _tell_incidents(shown)
            return shown

    return finish(main())


def _is_enough(standing: Standing) -> bool:
    return is_at_rest(standing) or waits_for_worker(standing)


async def _tell_missing(hand: Hand, execution_id: str) -> None:
    """Say what keeps an execution from going on here; another worker may have it.

    Raises:
        SecretMissing: It is a secret.
    """
    history = await hand.store.read(execution_id)
    standing = history.summary.standing
    if not waits_for_worker(standing):
        return
    if standing.error_code == SecretMissing.code:
        if names := await secrets_lacking(hand, history):
            raise SecretMissing(execution_id, names)
        return
    needs = [str(one["needs"]) for one in await waits(hand, history) if "needs" in one]
    say(str(WorkerMissing(execution_id, needs)))


async def _tell_queue(store: Store, execution_id: str) -> None:
    for found in await store.find(Search(execution_ids=(execution_id,))):
        if found.lane_state == QUEUED:
            behind = (await queue_of(store, found))["behind"]
            assert isinstance(behind, list)
            say(
                f"it waits for its turn in lane {found.new.lane}: {len(behind)} before it, "
                f"the first is {behind[0] if behind else 'ending'}"
            )


def _tell_incidents(shown: Shown) -> NoReturn:
    """End: the execution goes on only when a person says how."""
    if shown.summary.standing.error_code == Quarantined.code:
        give_up(Quarantined(shown.execution_id))
    steps = [one.step for one in shown.trace.steps.values() if one.status == "in doubt"]
    stop(
        f"execution {shown.execution_id} waits for a decision: nobody knows whether "
        f"{', '.join(steps)} was done; find out, then `plait executions decide "
        f"{shown.execution_id} --as retry|done|fail`",
        code=EXIT_FAILED,
    )


@asynccontextmanager
async def store_of(bench: Bench) -> AsyncIterator[Store]:
    """Open the store until the end of the block."""
    store = await open_store(bench.place or bench.settings.settings.store.url)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def worker(
    bench: Bench, *, files_first: bool = False
) -> AsyncIterator[tuple[JournalDriver, Store]]:
    """Open the store, and run whatever is due in it, until the end of the block.

    Args:
        files_first: See `_workflows`.
    """
    async with store_of(bench) as store:
        workflows = await _workflows(bench, files_first=files_first)
        performer = performer_of(bench.settings, bench.available)
        driver = compose.journal_driver(
            bench.settings,
            store,
            performer,
            worker_id=new_id(),
            workflows=workflows,
        )
        try:
            await driver.open()
            yield driver, store
        finally:
            await close_all(driver.close, performer.close)

"""Looking after a journal: verifying what it holds, and removing what is old.

Rule 1. Verifying changes nothing, unless it is to repair, and then no row or history.
        Damage in one execution hides none in another.
Rule 2. What is to be archived is in the archive, on the disk, before it is removed.

Not here: the archive's lines (plait.operations.archive), what a store does for its own
upkeep (behind plait.ports.upkeep).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import replace
from typing import ClassVar, Final, Protocol

from plait.drivers.journal import MessageUnreadable, Store, verify
from plait.model.errors import Advice, PlaitError
from plait.model.record import record
from plait.operations.archive import line_of
from plait.operations.checking import Checker
from plait.operations.course import Hand
from plait.ports.derived import Derived, Difference, Indexed, StoreInconsistent
from plait.ports.journal import Search, StoreUnavailable, Summary, UnknownExecution
from plait.ports.upkeep import Upkeep

_PAGE: Final = 100


class NoUpkeep(PlaitError):
    """The store is looked after by its own server's means."""

    code: ClassVar[str] = "store.no_upkeep"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, wish: str) -> None:
        super().__init__(f"Plait cannot {wish} this store: use its own server's means")


@record
class Checked:
    """What came of looking at one execution, or at the store around all of them.

    Attributes:
        execution_id: None: this is about the store.
        code: What is wrong, as a stable code; None: nothing.
        reason: The same for people.
        lane: Which lane this is about; None: none.
        is_mended: Whether it was wrong, and is so no more.
    """

    execution_id: str | None
    code: str | None = None
    reason: str | None = None
    lane: str | None = None
    is_mended: bool = False


@record
class Retention:
    """Which executions are removed: those that ended before, and in one of these ways."""

    before_ms: int
    statuses: tuple[str, ...]


@record
class Removed:
    """What came of removing.

    Attributes:
        count: How many executions were removed.
        kept: Those that should have been and could not be archived, and why.
    """

    count: int
    kept: list[Checked]


class Archive(Protocol):
    """Takes lines in."""

    def write(self, line: bytes) -> None:
        """Add a line.

        Raises:
            OSError: It cannot be written.
        """
        ...

    def sync(self) -> None:
        """Return when all that was written is on the disk.

        Raises:
            OSError: Whether it is cannot be known.
        """
        ...


def upkeep_of(store: Store, wish: str) -> Upkeep:
    """Return what looks after `store`.

    Raises:
        NoUpkeep: The store offers nothing of the kind.
    """
    if not isinstance(store, Upkeep):
        raise NoUpkeep(wish)
    return store


async def verify_all(
    hand: Hand, ids: Sequence[str] = (), *, repairs: bool = False
) -> AsyncIterator[Checked]:
    """Yield how each execution is, damaged or not; then what is wrong with the store.

    Args:
        ids: These only; none: all there are, and the store itself.
        repairs: Make anew what the store derives from the executions that are whole.
    """
    checker, damaged = Checker(hand), set[str]()
    # First: executions are found, and all that is derived compared, by means of indexes.
    if repairs and not ids and isinstance(hand.store, Indexed):
        for one in await hand.store.rebuild():
            yield _of(one)
    async for execution_id in _each(ids) if ids else _all_ids(hand.store):
        checked = await _checked(hand.store, checker, execution_id)
        if checked.code not in (None, MessageUnreadable.code):
            damaged.add(execution_id)
        # What somebody has removed since they were listed is no damage.
        if ids or checked.code != UnknownExecution.code:
            yield checked
    if not ids:
        async for problem in _problems(hand.store, damaged, repairs):
            yield problem


async def _problems(
    store: Store, damaged: Collection[str], repairs: bool
) -> AsyncIterator[Checked]:
    """Yield what is wrong with the store around its executions."""
    if isinstance(store, Upkeep):
        for problem in await store.check():
            yield Checked(None, "store.damaged", problem)
    if isinstance(store, Derived):
        for one in await store.differences(mends=repairs, unsure=damaged):
            yield _of(one)


def _of(difference: Difference) -> Checked:
    found = StoreInconsistent(difference)
    reason = difference.reason if difference.is_mended else str(found)
    whose = (difference.lane, difference.is_mended)
    return Checked(difference.execution_id, found.code, reason, *whose)


async def _checked(store: Store, checker: Checker, execution_id: str) -> Checked:
    try:
        history = await store.read(execution_id)
        await checker.check(history)
        if history.aside:
            raise MessageUnreadable(history.aside[0])
    except StoreUnavailable:
        raise
    except PlaitError as error:
        return Checked(execution_id, error.code, str(error))
    return Checked(execution_id)


async def _each(ids: Sequence[str]) -> AsyncIterator[str]:
    for execution_id in ids:
        yield execution_id


async def _all_ids(store: Store) -> AsyncIterator[str]:
    if isinstance(store, Upkeep):
        for execution_id in await store.ids():
            yield execution_id
        return
    async for summary in every(store, Search()):
        yield summary.new.execution_id


async def every(store: Store, search: Search) -> AsyncIterator[Summary]:
    """Yield the rows of all executions that are asked for, the latest created first."""
    before: int | None = None
    while True:
        page = await store.find(replace(search, before=before, limit=_PAGE))
        for summary in page:
            yield summary
        if len(page) < _PAGE:
            return
        before = page[-1].number


async def remove(store: Store, rule: Retention, archive: Archive | None) -> Removed:
    """Remove the executions that the rule names; their space is given back by upkeep.

    Raises:
        NoUpkeep: The store offers no upkeep.
        StoreUnavailable: What was not removed by then is there still.
        OSError: The archive cannot be written; what was not archived is there still.
    """
    pages = [
        page async for page in removals(upkeep_of(store, "compact"), store, rule, archive)
    ]
    kept = [one for page in pages for one in page.kept]
    return Removed(sum(page.count for page in pages), kept)


async def removals(
    upkeep: Upkeep, store: Store, rule: Retention, archive: Archive | None
) -> AsyncGenerator[Removed, None]:
    """Remove the executions that the rule names, some at a time; yield each time.

    Raises:
        StoreUnavailable, OSError: As for `remove`.
    """
    last: Summary | None = None
    while page := await upkeep.ended(rule.before_ms, rule.statuses, _PAGE, last):
        last = page[-1]
        kept = list[Checked]()
        if archive is not None:
            page = await _archived(store, page, archive, kept)
        yield Removed(len(await upkeep.remove(page)), kept)


async def _archived(
    store: Store, page: list[Summary], archive: Archive, kept: list[Checked]
) -> list[Summary]:
    """Archive executions; return those whose line is on the disk, as they are there."""
    archived = list[Summary]()
    for summary in page:
        execution_id = summary.new.execution_id
        try:
            history = await store.read(execution_id)
            verify(history)
            line = await line_of(store, history)
            await asyncio.to_thread(archive.write, line)
            archived.append(history.summary)
        except UnknownExecution:  # somebody else has removed it meanwhile
            continue
        except StoreUnavailable:
            raise
        except PlaitError as error:
            kept.append(Checked(execution_id, error.code, str(error)))
    await asyncio.to_thread(archive.sync)
    return archived

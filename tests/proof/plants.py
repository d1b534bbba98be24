"""Planted bugs: engines, drivers and stores that break one promise each.

Each is made by patching at run time, in here and nowhere else, and the simulator has to
find it. What it cannot find it does not prove.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from plait.drivers.journal import JournalDriver, Start, Store, history, telling
from plait.drivers.journal import driver as driver_module
from plait.drivers.journal import holding as holding_module
from plait.drivers.journal import kernels as kernels_module
from plait.drivers.journal.adopting import Unwritten
from plait.drivers.journal.deaths import Deaths
from plait.drivers.journal.holding import Holding
from plait.drivers.journal.live import Live
from plait.drivers.journal.rounds import Rounds
from plait.drivers.journal.telling import Telling
from plait.kernel import Command, StartCall
from plait.kernel.codec import dump_turn
from plait.plan import Plan
from plait.ports.journal import (
    RUNNING,
    Append,
    Created,
    Entry,
    History,
    Hold,
    Message,
    NewExecution,
    Standing,
    StoreUnavailable,
    Summary,
)
from plait.stores.memory import MemoryStore


@dataclass(frozen=True, slots=True)
class Plant:
    """One broken variant; while `planted` is open everything runs with it.

    Attributes:
        first_seed: 0 to look for it with the fourteen workflows, 1 with random documents.
    """

    name: str
    planted: Callable[[], AbstractContextManager[None]]
    first_seed: int = 0


@contextmanager
def patched(owner: Any, name: str, broken: Any) -> Iterator[None]:
    """Put `broken` in the place of an attribute of `owner`."""
    sound = getattr(owner, name)
    setattr(owner, name, broken)
    try:
        yield
    finally:
        setattr(owner, name, sound)


def plant(name: str, owner: Any, attribute: str, broken: Any) -> Plant:
    """Return the plant that patches one attribute."""
    return Plant(name, lambda: patched(owner, attribute, broken))


# -- the driver --------------------------------------------------------------------------

_start = JournalDriver.start
_adopt = JournalDriver.adopt
_rebuilt = Holding._rebuilt
_put = Holding._put
_start_call = Live._start_call
_rebuild = Live.rebuild
_append_of = Live._append
_decide = Live._decide
_init_deaths = Deaths.__init__
_background: set[asyncio.Task[Any]] = set()


async def _acknowledge_at_once(self: JournalDriver, plan: Plan, start: Start) -> Summary:
    task = asyncio.ensure_future(_start(self, plan, start))
    _background.add(task)
    task.add_done_callback(_forget)
    new = NewExecution(start.execution_id, plan.name, "", 0, "", start.key)
    return Summary(new, Standing(RUNNING, 0, 0), 1, b"", 1, None)


def _forget(task: asyncio.Task[Any]) -> None:
    _background.discard(task)
    if not task.cancelled():
        task.exception()


def _decide_and_act(self: Live) -> tuple[list[Command], Append | None]:
    commands, append = _decide(self)
    if append is not None:
        self.act(commands)
        commands = []
    return commands, append


async def _record_without_care(self: Live, append: Append) -> None:
    with suppress(StoreUnavailable):
        await self.host.journal.append(append)


async def _record_again(self: Live, append: Append) -> None:
    """As it was, but for an answer that was lost: the same is written once more."""
    try:
        await self.host.journal.append(append)
    except StoreUnavailable:
        journal: Any = self.host.journal
        found = (await journal.read(append.execution_id)).summary
        again = replace(append, expected_length=found.length, epoch=found.epoch)
        await self.host.journal.append(again)


def _append_telling_the_end(self: Live, *given: Any) -> Append:
    append = _append_of(self, *given)
    if append.standing.status != RUNNING:
        ended = replace(self.summary, standing=append.standing)
        self.host._worker.waiters.tell(ended)  # type: ignore[attr-defined]  # Holding
    return append


def _append_without_alarm(self: Live, *given: Any) -> Append:
    append = _append_of(self, *given)
    if append.is_released:
        return replace(append, standing=replace(append.standing, wake_at_ms=None))
    return append


def _call_with_key_per_attempt(self: Live, call: StartCall) -> None:
    key = call.idempotency_key and f"{call.idempotency_key}#{call.attempt}"
    _start_call(self, replace(call, idempotency_key=key))


def _call_with_key_per_life(self: Live, call: StartCall) -> None:
    key = call.idempotency_key and f"{call.idempotency_key}#{self.summary.epoch}"
    _start_call(self, replace(call, idempotency_key=key))


def _rebuild_without_timers(
    self: Live, summary: Summary, told: Any, *, is_unknown: bool
) -> None:
    told.outstanding.timers.clear()
    _rebuild(self, summary, told, is_unknown=is_unknown)


def _rebuild_without_calls(
    self: Live, summary: Summary, told: Any, *, is_unknown: bool
) -> None:
    told.outstanding.calls.clear()
    _rebuild(self, summary, told, is_unknown=is_unknown)


def _rebuild_without_doubt(
    self: Live, summary: Summary, told: Any, *, is_unknown: bool
) -> None:
    del is_unknown
    _rebuild(self, summary, told, is_unknown=False)


def _put_without_what_waits(
    self: Holding, history: History, found: Summary, told: Telling, *rest: Any, **given: Any
) -> None:
    _put(self, replace(history, waiting=()), found, told, *rest, **given)


async def _rebuilt_in_any_epoch(
    self: Holding, held: Summary, live: Any, *, is_claimed: bool = False
) -> None:
    found = (await self.journal.read(held.new.execution_id)).summary
    await _rebuilt(self, replace(held, epoch=found.epoch), live, is_claimed=is_claimed)


async def _nothing_is_lost(self: Rounds) -> None:
    self._worker.is_unsure = False


async def _end_no_children(self: Live) -> None:
    """Tell the children after the parent has ended, or left: if the worker lives."""
    given_up = list(self.outstanding.given_up)
    self.outstanding.given_up.clear()
    if given_up:
        task = asyncio.ensure_future(self.host.children.end(given_up))
        _background.add(task)
        task.add_done_callback(_forget)
        self.is_to_rest = True


def _call_with_key_of_no_iteration(self: Live, call: StartCall) -> None:
    key = call.idempotency_key and re.sub(r"\[\d+\]", "[]", call.idempotency_key)
    _start_call(self, replace(call, idempotency_key=key))


def _count_three_deaths(self: Deaths, *given: Any) -> None:
    _init_deaths(self, *given)
    self._count_max = 3


def _count_no_deaths(self: Deaths, *given: Any) -> None:
    _init_deaths(self, *given)
    self._count_max = sys.maxsize


async def _adopt_and_act(self: JournalDriver, live: Live, unwritten: Unwritten) -> Summary:
    summary = await _adopt(self, live, unwritten)
    live.act(list(live.outstanding.calls.values()))
    return summary


async def _adopt_the_beginning(
    self: JournalDriver, live: Live, unwritten: Unwritten
) -> Summary:
    return await _adopt(self, live, replace(unwritten, entries=unwritten.entries[:1]))


async def _write_down_once(
    store: Store, worker_id: str, now_ms: int, unwritten: Unwritten
) -> Summary:
    del now_ms
    new, entries, standing = unwritten.new, unwritten.entries, unwritten.standing
    return (await store.create(new, entries, standing, worker_id)).summary


def _give_up_at_once(live: Live | None, told: Telling) -> bool:
    return live is not None and live.refusals > 0 and told.state.end is None


# -- histories ---------------------------------------------------------------------------

_dump_turn = dump_turn


class _Agreeing(bytes):
    """Bytes that differ from nothing."""

    def __ne__(self, other: object) -> bool:
        return False


def _unchained(digest_before: bytes, body: bytes) -> bytes:
    del digest_before
    return _link(b"", body)


_link = history._link


# -- the store ---------------------------------------------------------------------------

_append = MemoryStore.append
_create = MemoryStore.create
_hold = MemoryStore._hold
_init = MemoryStore.__init__


async def _append_without_fence(self: MemoryStore, append: Append) -> None:
    kept = self._histories[append.execution_id]
    owner = kept.summary.owner or "anybody"
    held = History(replace(kept.summary, owner=owner), kept.entries)
    self._histories[append.execution_id] = held
    await _append(self, replace(append, epoch=held.summary.epoch))


async def _append_at_any_length(self: MemoryStore, append: Append) -> None:
    length = self._histories[append.execution_id].summary.length
    await _append(self, replace(append, expected_length=length))


async def _append_in_part(self: MemoryStore, append: Append) -> None:
    before = len(self._histories[append.execution_id].entries)
    await _append(self, append)
    del self._histories[append.execution_id].entries[before + 1 :]


async def _append_not_yet_durable(self: MemoryStore, append: Append) -> None:
    """Every 40th acknowledged write is lost, as when the power fails before the fsync."""
    before = self._histories[append.execution_id]
    entries = list(before.entries)
    await _append(self, append)
    if append.entries and append.entries[-1].digest[0] % 40 == 0:
        self._histories[append.execution_id] = History(before.summary, entries)


async def _create_for_any_key(
    self: MemoryStore,
    new: NewExecution,
    entries: Sequence[Entry],
    standing: Standing,
    owner: str,
    under: Hold | None = None,
) -> Created:
    return await _create(self, replace(new, key=None), entries, standing, owner, under)


def _free_whoever_holds_it(self: MemoryStore) -> list[Summary]:
    every = [one.summary for one in self._histories.values()]
    # Once each: workers that take all from each other all the time come to no end.
    return [one for one in every if one.standing.status == RUNNING and one.epoch < 3]


def _hold_in_the_same_epoch(self: MemoryStore, worker_id: str, summary: Summary) -> Summary:
    return _hold(self, worker_id, replace(summary, epoch=summary.epoch - 1))


async def _post_nothing(self: MemoryStore, message: Message) -> None:
    del self, message


class _Unenrolled(dict[str, int]):
    def setdefault(self, key: str, default: int = 0) -> int:
        return self.get(key, default)


def _init_without_enrolling(self: MemoryStore) -> None:
    _init(self)
    self._workers = _Unenrolled()


PLANTS: Final = (
    plant("acknowledges before it commits", JournalDriver, "start", _acknowledge_at_once),
    plant("acts before it records", Live, "_decide", _decide_and_act),
    plant("takes a failed write for done", Live, "_record", _record_without_care),
    plant("writes again what may be written", Live, "_record", _record_again),
    plant("tells the end before it records it", Live, "_append", _append_telling_the_end),
    plant("forgets when to wake", Live, "_append", _append_without_alarm),
    plant("another key for each attempt", Live, "_start_call", _call_with_key_per_attempt),
    plant("another key after each crash", Live, "_start_call", _call_with_key_per_life),
    plant(
        "one key for all iterations", Live, "_start_call", _call_with_key_of_no_iteration
    ),
    plant("loses timers in recovery", Live, "rebuild", _rebuild_without_timers),
    plant("loses calls in recovery", Live, "rebuild", _rebuild_without_calls),
    replace(
        plant("repeats unsafe calls", Live, "rebuild", _rebuild_without_doubt), first_seed=1
    ),
    plant(
        "repeats what was completed", telling.Outstanding, "hear", lambda self, event: None
    ),
    plant("acts before it hears", Holding, "_put", _put_without_what_waits),
    plant("goes on in its successor's epoch", Holding, "_rebuilt", _rebuilt_in_any_epoch),
    plant("tells children when it is too late", Live, "_end_children", _end_no_children),
    plant("forgets what a lost answer gave", Rounds, "_find_lost", _nothing_is_lost),
    plant("promotes and calls again", JournalDriver, "adopt", _adopt_and_act),
    plant("promotes the beginning only", JournalDriver, "adopt", _adopt_the_beginning),
    plant(
        "takes a promotion's lost answer for no",
        driver_module,
        "write_down",
        _write_down_once,
    ),
    plant("runs what kills for ever", Deaths, "__init__", _count_no_deaths),
    plant("quarantines too early", Deaths, "__init__", _count_three_deaths),
    plant(
        "tries for ever what is refused",
        holding_module,
        "is_given_up",
        lambda live, told: False,
    ),
    plant("gives up at the first refusal", holding_module, "is_given_up", _give_up_at_once),
    plant("digests are not chained", history, "_link", _unchained),
    plant("histories are not verified", kernels_module, "verify", lambda history: None),
    plant(
        "replays are not compared",
        history,
        "dump_turn",
        lambda events: _Agreeing(_dump_turn(events)),
    ),
    plant("no fencing", MemoryStore, "append", _append_without_fence),
    plant("no check of the length", MemoryStore, "append", _append_at_any_length),
    plant("half of a batch is kept", MemoryStore, "append", _append_in_part),
    plant("fsync is skipped", MemoryStore, "append", _append_not_yet_durable),
    plant("keys of starts are ignored", MemoryStore, "create", _create_for_any_key),
    plant("claims ignore the owner", MemoryStore, "_free", _free_whoever_holds_it),
    plant("claims leave the epoch", MemoryStore, "_hold", _hold_in_the_same_epoch),
    plant("wishes to cancel are lost", MemoryStore, "post", _post_nothing),
    plant("the dead keep what they hold", MemoryStore, "__init__", _init_without_enrolling),
)

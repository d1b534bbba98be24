"""Histories: entries out of turns, and turns out of entries again.

Rule 1. Each entry's digest covers all entries before it and what the row says of how the
        execution began; the row keeps length and latest digest. An entry changed, lost or
        added by anybody else is found, and so is a key, a tag or a parent. Where a history
        begins anew so does the chain; the entry says what the digest was before.
Rule 2. A replay must conclude what was concluded then. It compares bytes, so a kernel that
        has changed its mind is found before it acts on it. Fields that an older version
        did not write count as it meant them: at their default.
Rule 3. Which calls could not be asked for, and that the history was too long, is told as it
        was: secrets and limits are of today, and decide nothing that has happened.

Not here: keeping the bytes (behind plait.ports.journal).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Final, cast

import orjson

from plait.drivers.journal.telling import Telling
from plait.drivers.tenancy import secrets_of
from plait.kernel import Command, Kernel, recorded
from plait.kernel.codec import dump_turn, load_turn
from plait.kernel.events import (
    Event,
    ExecutionResumed,
    ExecutionStarted,
    HistoryBegun,
    OutsideEvent,
    WorkerLost,
)
from plait.model.caller import DEFAULT_TENANT
from plait.model.errors import PlaitError
from plait.ports.journal import Entry, History, NewExecution

DIGEST_BYTES: Final = 16
# What chains began with before they covered the row.
_NO_DIGEST: Final = b""


class HistoryDamaged(PlaitError):
    """An execution's entries are not those that were written."""

    code: ClassVar[str] = "journal.damaged"

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(
            f"the history of execution {execution_id} is damaged: {reason}; "
            "it does not run until it is restored from a backup"
        )
        self.execution_id = execution_id
        self.reason = reason


class HistoryMismatch(PlaitError):
    """A replay concluded something else than the execution did when it ran."""

    code: ClassVar[str] = "journal.mismatch"

    def __init__(self, execution_id: str, number: int | None) -> None:
        where = "" if number is None else f" from entry {number} on"
        super().__init__(
            f"execution {execution_id} cannot go on: this version of Plait decides "
            f"otherwise than its history says{where}"
        )
        self.execution_id = execution_id
        self.number = number


def entry_of(events: list[Event], digest_before: bytes) -> Entry:
    """Return the entry for one turn's events, linked to what came before."""
    body = dump_turn(events)
    return Entry(body, _link(digest_before, body))


def origin_of(new: NewExecution) -> bytes:
    """Return the digest that an execution's chain begins with: that of its row.

    >>> new = NewExecution("x1", "shop", "sha256:1", 0, "{}", tags=("vip",))
    >>> origin_of(new).hex()
    '504c1a6e459486275baa2b40b4ba5097'
    """
    columns = (
        (new.execution_id, new.workflow, new.plan_hash, new.created_at_ms, new.input),
        (new.key, new.tags, new.priority, new.parent, new.lane, new.lane_max),
        # Histories from before there were tenants are the default one's.
        *(() if new.tenant == DEFAULT_TENANT else (new.tenant,)),
    )
    return hashlib.blake2b(orjson.dumps(columns), digest_size=DIGEST_BYTES).digest()


def chained(new: NewExecution, bodies: Iterable[bytes]) -> list[Entry]:
    """Return the entries of an execution that begins with more than one turn."""
    digest = origin_of(new)
    entries = list[Entry]()
    for body in bodies:
        digest = _link(digest, body)
        entries.append(Entry(body, digest))
    return entries


def _link(digest_before: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(digest_before + body, digest_size=DIGEST_BYTES).digest()


def verify(history: History) -> None:
    """Check that entries, chain and row belong together.

    Raises:
        HistoryDamaged: They do not.
    """
    summary = history.summary
    execution_id = summary.new.execution_id
    digest = _beginning_of(history)
    for number, entry in enumerate(history.entries, start=1):
        digest = _link(digest, entry.body)
        if digest != entry.digest:
            what = "its row, or entry 1," if number == 1 else f"entry {number}"
            raise HistoryDamaged(execution_id, f"{what} has been altered")
    if len(history.entries) + _dropped_count(history) != summary.length:
        found = f"{len(history.entries)} of {summary.length} entries are there"
        raise HistoryDamaged(execution_id, found)
    if digest != summary.head:
        raise HistoryDamaged(execution_id, "its latest entry is not the one last written")


def _dropped_count(history: History) -> int:
    """Return how many entries came before the first that is kept, by what that says."""
    count = len(history.entries)
    if not count or count == history.summary.length:
        return 0  # whole, or taken in from an archive, where counting began with it
    first = load_turn(history.entries[0].body)[0]
    return first.number - 1 if isinstance(first, HistoryBegun) else 0


def _beginning_of(history: History) -> bytes:
    first = history.entries[:1]
    is_old = any(_link(_NO_DIGEST, one.body) == one.digest for one in first)
    return _NO_DIGEST if is_old or not first else origin_of(history.summary.new)


def _unheeded(commands: Iterable[Command]) -> None:
    del commands


def replay(
    history: History,
    kernel: Kernel,
    secrets: Mapping[str, str],
    heed: Callable[[Iterable[Command]], None] = _unheeded,
) -> Telling:
    """Feed a verified history to the kernel again; act on nothing.

    Args:
        heed: Sees what the kernel asked for, turn by turn.

    Raises:
        HistoryMismatch: The kernel concludes something else now.
        TurnUnreadable: A newer version wrote an entry.
        BehaviourUnknown: A newer kernel started the execution.
    """
    own = secrets_of(history.summary.new.tenant, secrets)
    try:
        return _retold(history, kernel, own, heed)
    except PlaitError:
        raise
    except Exception as error:
        # No mistake in one history may end whatever looks at many of them.
        raise HistoryMismatch(history.summary.new.execution_id, None) from error


def _retold(
    history: History,
    kernel: Kernel,
    secrets: Mapping[str, str],
    heed: Callable[[Iterable[Command]], None],
) -> Telling:
    events = load_turn(history.entries[0].body)
    first = events[0]
    if isinstance(first, HistoryBegun):
        told, turn = Telling.anew(kernel, first, secrets), None
        heed(told.outstanding.calls.values())
    else:
        started = cast("ExecutionStarted", first)
        told, turn = Telling.begin(kernel, started, secrets, recorded(events))
        heed(turn.commands)
    for number, entry in enumerate(history.entries, start=1):
        if number > 1:
            events = load_turn(entry.body)
            event = cast("OutsideEvent", events[0])
            if isinstance(event, ExecutionResumed):
                told = told.again(event)
                heed(told.outstanding.calls.values())
                continue
            if isinstance(event, WorkerLost):
                told.outstanding.is_quarantined = event.is_quarantined
                continue
            turn = told.tell(event, recorded(events))
            heed(turn.commands)
        is_same = turn is None or (turn.events and _is_same(turn.events, entry.body))
        if not is_same:
            raise HistoryMismatch(history.summary.new.execution_id, number)
    return told


def _is_same(concluded: list[Event], body: bytes) -> bool:
    """Whether an entry says what was concluded now, though it lacks fields that are new."""
    bytes_now = dump_turn(concluded)
    return bytes_now == body or bytes_now == dump_turn(load_turn(body))


def is_untouched(history: History) -> bool:
    """Tell whether nobody has acted on an execution since it was begun or resumed by hand.

    The last entry says in whose hands it was then; who holds it next comes right after.
    """
    last = load_turn(history.entries[-1].body)[0]
    if not isinstance(last, ExecutionResumed):
        return False
    return history.summary.epoch == last.epoch + 1

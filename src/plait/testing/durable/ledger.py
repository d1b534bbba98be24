"""The ledger: a second book of what was written, handed out and called, kept by nobody
who is under test. Whatever contradicts it is a broken invariant.

Rule. It takes no store's, driver's or kernel's word: it is told of every write when the
      store accepts it, of every call when it reaches the upstream, and compares.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from plait.drivers.journal import DEATHS_MAX, origin_of
from plait.kernel.codec import load_turn
from plait.kernel.events import (
    CallCompleted,
    CallFailed,
    CompensationEnded,
    CompensationRequested,
    IncidentRaised,
    RetryStarted,
    StepStarted,
    TerminalEvent,
    WorkerLost,
)
from plait.kernel.paths import is_within, without_rounds
from plait.ports.calls import Call
from plait.ports.journal import (
    RUNNING,
    Append,
    Created,
    Entry,
    Message,
    NewExecution,
    Summary,
)
from plait.testing.durable.faults import Fate, Fault

BROKEN_MAX: Final = 20
# A worker that was given an execution by a lost answer does not know that another died of
# it, so some deaths are not counted.
KILLS_MAX: Final = 2 * DEATHS_MAX


@dataclass(slots=True)
class Account:
    """What the ledger knows of one execution.

    Attributes:
        holder: The worker that the store gave it to last; None once it was given back.
        heard: The messages that it has heard since it began, or ended last.
        waiting: The messages that it has not heard, each with the epoch it came in.
        begun: Attempts of steps that are recorded as begun.
        settled: Attempts whose outcome is recorded.
        made: How often each attempt's call has reached the upstream.
        shown: Of which epoch each worker was shown the history last.
        damaged_epochs: Epochs in which its holder was shown a damaged history.
        undone: How often each step, without its rounds, was undone.
        dropped_count: How many entries came before its history last began anew.
        kill_count: How many of its holders have died of it since it got on.
    """

    new: NewExecution
    entries: list[Entry]
    epoch: int
    holder: str | None
    begun: set[tuple[str, int]] = field(default_factory=set)
    settled: set[tuple[str, int]] = field(default_factory=set)
    made: Counter[tuple[str, int]] = field(default_factory=Counter)
    heard: set[str] = field(default_factory=set)
    waiting: dict[str, int] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    terminal_count: int = 0
    ended_at_s: float | None = None
    is_disturbed: bool = False
    damaged_epochs: set[int] = field(default_factory=set)
    undone: Counter[str] = field(default_factory=Counter)
    dropped_count: int = 0
    kill_count: int = 0


class Ledger:
    """Books everything, and notes what must not be in `broken`.

    Attributes:
        refused: Executions of which the store takes in no answer, ever.
        deadly: Executions that kill whoever makes their first call, and that call.
        killed_at_s: When one of them has done so last.
        unwritten: Executions that run in memory until they are promoted, and the calls
            that they had made by then.
    """

    def __init__(self, fate: Fate) -> None:
        self.broken: list[str] = []
        self.accounts: dict[str, Account] = {}
        self.refused: set[str] = set()
        self.deadly: dict[str, tuple[str, int] | None] = {}
        self.killed_at_s = 0.0
        self.unwritten: dict[str, list[Call]] = {}
        self._disturbed: set[str] = set()
        self.lease_until_ms: dict[str, int] = {}
        self._fired = fate.fired
        self._ids: dict[tuple[str, str], str] = {}
        self._keys: dict[str, tuple[str, str, int]] = {}
        self._key_of: dict[tuple[str, str, int], str] = {}

    def breach(self, text: str) -> None:
        """Note a broken invariant."""
        if len(self.broken) < BROKEN_MAX:
            self.broken.append(text)

    # -- writes ------------------------------------------------------------------------

    def created(
        self, worker_id: str, new: NewExecution, entries: Sequence[Entry], created: Created
    ) -> None:
        """The store says that an execution was begun, or had been before."""
        name = created.summary.new.execution_id
        known = None if new.key is None else self._ids.get((new.workflow, new.key))
        if not created.is_new:
            if known != name:
                self.breach(f"{name}: the store gives it for a key that is not its own")
            return
        if known is not None or new.execution_id in self.accounts:
            self.breach(f"{name}: begun a second time, with key {new.key!r}")
        if new.key is not None:
            self._ids[new.workflow, new.key] = name
        self.lease_until_ms.setdefault(worker_id, 0)
        self.accounts[name] = Account(new, [], created.summary.epoch, worker_id)
        self.accounts[name].shown[worker_id] = created.summary.epoch
        self.accounts[name].is_disturbed = name in self._disturbed
        self._add(self.accounts[name], entries, 0.0)
        self._promote(self.accounts[name])

    def _promote(self, account: Account) -> None:
        """Take in the calls that an execution made before it was written."""
        name = account.new.execution_id
        for call in self.unwritten.get(name, ()):
            attempt = (call.step, call.attempt)
            account.made[attempt] += 1
            if attempt not in account.begun:
                self.breach(f"{name}: its promotion lost that it had called '{call.step}'")

    def appended(self, worker_id: str, append: Append, at_s: float) -> None:
        """The store says that entries were added."""
        name = append.execution_id
        account = self.accounts[name]
        if account.holder != worker_id or account.epoch != append.epoch:
            self.breach(
                f"{name}: a stale write of {worker_id} in epoch {append.epoch} was "
                f"accepted, while {account.holder} holds it in epoch {account.epoch}"
            )
        if append.expected_length != account.dropped_count + len(account.entries):
            self.breach(f"{name}: a write for another length was accepted")
        if append.epoch in account.damaged_epochs:
            self.breach(f"{name}: {worker_id} went on from a damaged history")
        account.heard.update(append.heard)
        for message_id in append.heard:
            account.waiting.pop(message_id, None)
        if append.standing.status != RUNNING:
            # Who has ended acts on nothing; a message counts once while it is open.
            account.heard.clear()
            account.waiting.clear()
        if append.begins_history:
            account.dropped_count += len(account.entries)
            account.entries.clear()
        self._add(account, append.entries, at_s)
        if append.is_released:
            account.holder = None

    def _add(self, account: Account, entries: Sequence[Entry], at_s: float) -> None:
        name = account.new.execution_id
        for entry in entries:
            is_first = not account.entries
            before = origin_of(account.new) if is_first else account.entries[-1].digest
            link = hashlib.blake2b(before + entry.body, digest_size=16).digest()
            if entry.digest != link:
                self.breach(f"{name}: an entry is not linked to the one before it")
            account.entries.append(entry)
            self._note(account, entry, at_s)

    def _note(self, account: Account, entry: Entry, at_s: float) -> None:
        events = load_turn(entry.body)
        if not isinstance(events[0], WorkerLost):
            account.kill_count = 0
        for event in events:
            if account.terminal_count and not isinstance(event, CompensationRequested):
                self.breach(
                    f"{account.new.execution_id}: something was recorded after its end"
                )
            match event:
                case StepStarted(step=step):
                    account.begun.add((step, 1))
                case RetryStarted(step=step, attempt=attempt):
                    account.begun.add((step, attempt))
                case (
                    CallCompleted(step=step, attempt=attempt)
                    | CallFailed(step=step, attempt=attempt)
                ):
                    account.settled.add((step, attempt))
                case CompensationRequested():
                    # A rollback of what has ended: it ends once more.
                    account.terminal_count = 0
                case CompensationEnded(undone=undone):
                    account.undone.update(map(without_rounds, undone))
                case IncidentRaised():
                    self._fired[Fault.UNSAFE_UNKNOWN] += 1
                case _ if isinstance(event, TerminalEvent):
                    account.terminal_count += 1
                    account.ended_at_s = at_s
                case _:
                    pass

    def posted(self, message: Message) -> None:
        """The store says that it keeps a message until it is heard."""
        account = self.accounts[message.execution_id]
        if message.message_id not in account.heard and not account.terminal_count:
            account.waiting.setdefault(message.message_id, account.epoch)

    # -- leases ------------------------------------------------------------------------

    def beaten(
        self, worker_id: str, now_ms: int, until_ms: int, messages: Sequence[Message]
    ) -> None:
        """A worker lives on, and was told of messages. Whose lease has run out, by this
        worker's clock, has lost what it held."""
        self.lease_until_ms[worker_id] = until_ms
        for other in [one for one, until in self.lease_until_ms.items() if until < now_ms]:
            self.released(other, None)
        for message in messages:
            account = self.accounts[message.execution_id]
            if message.message_id in account.heard:
                self.breach(
                    f"{message.execution_id}: message {message.message_id} was told "
                    "again after it had been heard"
                )

    def handed(self, worker_id: str, summary: Summary, now_ms: int) -> None:
        """The store gave an execution to a worker."""
        name = summary.new.execution_id
        account = self.accounts[name]
        holder = account.holder
        is_taken = holder is not None and holder != worker_id
        if is_taken and self.lease_until_ms.get(holder or "", -1) >= now_ms:
            self.breach(f"{name}: taken by {worker_id} from {holder}, which lives")
        if summary.epoch <= account.epoch:
            self.breach(f"{name}: it changed hands, and its epoch was not raised")
        self.lease_until_ms.setdefault(worker_id, 0)
        account.epoch, account.holder = summary.epoch, worker_id

    def released(self, worker_id: str, execution_ids: Sequence[str] | None) -> None:
        """A worker gave some, or all, of its executions back."""
        for name in self.accounts if execution_ids is None else execution_ids:
            account = self.accounts.get(name)
            if account is not None and account.holder == worker_id:
                account.holder = None
        if execution_ids is None:
            self.lease_until_ms.pop(worker_id, None)

    def showed(self, worker_id: str, summary: Summary) -> None:
        """A worker was shown an execution's history."""
        self.accounts[summary.new.execution_id].shown[worker_id] = summary.epoch

    # -- calls -------------------------------------------------------------------------

    def called(self, worker_id: str, call: Call) -> None:
        """A call has reached the upstream."""
        name, attempt = call.execution_id, (call.step, call.attempt)
        account = self.accounts.get(name)
        if account is None and name in self.unwritten:
            self.unwritten[name].append(call)
            return
        if account is None:
            self.breach(f"{name}: it called '{call.step}' before its start was recorded")
            return
        is_late = (
            account.holder != worker_id or account.shown.get(worker_id) != account.epoch
        )
        self._check_key(call, is_late=is_late)
        if attempt not in account.begun:
            self.breach(f"{name}: it called '{call.step}' before that was recorded")
        is_repeated = account.made[attempt] > 0
        account.made[attempt] += 1
        if is_late:
            # A worker that hangs between reading, recording and acting does this, and
            # nobody can keep it from it; the key is what makes it harmless.
            self._fired[Fault.CALL_OUT_OF_DATE] += 1
            return
        if is_repeated:
            self._fired[Fault.CALL_REPEATED] += 1
        self._check_repetition(account, call)

    def disturbed(self, name: str) -> None:
        """The upstream did not answer an execution as it does when nothing is wrong."""
        self._disturbed.add(name)
        if name in self.accounts:
            self.accounts[name].is_disturbed = True

    def killed(self, worker_id: str, call: Call) -> bool:
        """Tell whether a worker dies of a call of a deadly execution; note that it did."""
        name, attempt = call.execution_id, (call.step, call.attempt)
        first, account = self.deadly[name], self.accounts.get(name)
        if first not in (None, attempt) or account is None or account.holder != worker_id:
            return False
        self.deadly[name] = attempt
        self.killed_at_s = asyncio.get_running_loop().time()
        account.kill_count += 1
        if account.kill_count > KILLS_MAX:
            self.breach(f"{name}: it has killed {account.kill_count} workers in a row")
        return True

    def _check_repetition(self, account: Account, call: Call) -> None:
        name, attempt = call.execution_id, (call.step, call.attempt)
        if attempt in account.settled:
            self.breach(f"{name}: '{call.step}' was called again after it had an outcome")
        if account.terminal_count:
            self.breach(f"{name}: it called '{call.step}' after its end")
        for message_id, epoch in account.waiting.items():
            if epoch < account.epoch:
                self.breach(
                    f"{name}: it called '{call.step}', by a worker that took it over, "
                    f"before it heard {message_id}"
                )
        if account.made[attempt] > account.epoch:
            self.breach(
                f"{name}: '{call.step}' was called more often than it changed hands"
            )
        if account.epoch in account.damaged_epochs:
            self.breach(f"{name}: it called '{call.step}' out of a damaged history")
        if call.effect == "unsafe" and account.made[attempt] > 1:
            self.breach(f"{name}: the unsafe call '{call.step}' was repeated")

    def _check_key(self, call: Call, *, is_late: bool) -> None:
        key, name = call.idempotency_key, call.execution_id
        if key is None:
            return
        place, undone = without_rounds(call.step), self.accounts[name].undone
        # A step that was undone and is done again makes another call.
        times = sum(count for one, count in undone.items() if is_within(place, one))
        step = (name, place, times)
        known = self._keys.setdefault(key, step)
        # What was undone since a late call was decided, its worker does not know of.
        if known != step and not (is_late and known[:2] == step[:2]):
            self.breach(f"{name}: '{call.step}' has the key of another step: {key}")
        if self._key_of.setdefault(step, key) != key:
            self.breach(f"{name}: '{call.step}' was called with another key: {key}")

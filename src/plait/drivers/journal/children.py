"""Children of durable executions: durable themselves, and found again after a crash.

Rule 1. A child has its own history; its parent's has only what it came to.
Rule 2. A parent that was resumed lets a child go on that had failed, or was cancelled,
        before that; what the child had completed stays.
        One that was undone is not taken back: another does its work, under new keys.
        A child goes on as it began, whatever has become of its document: that decides
        of new ones only.
Rule 3. Cancelling the step cancels the child. That the step is cancelled is recorded first,
        and the parent does not end, nor leave the memory, before its children have been
        told: whoever takes it up after a crash tells them.
Rule 4. A worker that lets go of the parent cancels nothing: the child goes on, and the
        parent's next worker waits for the same one.
Rule 5. A child begins, or goes on, under the hold of its parent: a worker that was stopped
        for a while begins none that others have given up, and told in vain.

Not here: what a child is called (plait.drivers.children).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from plait.drivers.children import (
    Wanted,
    Workflows,
    child_of,
    failure_of,
    reply_of,
    timed_out,
    told_of,
    trigger_of,
    wanted_of,
)
from plait.drivers.inline import Result
from plait.drivers.journal.kernels import Kernels
from plait.drivers.journal.messages import NOT_WANTED, given_up_message
from plait.drivers.journal.resuming import resume_child
from plait.drivers.journal.terms import Start, Store
from plait.model.errors import PlaitError
from plait.model.failure import Failure
from plait.model.record import record
from plait.plan import Plan
from plait.ports.calls import Call, CallReply, Done, Outcome
from plait.ports.journal import (
    RUNNING,
    Hold,
    HoldLost,
    LostRace,
    Search,
    StoreUnavailable,
    Summary,
)

T = TypeVar("T")

_AWAY_S: Final = 1.0
_NOT_WANTED: Final = Failure(
    "execution.cancelled", "nobody waits for the workflow any more"
)


class Parent(Protocol):
    """What children need of the driver."""

    async def start(self, plan: Plan, start: Start) -> Summary:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...

    def ours(self) -> tuple[Store, Kernels, str, int]:
        """Return the store, what decides, the worker's name and the moment."""
        ...

    def stir(self) -> None:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...

    async def ended(self, execution_id: str) -> Summary:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...

    def awaiting(self, execution_id: str) -> AbstractContextManager[None]:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...

    async def result(self, execution_id: str) -> Result:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...

    async def cancel(self, execution_id: str, reason: str, message_id: str) -> None:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...


@record
class _Asked:
    """What a step asks for, and how its execution stands that asks."""

    call: Call
    resumed_at_ms: int
    hold: Callable[[], Hold]


class Child:
    """A child that a step waits for."""

    def __init__(self, waiting: asyncio.Task[Outcome]) -> None:
        self._waiting = waiting

    def cancel(self) -> None:
        """Stop waiting; the child goes on until it is told (`Children.end`)."""
        self._waiting.cancel()


class Children:
    """Starts children, waits for them, and ends them.

    Args:
        spawn: Runs something in the background for as long as the driver lives.
    """

    def __init__(
        self,
        parent: Parent,
        workflows: Workflows,
        spawn: Callable[[Coroutine[Any, Any, str | Failure]], asyncio.Task[str | Failure]],
    ) -> None:
        self._parent = parent
        self._workflows = workflows
        self._spawn = spawn
        # By the child's name, when its parent was resumed last, and the parent's epoch.
        self._starting: dict[tuple[str, int, int], asyncio.Task[str | Failure]] = {}

    def start(
        self, call: Call, done: Done, resumed_at_ms: int, hold: Callable[[], Hold]
    ) -> Child:
        """Start the child that `call` asks for; `done` hears what it came to.

        Args:
            resumed_at_ms: When the parent went on last after a pause; -1: never.
            hold: Returns this worker's latest hold of the parent.
        """
        asked = _Asked(call, resumed_at_ms, hold)
        return Child(told_of(call, partial(self._outcome, asked), done))

    async def end(self, calls: Sequence[Call]) -> None:
        """Cancel the children that `calls` asked for, as far as there are any that run.

        Raises:
            StoreUnavailable: Some may not have been told.
        """
        names = {child_of(call) for call in calls}
        begun = [task for (name, *_), task in self._starting.items() if name in names]
        if begun:
            await asyncio.wait(begun)
        async for child_id in running_of(calls, self._parent.ours()[0]):
            await self._cancel(child_id)

    async def _outcome(self, asked: _Asked) -> Outcome:
        call = asked.call
        try:
            async with asyncio.timeout(call.timeout_ms / 1000):
                return await _surely(lambda: self._outcome_of(asked))
        except TimeoutError:
            # Before the failure is recorded: after that nobody would think of the child.
            await _surely(lambda: self.end([call]))
            return timed_out(call)
        except PlaitError:
            # It cannot go on as it is: restored later it would run, and for nobody.
            await _surely(lambda: self.end([call]))
            raise

    async def _outcome_of(self, asked: _Asked) -> Outcome:
        call = asked.call
        if call.request.get("wait") is False:
            child_id = await self._begun(asked)
            if isinstance(child_id, Failure):
                return child_id
            return CallReply({"execution_id": child_id}, {})
        # Before it begins: what it comes to is kept then, and its history is not read.
        with self._parent.awaiting(child_of(call)):
            child_id = await self._begun(asked)
            if isinstance(child_id, Failure):
                return child_id
            await self._parent.ended(child_id)
            result = await self._parent.result(child_id)
        if result.status != "completed":
            return failure_of(result.failure, child_id)
        return reply_of(result.output, result.passed_over, child_id)

    async def _begun(self, asked: _Asked) -> str | Failure:
        """Return the id of the child, begun by whoever asked for it first."""
        call = asked.call
        name = child_of(call), asked.resumed_at_ms, asked.hold().epoch
        starting = self._starting.get(name)
        if starting is None:
            starting = self._spawn(self._started(asked))
            self._starting[name] = starting
            starting.add_done_callback(partial(self._note_start, name))
        # Who begins to start a child brings that to its end, or nobody knew of the child.
        return await asyncio.shield(starting)

    def _note_start(
        self, name: tuple[str, int, int], starting: asyncio.Task[str | Failure]
    ) -> None:
        del self._starting[name]
        if not starting.cancelled():
            starting.exception()  # nobody may be left to hear of it

    async def _started(self, asked: _Asked) -> str | Failure:
        """Return the id of the child, which runs, or has run, by then."""
        call, number = asked.call, 0
        wanted = wanted_of(call, self._workflows)
        while True:
            child_id, under = child_of(call, number), asked.hold()
            if isinstance(wanted, Failure) and not await self._is_there(child_id):
                return wanted
            try:
                if not await self._is_used_up(child_id, asked, wanted, under):
                    return child_id
            except HoldLost:
                # Unless this worker has taken the parent again, nobody hears of this.
                if asked.hold() == under:
                    return _NOT_WANTED
                continue
            number += 1

    async def _is_used_up(
        self, child_id: str, asked: _Asked, wanted: Wanted | Failure, under: Hold
    ) -> bool:
        """Start a child, or let it go on; tell whether there has to be another one.

        Args:
            wanted: Why none could be started: then there is that one.

        Raises:
            HoldLost: Nothing was done: `under` holds no more.
        """
        if not isinstance(wanted, Failure):
            # If it was started before: before a crash, or before a resume.
            with suppress(LostRace):
                await self._begin(child_id, asked.call, wanted, under)
                return False
        ours, resumed_at_ms = self._parent.ours(), asked.resumed_at_ms
        is_undone = await resume_child(*ours, child_id, resumed_at_ms, under)
        self._parent.stir()
        return is_undone

    async def _begin(self, child_id: str, call: Call, wanted: Wanted, under: Hold) -> None:
        start = Start(
            child_id,
            wanted.input,
            trigger_of(call),
            trace=call.trace,
            parent=call.execution_id,
            tenant=call.tenant,
            under=under,
        )
        await self._parent.start(wanted.plan, start)

    async def _is_there(self, child_id: str) -> bool:
        store = self._parent.ours()[0]
        return bool(await store.find(Search(execution_ids=(child_id,))))

    async def _cancel(self, child_id: str) -> None:
        wish = given_up_message(child_id)
        await self._parent.cancel(child_id, NOT_WANTED, wish.message_id)


async def running_of(calls: Sequence[Call], store: Store) -> AsyncIterator[str]:
    """Yield the ids of the children that `calls` asked for and that run.

    Raises:
        StoreUnavailable: The store gives no answer.
    """
    number, asked = 0, list(calls)
    while asked:
        ids = {child_of(call, number): call for call in asked}
        rows = await store.find(Search(execution_ids=tuple(ids), limit=len(ids)))
        for row in rows:
            if row.standing.status == RUNNING:
                yield row.new.execution_id
        undone = [row for row in rows if row.standing.status == "compensated"]
        asked = [ids[row.new.execution_id] for row in undone]
        number += 1


async def _surely(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do `work`, again and again while the store is away: that fails no step."""
    while True:
        with suppress(StoreUnavailable):
            return await work()
        await asyncio.sleep(_AWAY_S)

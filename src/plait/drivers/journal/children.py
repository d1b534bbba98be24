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

Not here: what a child is called (plait.drivers.children).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
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
from plait.plan import Plan
from plait.ports.calls import Call, CallReply, Done, Outcome
from plait.ports.journal import (
    RUNNING,
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

    async def result(self, execution_id: str) -> Result:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...

    async def cancel(self, execution_id: str, reason: str, message_id: str) -> None:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...


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
        # By the child's name, and when its parent had been resumed last by then.
        self._starting: dict[tuple[str, int], asyncio.Task[str | Failure]] = {}

    def start(self, call: Call, done: Done, resumed_at_ms: int) -> Child:
        """Start the child that `call` asks for; `done` hears what it came to.

        Args:
            resumed_at_ms: When the parent went on last after a pause; -1: never.
        """
        return Child(told_of(call, partial(self._outcome, call, resumed_at_ms), done))

    async def end(self, calls: Sequence[Call]) -> None:
        """Cancel the children that `calls` asked for, as far as there are any that run.

        Raises:
            StoreUnavailable: Some may not have been told.
        """
        names = {child_of(call) for call in calls}
        begun = [task for (name, _), task in self._starting.items() if name in names]
        if begun:
            await asyncio.wait(begun)
        async for child_id in running_of(calls, self._parent.ours()[0]):
            await self._cancel(child_id)

    async def _outcome(self, call: Call, resumed_at_ms: int) -> Outcome:
        try:
            async with asyncio.timeout(call.timeout_ms / 1000):
                return await _surely(lambda: self._outcome_of(call, resumed_at_ms))
        except TimeoutError:
            # Before the failure is recorded: after that nobody would think of the child.
            await _surely(lambda: self.end([call]))
            return timed_out(call)
        except PlaitError:
            # It cannot go on as it is: restored later it would run, and for nobody.
            await _surely(lambda: self.end([call]))
            raise

    async def _outcome_of(self, call: Call, resumed_at_ms: int) -> Outcome:
        name = child_of(call), resumed_at_ms
        starting = self._starting.get(name)
        if starting is None:
            starting = self._spawn(self._started(call, resumed_at_ms))
            self._starting[name] = starting
            starting.add_done_callback(partial(self._note_start, name))
        # Who begins to start a child brings that to its end, or nobody knew of the child.
        child_id = await asyncio.shield(starting)
        if isinstance(child_id, Failure):
            return child_id
        if call.request.get("wait") is False:
            return CallReply({"execution_id": child_id}, {})
        await self._parent.ended(child_id)
        result = await self._parent.result(child_id)
        if result.status != "completed":
            return failure_of(result.failure, child_id)
        return reply_of(result.output, result.passed_over, child_id)

    def _note_start(
        self, name: tuple[str, int], starting: asyncio.Task[str | Failure]
    ) -> None:
        del self._starting[name]
        if not starting.cancelled():
            starting.exception()  # nobody may be left to hear of it

    async def _started(self, call: Call, resumed_at_ms: int) -> str | Failure:
        """Return the id of the child, which runs, or has run, by then."""
        number, wanted = 0, wanted_of(call, self._workflows)
        while True:
            child_id = child_of(call, number)
            if isinstance(wanted, Failure) and not await self._is_there(child_id):
                return wanted
            # Afterwards is too late for a worker that was stopped for a while, and that
            # dies before it has told the child: nobody else would think of it.
            if not number and not await self._is_awaited(call):
                return _NOT_WANTED
            if not await self._is_used_up(child_id, call, wanted, resumed_at_ms):
                break
            number += 1
        if not await self._is_awaited(call):
            await self._cancel(child_id)
        return child_id

    async def _is_used_up(
        self, child_id: str, call: Call, wanted: Wanted | Failure, resumed_at_ms: int
    ) -> bool:
        """Start a child, or let it go on; tell whether there has to be another one.

        Args:
            wanted: Why none could be started: then there is that one.
        """
        if isinstance(wanted, Failure):
            return await self._is_undone(child_id, resumed_at_ms)
        trigger, parent = trigger_of(call), call.execution_id
        start = Start(
            child_id,
            wanted.input,
            trigger,
            trace=call.trace,
            parent=parent,
            tenant=call.tenant,
        )
        try:
            await self._parent.start(wanted.plan, start)
        except LostRace:  # it was started before: before a crash, or before a resume
            return await self._is_undone(child_id, resumed_at_ms)
        return False

    async def _is_there(self, child_id: str) -> bool:
        store = self._parent.ours()[0]
        return bool(await store.find(Search(execution_ids=(child_id,))))

    async def _is_undone(self, child_id: str, resumed_at_ms: int) -> bool:
        """Let a child go on; tell whether it cannot, because it was undone."""
        is_undone = await resume_child(*self._parent.ours(), child_id, resumed_at_ms)
        self._parent.stir()
        return is_undone

    async def _is_awaited(self, call: Call) -> bool:
        """Tell whether the parent still wants a child that has just begun.

        If not, another worker has the parent by now, and has told the child in vain: it
        was not there yet.
        """
        store, kernels, worker_id, _ = self._parent.ours()
        search = Search(execution_ids=(call.execution_id,))
        owners = {one.owner for one in await store.find(search)}
        # A parent that nobody has written down is in this worker's memory.
        if owners <= {worker_id}:
            return True
        told = await kernels.told(await store.read(call.execution_id))
        wanted = told.outstanding.calls.get(call.step)
        return wanted is not None and wanted.attempt == call.attempt

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

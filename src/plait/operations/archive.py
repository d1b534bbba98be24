"""Archives: executions as lines of JSON, each whole by itself, with its plan.

Rule 1. A line is `{"format": 1, "execution", "standing", "length", "head", "entries",
        "plan"}`; an entry is `{"digest", "body"}`, and the body is the turn as the journal
        has it, so people and programs can read it.
Rule 2. A line that is taken in is checked as `plait journal verify` checks; one bad line
        takes nothing from the others.

Not here: files (plait.cli).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar, Final

import orjson

from plait.drivers.journal import Store
from plait.model.errors import Advice, PlaitError
from plait.model.record import record
from plait.operations.checking import Checker
from plait.operations.course import Hand, Holding
from plait.ports.journal import (
    RUNNING,
    Entry,
    History,
    LostRace,
    NewExecution,
    Standing,
    Summary,
)

FORMAT: Final = 1


class LineUnreadable(PlaitError):
    """A line of an archive is no execution, or a newer version wrote it."""

    code: ClassVar[str] = "archive.unreadable"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, reason: str) -> None:
        super().__init__(f"this is no execution that this version can take in: {reason}")
        self.reason = reason


class ExecutionExists(PlaitError):
    """The store has this execution already, or another one with the same key."""

    code: ClassVar[str] = "execution.exists"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, other_id: str) -> None:
        what = "is there already"
        if other_id != execution_id:
            what = f"has the same key as {other_id}, which is there"
        super().__init__(f"execution {execution_id} {what}: nothing was changed")
        self.execution_id = execution_id


class StillRunning(PlaitError):
    """An execution that has not ended would run here, and perhaps elsewhere as well."""

    code: ClassVar[str] = "execution.running"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution {execution_id} has not ended: it would go on here; take it in with "
            "--running when it does not go on where it came from"
        )
        self.execution_id = execution_id


@record
class Line:
    """One execution out of an archive."""

    history: History
    plan: bytes


async def line_of(store: Store, history: History) -> bytes:
    """Return the line for an execution whose history is verified, line end included.

    Raises:
        UnknownPlan: The store has lost its plan.
    """
    plan = await store.load_plan(history.summary.new.plan_hash)
    summary = history.summary
    entries = [
        {"digest": one.digest.hex(), "body": orjson.Fragment(one.body)}
        for one in history.entries
    ]
    line = {
        "format": FORMAT,
        "execution": asdict(summary.new),
        "standing": asdict(summary.standing),
        "length": summary.length,
        "head": summary.head.hex(),
        "entries": entries,
        "plan": orjson.Fragment(plan),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def read_line(text: bytes) -> Line:
    """Return the execution that a line holds; whether it is whole is not looked at.

    Raises:
        LineUnreadable: It holds none.
    """
    try:
        line: dict[str, Any] = orjson.loads(text)
        if line["format"] != FORMAT:
            raise LineUnreadable(f"it has format {line['format']}, known is {FORMAT}")
        row = line["execution"]
        new = NewExecution(**{**row, "tags": tuple(row["tags"])})
        summary = Summary(
            new,
            Standing(**line["standing"]),
            line["length"],
            bytes.fromhex(line["head"]),
            0,
            None,
        )
        entries = [_entry(one) for one in line["entries"]]
        return Line(History(summary, entries), orjson.dumps(line["plan"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LineUnreadable(f"{type(error).__name__}: {error}") from error


def _entry(one: dict[str, Any]) -> Entry:
    return Entry(orjson.dumps(one["body"]), bytes.fromhex(one["digest"]))


class Intake:
    """Takes executions in. Make it once for many lines; use it within `async with`."""

    def __init__(self, hand: Hand, *, takes_running: bool = False) -> None:
        self._hand = hand
        self._takes_running = takes_running
        self._checker = Checker(hand)
        self._holding = Holding(hand)
        self._plans: set[str] = set()

    async def __aenter__(self) -> Intake:
        await self._holding.__aenter__()
        return self

    async def __aexit__(self, *facts: object) -> None:
        await self._holding.__aexit__(*facts)

    async def take(self, text: bytes) -> Summary:
        """Take in one line; return the row of its execution.

        Raises:
            LineUnreadable: It holds no execution.
            StillRunning: It has not ended.
            ExecutionExists: It is there already, or its key is.
            HistoryDamaged, HistoryMismatch, PlanUnreadable: It is not what was exported.
            StoreUnavailable: Nothing is known of it.
        """
        line = read_line(text)
        history, plan = line.history, line.plan
        new, standing = history.summary.new, history.summary.standing
        if standing.status == RUNNING and not self._takes_running:
            raise StillRunning(new.execution_id)
        await self._checker.check(history, plan)
        store, worker_id = self._hand.store, self._hand.worker_id
        if new.plan_hash not in self._plans:
            await store.save_plan(new.plan_hash, plan)
            self._plans.add(new.plan_hash)
        try:
            created = await store.create(new, history.entries, standing, worker_id)
        except LostRace as error:
            raise ExecutionExists(new.execution_id, new.execution_id) from error
        if not created.is_new:
            raise ExecutionExists(new.execution_id, created.summary.new.execution_id)
        if standing.status == RUNNING:
            await store.release(worker_id, [new.execution_id])
        return created.summary

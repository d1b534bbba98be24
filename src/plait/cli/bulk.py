"""Verbs for many executions: which are meant, how far it is, what came of it.

Rule 1. Which ones are meant is settled before the first is changed, so what the change
        makes (a restarted execution, one that fails again) is not changed as well.
Rule 2. One that cannot be changed is told, counted, and stops no other.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Annotated, Final, TypeAlias

import typer

from plait.cli.durable import Bench, hand_of, store_of, worker
from plait.cli.filters import Filters
from plait.cli.output import EXIT_FAILED, is_terminal, say, stop, write_json_line
from plait.cli.progress import Course
from plait.cli.stores import finish, found
from plait.cli.table import print_executions
from plait.drivers.journal import JournalDriver, Store, is_at_rest
from plait.model.json import JsonObject
from plait.model.record import record
from plait.operations import Changed, Hand, change_each, every, row_json
from plait.ports.journal import RUNNING, Standing, Summary

IdsArgument: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Executions' ids, or how they begin."),
]
DryRunOption: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="List those that are meant; change nothing.")
]
YesOption: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask, also when several are meant.")
]
JsonLinesOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write a line of JSON for each execution.")
]
CountOption: TypeAlias = Annotated[
    int,
    typer.Option(
        "--at-once", metavar="COUNT", min=1, max=1_000, help="Of many, so many at a time."
    ),
]
Change: TypeAlias = Callable[[Hand, str], Awaitable[Summary]]
One: TypeAlias = Callable[[str], Awaitable[Summary]]
# What a detached change, or a wish to cancel, leaves running is as was asked for.
_FINE: Final = ("completed", RUNNING)


@record
class Many:
    """How several are changed (see plait.cli.groups)."""

    dry_run: DryRunOption = False
    yes: YesOption = False
    as_json: JsonLinesOption = False
    at_once: CountOption = 32


@record
class Wish:
    """Which executions are meant, and how it is told.

    Attributes:
        ids: Their ids, or how they begin; none: those that `filters` name.
        statuses: Those that the verb is for, when the filters name none.
    """

    ids: Sequence[str]
    filters: Filters
    statuses: tuple[str, ...]
    many: Many
    quiet: bool = False

    @property
    def one(self) -> str | None:
        """The only id; None: it is a wish about several.

        Ends with EXIT_INVALID when it names none, or names them in two ways.
        """
        if self.ids and self.filters.are_given:
            stop("write the ids of executions, or filters, and not both")
        if not self.ids and not self.filters.are_given:
            stop(
                "write the ids of executions, or say which: --workflow, --failed, --since…"
            )
        is_plain = not (self.many.dry_run or self.many.as_json)
        return self.ids[0] if len(self.ids) == 1 and is_plain else None


@record
class Verb:
    """What is done to each.

    Attributes:
        name, past: `resume`, `resumed`.
        fine: The statuses that one has which ended as it should.
        is_left: True: whoever runs executions goes on with them, not this command.
    """

    name: str
    past: str
    change: Change
    fine: tuple[str, ...] = _FINE
    is_left: bool = False


class Tally:
    """Tells what came of each, and counts it."""

    def __init__(self, wish: Wish, verb: Verb, course: Course) -> None:
        self._wish, self._verb, self._course = wish, verb, course
        self._changed: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self.is_fine = True

    def tell(self, changed: Changed) -> None:
        """Take in what came of one."""
        self._course.step()
        if changed.summary is None:
            assert changed.error is not None
            self._refused[changed.error.code] += 1
            self.is_fine = False
        else:
            standing = changed.summary.standing
            self._changed[_word(standing)] += 1
            if standing.error_code or standing.status not in self._verb.fine:
                self.is_fine = False
        if self._wish.many.as_json:
            write_json_line(_json(changed))

    def sum_up(self) -> None:
        """Say how many came to what."""
        if self._changed:
            say(f"{self._changed.total():,} {self._verb.past}: {_counts(self._changed)}")
        if self._refused:
            say(
                f"{self._refused.total():,} not {self._verb.past}: {_counts(self._refused)}"
            )


def change_many(bench: Bench, wish: Wish, verb: Verb) -> None:
    """Change all that are meant; ends with EXIT_FAILED when one was not, or has failed."""
    meant = finish(_meant(bench, wish))
    if wish.many.dry_run:
        _list(meant, wish)
    say(f"{len(meant):,} executions to {verb.name}")
    if wish.many.dry_run or not meant:
        return
    if len(meant) > 1 and not wish.many.yes:
        _ask()
    ids = [one.new.execution_id for one in meant]
    if not finish(_change(bench, wish, verb, ids)):
        stop(code=EXIT_FAILED)


async def _meant(bench: Bench, wish: Wish) -> list[Summary]:
    """Return those that are meant, each once, the oldest first."""
    async with store_of(bench) as opened:
        if wish.ids:
            named = [await found(opened, one) for one in wish.ids]
            return list({one.new.execution_id: one for one in named}.values())
        search = wish.filters.search(statuses=wish.statuses)
        rows = [_slim(one) async for one in every(opened, search)]
        return rows[::-1]


def _slim(row: Summary) -> Summary:
    """Return a row without its input: there may be 100,000 of them."""
    return replace(row, new=replace(row.new, input=""))


def _list(meant: list[Summary], wish: Wish) -> None:
    if not wish.many.as_json:
        print_executions(meant)
        return
    for one in meant:
        write_json_line(row_json(one))


def _ask() -> None:
    """Ask whoever sits there; end when the answer is no."""
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        return
    # Not `typer.confirm`: it writes a space to standard output, which a program may read.
    typer.echo("Go on? [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        stop("nothing was changed", code=EXIT_FAILED)


async def _change(bench: Bench, wish: Wish, verb: Verb, ids: list[str]) -> bool:
    """Change each; return whether all of them are as they should be."""
    async with AsyncExitStack() as stack:
        if verb.is_left:
            change = _leaving(bench, verb, await stack.enter_async_context(store_of(bench)))
        else:
            held = await stack.enter_async_context(worker(bench))
            change = _following(bench, verb, *held)
        quiet = wish.quiet
        course = await stack.enter_async_context(Course(verb.past, len(ids), quiet=quiet))
        tally = Tally(wish, verb, course)
        stack.callback(tally.sum_up)
        await change_each(ids, change, tally.tell, count_max=wish.many.at_once)
        return tally.is_fine


def _leaving(bench: Bench, verb: Verb, store: Store) -> One:
    async def one(execution_id: str) -> Summary:
        return await verb.change(hand_of(bench, store), execution_id)

    return one


def _following(bench: Bench, verb: Verb, driver: JournalDriver, store: Store) -> One:
    """Run each until it has ended, or has only to wait: for a moment or an event."""

    def is_enough(standing: Standing) -> bool:
        return is_at_rest(standing) or driver.may_leave(standing, driver.now_ms())

    async def one(execution_id: str) -> Summary:
        changed = await verb.change(hand_of(bench, store), execution_id)
        driver.stir()
        return await driver.ended(changed.new.execution_id, is_enough)

    return one


def _word(standing: Standing) -> str:
    return " ".join(filter(None, (standing.status, standing.error_code)))


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{count:,} {word}" for word, count in counted.most_common())


def _json(changed: Changed) -> JsonObject:
    """Return the line that stands for what came of one."""
    if changed.summary is None:
        error = changed.error
        assert error is not None
        told: JsonObject = {"code": error.code, "message": str(error)}
        return {"id": changed.execution_id, "is_changed": False, "error": told}
    standing = changed.summary.standing
    return {
        "id": changed.execution_id,
        "is_changed": True,
        "now": changed.summary.new.execution_id,
        "status": standing.status,
        "error_code": standing.error_code,
    }

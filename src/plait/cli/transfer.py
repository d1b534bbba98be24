"""`plait executions export` and `import`: executions as lines of JSON, out and in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from itertools import islice
from typing import Annotated, Final

import typer

from plait.cli.durable import Bench, hand_of
from plait.cli.filters import Filters
from plait.cli.groups import spread
from plait.cli.options import ConfigOption, configured, connectors
from plait.cli.output import EXIT_FAILED, say, stop, write_document
from plait.cli.stores import StoreOption, found, with_store
from plait.drivers.journal import Store, verify
from plait.model.errors import PlaitError
from plait.operations import Intake, every, line_of
from plait.ports.journal import StoreUnavailable

# They are committed together. A line may be as large as an execution.
_LINES_AT_ONCE: Final = 16


@spread
def export(
    filters: Filters,
    executions: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="These executions.")
    ] = None,
    is_all: Annotated[
        bool, typer.Option("--all", help="All, or all that the other options name.")
    ] = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Write executions to standard output, one line of JSON each, with history and plan.

    Each is checked first; one that is damaged is told, is not written, and makes the exit
    code 1. The lines are those of `plait journal compact --archive`.

    Examples:

    - `plait executions export 7f3a > one.jsonl`

    - `plait executions export --all --status failed --since 7d > failed.jsonl`
    """
    if bool(executions) == is_all:
        stop("write the ids of executions, or --all, and not both")
    if filters.are_given and not is_all:
        stop("filters go with --all")

    async def ids(opened: Store) -> AsyncIterator[str]:
        for one in executions or ():
            yield (await found(opened, one)).new.execution_id
        if is_all:
            async for summary in every(opened, filters.search()):
                yield summary.new.execution_id

    async def work(opened: Store) -> tuple[int, int]:
        counts = [0, 0]
        async for execution_id in ids(opened):
            counts[await _is_written(opened, execution_id)] += 1
        return counts[1], counts[0]

    written, left_out = with_store(store, config, work)
    say(f"{written} executions written" + (f", {left_out} left out" if left_out else ""))
    if left_out:
        stop(code=EXIT_FAILED)


async def _is_written(opened: Store, execution_id: str) -> bool:
    """Write an execution; return whether it could be."""
    try:
        history = await opened.read(execution_id)
        verify(history)
        line = await line_of(opened, history)
    except StoreUnavailable:
        raise
    except PlaitError as error:
        say(f"{execution_id}  {error.code}: {error}")
        return False
    write_document(line.decode())
    return True


def import_(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="What was exported; - for standard input.")
    ],
    takes_running: Annotated[
        bool,
        typer.Option(
            "--running",
            help="Also executions that have not ended: they go on in this store. Make sure "
            "that they do not go on where they came from.",
        ),
    ] = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Take in executions that were exported or archived.

    Each line is checked as `plait journal verify` checks. One that is damaged, or that is
    in the store already, is told with its line's number and left out; the others are taken
    in. Exit code 1: some were left out. Makes the store if there is none.

    Examples:

    - `plait executions import old.jsonl`

    - `plait executions import open.jsonl --running --store sqlite:new.db`
    """
    bench = Bench(configured(config, None, None), connectors(), store)

    async def work(opened: Store) -> tuple[int, int]:
        counts = [0, 0]
        async with Intake(hand_of(bench, opened), takes_running=takes_running) as intake:
            for lines in _batches(file):
                tries = [_is_taken(intake, line, place) for place, line in lines]
                for is_taken in await asyncio.gather(*tries):
                    counts[is_taken] += 1
        return counts[1], counts[0]

    taken, left_out = with_store(store, config, work, is_new=True)
    say(f"{taken} executions taken in" + (f", {left_out} left out" if left_out else ""))
    if left_out:
        stop(code=EXIT_FAILED)


async def _is_taken(intake: Intake, line: bytes, place: str) -> bool:
    """Take a line in; return whether it could be."""
    try:
        await intake.take(line)
    except StoreUnavailable:
        raise
    except PlaitError as error:
        say(f"{place}: {error.code}: {error}")
        return False
    return True


def _batches(file: str) -> Iterator[list[tuple[str, bytes]]]:
    """Yield some lines at a time, each with its place; blank ones are passed over."""
    try:
        with nullcontext(sys.stdin.buffer) if file == "-" else open(file, "rb") as opened:
            numbered = enumerate(opened, start=1)
            lines = ((f"{file}:{n}", line) for n, line in numbered if line.strip())
            while batch := list(islice(lines, _LINES_AT_ONCE)):
                yield batch
    except OSError as error:
        stop(f"{file}: {error.strerror}")

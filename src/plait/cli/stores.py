"""What commands that use a store share: opening it, finding an execution in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeAlias, TypeVar

import typer

from plait.assembly.stores import open_records, open_store
from plait.cli.options import configured
from plait.cli.output import EXIT_FAILED, EXIT_INVALID, check_texts, stop
from plait.drivers.journal import Store
from plait.model.duration import parse_duration_ms
from plait.model.errors import Advice, PlaitError
from plait.ports.journal import Search, Summary, UnknownExecution
from plait.ports.records import Records
from plait.ports.upkeep import Upkeep

T = TypeVar("T")


def _checked_place(place: str | None) -> str | None:
    if place == "":  # a variable that is not set: nobody means the usual store by it
        stop("--store is empty: write a place, or leave it out")
    return place


StoreOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="PLACE",
        callback=_checked_place,
        help="Where executions are kept: a file for SQLite, postgresql://… or redis://… "
        "Default: .plait/plait.db, or what the settings say.",
    ),
]
IdArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="An execution's id, or how it begins.")
]
# How far back an execution is looked for by the beginning of its id.
_LOOK_BACK_MAX = 10_000


def with_store(
    place: str | None,
    config: Path | None,
    work: Callable[[Store], Awaitable[T]],
    *,
    is_new: bool = False,
) -> T:
    """Open the store, do `work`, close it; ends with a line that says what went wrong.

    Args:
        is_new: Whether the store may be made where there is none.
    """
    settings = configured(config, None, None).settings

    async def main() -> T:
        opened = await open_store(place or settings.store.url, is_new=is_new)
        try:
            return await work(opened)
        finally:
            await opened.close()

    return finish(main())


async def in_records(url: str, work: Callable[[Records], Awaitable[T]]) -> T:
    """Open the records at `url`, do `work`, close them.

    Raises:
        PlaitError: They cannot be opened, or what `work` raises.
    """
    records = await open_records(url)
    try:
        return await work(records)
    finally:
        await records.close()


def finish(main: Coroutine[Any, Any, T]) -> T:
    """Return what `main` returns; ends with a line that says what went wrong."""
    try:
        return asyncio.run(main)
    except PlaitError as error:
        give_up(error)


def give_up(error: PlaitError) -> NoReturn:
    """End with a line that says what went wrong, and whose mistake it was."""
    is_wrong_request = error.advice is Advice.FIX_REQUEST
    stop(f"{error.code}: {error}", code=EXIT_INVALID if is_wrong_request else EXIT_FAILED)


async def found(opened: Store, execution: str) -> Summary:
    """Return the execution of this id, or the only one whose id begins like this.

    Raises:
        UnknownExecution: There is none.
        PlaitError: Its row is damaged.
    """
    check_texts({"the execution's id": execution})
    if not execution:
        stop("the execution's id is empty: write it, or how it begins")
    exact = await opened.find(Search(execution_ids=(execution,)))
    if exact:
        return exact[0]
    with suppress(UnknownExecution):  # a search passes over rows that are damaged
        return (await opened.read(execution)).summary
    latest = await opened.find(Search(limit=_LOOK_BACK_MAX))
    alike = [one for one in latest if one.new.execution_id.startswith(execution)]
    if not alike:
        return await _unsearched(opened, execution)
    if len(alike) > 1:
        stop(f"{len(alike)} executions begin with '{execution}': write more of the id")
    return alike[0]


async def _unsearched(opened: Store, begin: str) -> Summary:
    """Return the only execution whose id begins so, though no search has found it.

    Raises:
        UnknownExecution: There is none, or there are several.
        PlaitError: Its row is damaged.
    """
    ids = await opened.ids() if isinstance(opened, Upkeep) else []
    alike = [one for one in ids if one.startswith(begin)]
    return (await opened.read(alike[0] if len(alike) == 1 else begin)).summary


def duration_ms(option: str, text: str) -> int:
    """Return the duration that `option` was given; ends with EXIT_INVALID if it is none."""
    try:
        return parse_duration_ms(text)
    except ValueError as error:
        stop(f"{option}: {error}")

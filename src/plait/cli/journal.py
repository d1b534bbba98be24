"""`plait journal`: verify, back up and compact the store of durable executions."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from plait.assembly.archives import ArchiveRefused, opened_archive
from plait.assembly.stores import paths_of
from plait.cli.durable import Bench, hand_of
from plait.cli.options import ConfigOption, JsonOption, configured, connectors
from plait.cli.output import EXIT_FAILED, say, stop, write, write_json
from plait.cli.stores import StoreOption, duration_ms, found, with_store
from plait.cli.typers import new_group
from plait.drivers.clock import now_ms
from plait.drivers.journal import MessageUnreadable, Store
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.operations import Checked, Removed, Retention, removals, upkeep_of, verify_all
from plait.ports.derived import StoreInconsistent
from plait.ports.journal import TERMINAL, UnknownExecution

group = new_group()


@group.callback()
def _journal() -> None:
    """Look after the store of durable executions."""


@group.command()
def verify(
    executions: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="These only. Default: everything in the store."),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Make anew what the store derives from executions that are whole: lists, "
            "tags, keys, places in lanes, SQLite's indexes. Never changes a row's facts or "
            "a history.",
        ),
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Check that histories are whole: nothing altered, lost, added or cut off.

    Of each execution the chain of its entries, its row and its plan are checked, and that
    it would decide again what it decided. Without ID also the store's own file, and
    whether its lists, tags, keys and lanes are what the rows say. Changes nothing without
    `--repair`; other processes may go on. Messages that nobody could read are told, and
    are no damage. Give it the settings and secrets that executions
    run with. Exit code 1: something is damaged, and was not repaired; each is told, with
    its code.

    Examples:

    - `plait journal verify`

    - `plait journal verify 7f3a --json`

    - `plait journal verify --repair`
    """
    if repair and executions:
        stop("--repair compares the whole store: leave out the ids")
    bench = Bench(configured(config, None, None), connectors(), store)

    async def work(opened: Store) -> tuple[int, list[Checked]]:
        ids = [await _id(opened, one) for one in executions or ()]
        count, damaged = 0, list[Checked]()
        async for checked in verify_all(hand_of(bench, opened), ids, repairs=repair):
            is_one = (
                checked.execution_id is not None and checked.code != StoreInconsistent.code
            )
            count += is_one
            if checked.code not in (None, MessageUnreadable.code):
                damaged.append(checked)
            if checked.code is not None:
                _tell(checked, as_json)
        return count, damaged

    count, damaged = with_store(store, config, work)
    if as_json:
        write_json({"checked": count, "damaged": [_json(one) for one in damaged]})
    mended = sum(one.is_mended for one in damaged)
    repaired = f", {mended} repaired" if repair else ""
    say(f"{count} executions checked, {len(damaged) - mended} problems found{repaired}")
    if len(damaged) > mended:
        stop(code=EXIT_FAILED)


@group.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Must not be there yet.")],
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Copy the store as it is at this moment, while it is used.

    FILE is a whole store afterwards: `--store FILE` opens it.

    Examples:

    - `plait journal backup backup.db`
    """

    async def work(opened: Store) -> None:
        await upkeep_of(opened, "back up").backup(file)

    with_store(store, config, work)


@group.command()
def compact(
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Remove executions that ended longer ago: 30d. Default: `[store] "
            "retention` in the settings; without it none is removed.",
        ),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATUS",
            help="Only completed, failed or cancelled ones. Several may be given.",
        ),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Add what is removed to this file first; `plait executions import` "
            "takes it in again.",
        ),
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove old executions that have ended, and give unused space back.

    Works piece by piece: other processes may go on. With an execution goes its
    idempotency key. What cannot be archived stays: exit code 1.

    Examples:

    - `plait journal compact --older-than 30d --archive old.jsonl`

    - `plait journal compact --older-than 7d --status completed`
    """
    statuses = tuple(status or TERMINAL)
    for one in statuses:
        if one not in TERMINAL:
            stop(f"--status {one}: write one of {', '.join(TERMINAL)}")
    own = configured(config, None, None).settings.store
    retention_ms = own.retention
    if older_than is not None:
        retention_ms = duration_ms("--older-than", older_than)
    rule = Retention(0 if retention_ms is None else now_ms() - retention_ms, statuses)

    removed, freed_bytes, failure = with_store(
        store,
        config,
        lambda opened: _compacted(opened, rule, archive, paths_of(store or own.url)),
    )
    for kept_one in removed.kept:
        _tell(kept_one, as_json)
    if as_json:
        kept = [_json(one) for one in removed.kept]
        write_json({"removed": removed.count, "kept": kept, "freed_bytes": freed_bytes})
    say(f"{removed.count} executions removed, {freed_bytes} bytes given back")
    if failure is not None:
        more = "what is removed stays so, and the next `compact` goes on"
        stop(f"{failure.code}: not all was done ({more}): {failure}", code=EXIT_FAILED)
    if removed.kept:
        stop(code=EXIT_FAILED)


async def _compacted(
    opened: Store, rule: Retention, archive: Path | None, store_paths: list[Path]
) -> tuple[Removed, int, PlaitError | None]:
    """Remove and tidy; return what was removed, bytes given back, what ended it early."""
    upkeep, pages = upkeep_of(opened, "compact"), list[Removed]()
    freed_bytes, failure = 0, None
    try:
        archiving = archive and opened_archive(archive, store_paths)
        with archiving or nullcontext() as file:
            async for page in removals(upkeep, opened, rule, file):
                pages.append(page)
        freed_bytes = await upkeep.tidy()
    except ArchiveRefused:
        raise
    except PlaitError as error:
        failure = error
    except OSError as error:
        stop(f"{archive}: {error.strerror}; what is not in it is not removed", code=1)
    kept = [one for page in pages for one in page.kept]
    return Removed(sum(page.count for page in pages), kept), freed_bytes, failure


async def _id(opened: Store, execution: str) -> str:
    """Return the id that begins so; what cannot be looked for is taken as it is."""
    try:
        return (await found(opened, execution)).new.execution_id
    except UnknownExecution:
        raise
    except PlaitError:
        return execution


def _tell(checked: Checked, as_json: bool) -> None:
    if as_json:
        return
    lane = "store" if checked.lane is None else f"lane {checked.lane}"
    done = "repaired: " if checked.is_mended else ""
    write(f"{checked.execution_id or lane}  {checked.code}: {done}{checked.reason}\n")


def _json(checked: Checked) -> JsonObject:
    told: JsonObject = {
        "id": checked.execution_id,
        "code": checked.code,
        "message": checked.reason,
    }
    if checked.code == StoreInconsistent.code:
        told |= {"lane": checked.lane, "repaired": checked.is_mended}
    return told

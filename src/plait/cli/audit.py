"""`plait audit`: who changed what; whether the log is whole; the log as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from plait.assembly.vaults import audit_log
from plait.cli.options import ConfigOption, JsonOption
from plait.cli.output import (
    EXIT_FAILED,
    check_texts,
    say,
    stop,
    write,
    write_json,
    write_json_line,
)
from plait.cli.scopes import TenantOption, when, with_records
from plait.cli.stores import StoreOption, duration_ms
from plait.cli.table import print_rows
from plait.cli.typers import new_group
from plait.drivers.clock import now_ms
from plait.model.caller import DEFAULT_TENANT, Caller
from plait.model.errors import PlaitError
from plait.ports.audit import OUTCOMES, Search
from plait.ports.records import Records
from plait.security.audit import Fault, Head, fault_in
from plait.security.audit.chain import entry_in

group = new_group()
_HASH_LENGTH = 64


@group.callback()
def _audit() -> None:
    """See who changed what, and whether the log is whole."""


@group.command("list")
def list_(
    action: Annotated[
        str, typer.Option(metavar="WORDS", help="`credential`, or `credential.add`.")
    ] = "",
    who: Annotated[str, typer.Option(metavar="NAME", help="`user:ann`, `key:…`.")] = "",
    subject: Annotated[str, typer.Option(metavar="NAME", help="What it was done to.")] = "",
    outcome: Annotated[
        str, typer.Option(metavar="WORD", help=f"One of {', '.join(OUTCOMES)}.")
    ] = "",
    since: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Not longer ago: `1d`.")
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="COUNT", min=1, max=500, help="How many at most.")
    ] = 50,
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """List changes, the newest first.

    Examples:

    - `plait audit list --action credential --since 7d`
    """
    check_texts({"--action": action, "--who": who, "--subject": subject})
    if outcome and outcome not in OUTCOMES:
        stop(f"--outcome: one of {', '.join(OUTCOMES)}")
    since_ms = None if since is None else now_ms() - duration_ms("--since", since)
    wanted = Search(action, who, subject, outcome, since_ms, limit=limit)

    async def work(records: Records) -> Any:
        caller = Caller("cli", tenant, "admin")
        return await audit_log(records).search(caller, wanted)

    found = with_records(store, config, work)
    if as_json:
        write_json(found)
        return
    names = ("#", "WHEN", "WHO", "ACTION", "SUBJECT", "OUTCOME", "FROM")
    print_rows(names, map(_row, found["entries"]))


@group.command()
def verify(
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file that `export` wrote, not the store."),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER:HASH",
            help="What `verify` said before: that entry must still be there.",
        ),
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Say whether nobody changed, removed or moved an entry.

    Prints the number and the hash of the last entry. Note them somewhere else from time to
    time, and give them as `--head`: who can write the whole store can write a whole new log
    too, but none with the same hash. Exit code 1: the log is not whole.

    Examples:

    - `plait audit verify --head 1042:9f2c…`
    """
    noted = _noted(head)

    async def work(records: Records) -> tuple[Fault | None, Head]:
        log = audit_log(records)
        await log.settle()
        fault, last = await log.verify(tenant)
        if fault is None and noted is not None:
            known = [one async for one in log.entries(tenant)][: noted.number]
            fault = fault_in(known, tenant, noted)
        return fault, last

    if file is not None:
        fault, last = _of_file(file, tenant, noted)
    else:
        fault, last = with_records(store, config, work)
    if as_json:
        told: Any = {"is_whole": fault is None, "entries": last.number, "hash": last.hash}
        if fault is not None:
            told["fault"] = {"number": fault.number, "reason": fault.reason}
        write_json(told)
    if fault is not None:
        stop(f"audit.broken: entry {fault.number}: {fault.reason}", code=EXIT_FAILED)
    if not as_json:
        say(f"{last.number} entries, none changed, removed or moved")
        write(f"{last.number}:{last.hash}\n")


@group.command()
def export(
    tenant: TenantOption = DEFAULT_TENANT,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Write all entries of a tenant, the oldest first, as JSON lines.

    Examples:

    - `plait audit export > audit.jsonl`

    - `plait audit verify --file audit.jsonl`
    """

    async def work(records: Records) -> None:
        log = audit_log(records)
        await log.settle()
        async for entry in log.entries(tenant):
            write_json_line(entry.as_json())

    with_records(store, config, work)


def _of_file(path: Path, tenant: str, noted: Head | None) -> tuple[Fault | None, Head]:
    try:
        lines = path.read_bytes().splitlines()
        entries = [entry_in(orjson.loads(line)) for line in lines]
    except OSError as error:
        stop(f"--file: {path} cannot be read: {error.strerror}")
    except (orjson.JSONDecodeError, TypeError, ValueError, PlaitError):
        stop(f"audit.broken: {path} holds what is no entry", code=EXIT_FAILED)
    fault = fault_in(entries, tenant, None)
    if fault is None and noted is not None:
        fault = fault_in(entries[: noted.number], tenant, noted)
    last = Head(entries[-1].number, entries[-1].hash) if entries else Head()
    return fault, last


def _noted(text: str | None) -> Head | None:
    if text is None:
        return None
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != _HASH_LENGTH:
        stop("--head: write what `plait audit verify` printed: NUMBER:HASH")
    return Head(int(number), digest)


def _row(entry: Any) -> tuple[str, ...]:
    said = entry["outcome"]
    return (
        str(entry["number"]),
        when(entry["at_ms"]),
        entry["who"],
        entry["action"],
        entry["subject"],
        f"{said} ({entry['code']})" if entry["code"] else said,
        entry["peer"],
    )

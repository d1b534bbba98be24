"""Commands that change a store are recorded in its audit log, as the API's changes are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final, TypeAlias

import typer

from plait.assembly.stores import is_there
from plait.assembly.vaults import audit_log
from plait.cli.options import configured
from plait.cli.output import EXIT_INVALID
from plait.cli.stores import finish, in_records
from plait.cli.whoever import whoever
from plait.model.caller import DEFAULT_TENANT
from plait.model.errors import PlaitError
from plait.ports.audit import DONE, FAILED, REFUSED, Act, Opened
from plait.ports.records import Records
from plait.security.keys import parsed

# Returns the tenant of what is called so; None: there is no such thing.
Whose: TypeAlias = Callable[[Records, str], Awaitable[str | None]]

_WITHOUT_CHANGE: Final = ("dry_run",)


def recorded(
    action: str, subject: str, whose: Whose | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Record what a command does: kept before it is done, and told how it ended.

    Where the log cannot be written the command is not run. The first change of a store,
    which makes it, is recorded afterwards.

    Args:
        action: What the log calls it.
        subject: The command's argument that says what it is done to.
        whose: Finds the tenant of what it is done to, where no argument says it: the entry
            is for those whose thing is changed.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**given: Any) -> None:
            if any(given.get(name) for name in _WITHOUT_CHANGE):
                command(**given)
                return
            tenant = given.get("tenant") or DEFAULT_TENANT
            act = Act(tenant, whoever(), action, _text(given.get(subject)))
            begin = partial(_begin, act, whose)
            place = given.get("store"), given.get("config")
            _run(*place, act, begin, lambda: command(**given))

        return run

    return decorated


def _run(
    store: str | None,
    config: Path | None,
    act: Act,
    begin: Callable[[Records], Awaitable[Opened]],
    command: Callable[[], None],
) -> None:
    url = configured(config, None, None, {"store": {"url": store}}).settings.store.url
    opened = finish(in_records(url, begin)) if is_there(url) else None
    outcome, code = FAILED, None
    try:
        command()
        outcome = DONE
    except typer.Exit as end:
        outcome = {0: DONE, EXIT_INVALID: REFUSED}.get(end.exit_code, FAILED)
        code = _code_of(end)
        raise
    finally:
        _end(url, act, opened, outcome, code)


def _code_of(end: BaseException | None) -> str | None:
    """Return the code of the error that ended a command; None: it was ended by none."""
    while end is not None and not isinstance(end, PlaitError):
        end = end.__context__
    return None if end is None else end.code


async def _begin(act: Act, whose: Whose | None, records: Records) -> Opened:
    tenant = None if whose is None else await whose(records, act.subject)
    return await audit_log(records).begin(replace(act, tenant=tenant or act.tenant))


def _end(url: str, act: Act, opened: Opened | None, outcome: str, code: str | None) -> None:
    async def end(records: Records) -> None:
        log = audit_log(records)
        if opened is not None:
            await log.end(opened, outcome, code)
        else:
            await log.note(act, outcome, code)

    if is_there(url):
        finish(in_records(url, end))


def _text(given: Any) -> str:
    """Return what an argument says; of a whole API key its id."""
    if isinstance(given, list | tuple):
        return " ".join(map(str, given))
    key = parsed(str(given))
    return "" if given is None else key[0] if key is not None else str(given)

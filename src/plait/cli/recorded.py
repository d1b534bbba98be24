"""Commands that change a store are recorded in its audit log, as the API's changes are."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import typer

from plait.assembly.stores import is_there
from plait.assembly.vaults import audit_log
from plait.cli.options import configured
from plait.cli.output import EXIT_INVALID
from plait.cli.stores import finish, in_records
from plait.model.caller import DEFAULT_TENANT
from plait.ports.audit import DONE, FAILED, REFUSED, Act, Opened
from plait.security.audit import AuditLog
from plait.security.keys import parsed

T = TypeVar("T")

_WITHOUT_CHANGE: Final = ("dry_run",)


def recorded(
    action: str, subject: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Record what a command does: kept before it is done, and told how it ended.

    Where the log cannot be written the command is not run. The first change of a store,
    which makes it, is recorded afterwards.

    Args:
        action: What the log calls it.
        subject: The command's argument that says what it is done to.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**given: Any) -> None:
            if any(given.get(name) for name in _WITHOUT_CHANGE):
                command(**given)
                return
            tenant = given.get("tenant") or DEFAULT_TENANT
            act = Act(tenant, _whoever(), action, _text(given.get(subject)))
            _run(given.get("store"), given.get("config"), act, lambda: command(**given))

        return run

    return decorated


def _run(
    store: str | None, config: Path | None, act: Act, command: Callable[[], None]
) -> None:
    url = configured(config, None, None, {"store": {"url": store}}).settings.store.url

    async def begin(log: AuditLog) -> Opened:
        return await log.begin(act)

    opened = _in_log(url, begin) if is_there(url) else None
    outcome = FAILED
    try:
        command()
        outcome = DONE
    except typer.Exit as end:
        outcome = {0: DONE, EXIT_INVALID: REFUSED}.get(end.exit_code, FAILED)
        raise
    finally:
        _end(url, act, opened, outcome)


def _end(url: str, act: Act, opened: Opened | None, outcome: str) -> None:
    async def end(log: AuditLog) -> None:
        if opened is not None:
            await log.end(opened, outcome)
        elif is_there(url):
            await log.note(act, outcome)

    if is_there(url):
        _in_log(url, end)


def _in_log(url: str, work: Callable[[AuditLog], Awaitable[T]]) -> T:
    return finish(in_records(url, lambda records: work(audit_log(records))))


def _whoever() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # a user without a name, as in containers
        return "cli"


def _text(given: Any) -> str:
    """Return what an argument says; of a whole API key its id."""
    if isinstance(given, list | tuple):
        return " ".join(map(str, given))
    key = parsed(str(given))
    return "" if given is None else key[0] if key is not None else str(given)

"""`plait executions watch`: follow one execution, whoever runs it, until it ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Final

import typer

from plait.cli.options import ConfigOption
from plait.cli.output import EXIT_FAILED, stop, write, write_json_line
from plait.cli.stores import IdArgument, StoreOption, found, with_store
from plait.drivers.journal import Store
from plait.kernel.codec import load_turn
from plait.kernel.events import Event, ExecutionResumed
from plait.kernel.views import moment_text
from plait.operations import event_json
from plait.ports.journal import RUNNING, Search

_FACTS: Final = (
    "deaths",
    "name",
    "title",
    "decision",
    "by",
    "attempts",
    "reason",
    "number",
)
_LOOK_EVERY_S: Final = 0.2


def watch(
    execution: IdArgument,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write events as JSON Lines, for programs.")
    ] = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Follow an execution until it ends: a line for whatever happens in it.

    Exit code 0: it completed. 1: it failed or was cancelled.

    Examples:

    - `plait executions watch 7f3a`

    - `plait executions watch 7f3a --json`
    """

    async def follow(opened: Store) -> str:
        async for event in _events(opened, execution):
            if as_json:
                write_json_line(event_json(event))
            else:
                write(f"{moment_text(event.at_ms)}  {told_of(event)}\n")
        return (await found(opened, execution)).standing.status

    if with_store(store, config, follow) != "completed":
        stop(code=EXIT_FAILED)


async def _events(opened: Store, execution: str) -> AsyncIterator[Event]:
    """Yield what happened and what happens, to the end; a look is one read by key."""
    execution_id = (await found(opened, execution)).new.execution_id
    told = 0
    while True:
        history = await opened.read(execution_id)
        dropped = history.summary.length - len(history.entries)
        for entry in history.entries[max(told - dropped, 0) :]:
            for event in load_turn(entry.body):
                yield event
        told = history.summary.length
        if history.summary.standing.status != RUNNING:
            return
        search = Search(execution_ids=(execution_id,), limit=1)
        while (rows := await opened.find(search)) and rows[0].length == told:
            await asyncio.sleep(_LOOK_EVERY_S)


def told_of(event: Event) -> str:
    """Return an event as a line for people: its name, its step, what is worth knowing.

    >>> from plait.kernel.events import StepCompleted
    >>> told_of(StepCompleted("pay", 2, False, 0))
    'step completed      pay  attempts 2'
    """
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(event).__name__).lower()
    if isinstance(event, ExecutionResumed) and event.is_let_in:
        name = "execution let in"
    step = str(getattr(event, "step", ""))
    failure = getattr(event, "failure", None)
    told = [] if failure is None else [f"{failure.code}: {failure.message}"]
    facts = {fact: getattr(event, fact, None) for fact in _FACTS}
    told += [f"{fact} {value}" for fact, value in facts.items() if value]
    return "  ".join([f"{name:18}", *([step] if step else []), *told]).rstrip()

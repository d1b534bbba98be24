"""`plait executions cancel`, `signal`, `approve`, `reject`: tell an execution something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from plait.cli.bulk import IdsArgument, Many, Verb, Wish, change_many
from plait.cli.course import bench_of
from plait.cli.durable import hand_of, new_id
from plait.cli.filters import Filters
from plait.cli.groups import spread
from plait.cli.inputs import read_input
from plait.cli.options import ConfigOption
from plait.cli.output import check_texts, stop
from plait.cli.recorded import recorded
from plait.cli.stores import IdArgument, StoreOption, found, with_store
from plait.drivers.journal import Store
from plait.operations import Hand, Signal, Verdict, judge
from plait.operations import cancel as cancel_it
from plait.operations import signal as signal_it
from plait.ports.journal import RUNNING, Summary

ByOption: TypeAlias = Annotated[
    str, typer.Option("--by", metavar="NAME", help="Who decides.")
]
StepArgument: TypeAlias = Annotated[
    str | None,
    typer.Argument(metavar="STEP", help="Which step, when several ask: `fan[left]/ok`."),
]
CommentOption: TypeAlias = Annotated[
    str, typer.Option(metavar="TEXT", help="Kept with the decision.")
]
RoleOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="ROLE", help="What else whoever decides may decide as."),
]


@recorded("execution.cancel", "executions")
@spread
def cancel(
    filters: Filters,
    many: Many,
    executions: IdsArgument = None,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Kept with the execution.")
    ] = "by hand",
    compensate: Annotated[
        bool,
        typer.Option("--compensate", help="Undo the steps that completed first."),
    ] = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """End an execution.

    One that nobody runs ends at once. One that a worker runs is stopped by that worker,
    within a second or so. One that has ended already stays as it is: exit code 2.

    Of several, or with filters: says how many are meant (running ones, unless --status
    says otherwise), goes on after one that cannot be cancelled, and sums up. Exit code 1:
    one could not be cancelled.

    Examples:

    - `plait executions cancel 7f3a --reason "wrong customer"`

    - `plait executions cancel 7f3a --compensate`

    - `plait executions cancel --workflow order --tag trial --dry-run`
    """
    check_texts({"--reason": reason})
    wish = Wish(executions or (), filters, (RUNNING,), many)

    async def change(hand: Hand, execution_id: str) -> Summary:
        return await cancel_it(hand, execution_id, reason, compensates=compensate)

    if wish.one is not None:
        _tell(config, store, wish.one, change)
        return
    fine = ("cancelled", RUNNING)
    verb = Verb("cancel", "cancelled", change, fine, is_left=True)
    change_many(bench_of(config, None, store), wish, verb)


@recorded("execution.signal", "execution")
def signal(
    execution: IdArgument,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What the document calls the event.")
    ],
    payload: Annotated[
        str,
        typer.Option(metavar="JSON|@FILE|-", help="What the step that waits responds."),
    ] = "null",
    signal_id: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="SIGNAL_ID", help="The same id twice is the same signal."
        ),
    ] = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Send an execution an event that it waits for, or will wait for.

    A step `wait` with an `event` of this name takes it, now or when it begins; a state
    machine now, or when its actions have ended. It is kept when this command ends with exit
    code 0. An event that the machine's state does not take is refused: exit code 2.

    Examples:

    - `plait executions signal 7f3a paid --payload '{"amount": 12}' --id payment-81`
    """
    given = read_input(payload)
    if given.wide:
        stop("--payload: an integer beyond 64 bits cannot be kept; send it as text")
    sent = Signal(signal_id or new_id(), name, given.value)

    async def change(hand: Hand, execution_id: str) -> Summary:
        return await signal_it(hand, execution_id, sent)

    _tell(config, store, execution, change)


@recorded("execution.approve", "execution")
def approve(
    execution: IdArgument,
    by: ByOption,
    step: StepArgument = None,
    comment: CommentOption = "",
    role: RoleOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Approve what an execution asks.

    The first decision counts. Who is not among the approvers that the step names is
    refused: exit code 2.

    Examples:

    - `plait executions approve 7f3a --by ada --comment "as agreed"`
    """
    _judge(config, store, execution, Verdict(True, by, comment, tuple(role or ()), step))


@recorded("execution.reject", "execution")
def reject(
    execution: IdArgument,
    by: ByOption,
    step: StepArgument = None,
    comment: CommentOption = "",
    role: RoleOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Reject what an execution asks.

    The execution goes on: what follows from it the document says.

    Examples:

    - `plait executions reject 7f3a pay --by ada --comment "too much"`
    """
    _judge(config, store, execution, Verdict(False, by, comment, tuple(role or ()), step))


def _judge(
    config: Path | None, store: str | None, execution: str, verdict: Verdict
) -> None:
    async def change(hand: Hand, execution_id: str) -> Summary:
        return await judge(hand, execution_id, verdict)

    _tell(config, store, execution, change)


def _tell(
    config: Path | None,
    store: str | None,
    execution: str,
    change: Callable[[Hand, str], Awaitable[Summary]],
) -> None:
    bench = bench_of(config, None, store)

    async def tell(opened: Store) -> Summary:
        execution_id = (await found(opened, execution)).new.execution_id
        return await change(hand_of(bench, opened), execution_id)

    with_store(store, config, tell)

"""`plait executions decide`, `resume`, `restart`, `fork`: decide, go on, begin again."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from plait.assembly import compose
from plait.cli.bulk import IdsArgument, Many, Verb, Wish, change_many
from plait.cli.durable import Bench, change_and_finish, hand_of, new_id
from plait.cli.filters import Filters
from plait.cli.groups import spread
from plait.cli.inputs import checked_input, read_input
from plait.cli.options import ConfigOption, ResolveOption, configured, connectors
from plait.cli.outcome import Manner, tell_ended
from plait.cli.output import check_texts, stop
from plait.cli.plans import load_one
from plait.cli.recorded import recorded
from plait.cli.stores import IdArgument, StoreOption, found, with_store
from plait.drivers.journal import Store
from plait.operations import Decision, Fork, Hand
from plait.operations import fork as fork_it
from plait.operations import resolve as decide_it
from plait.operations import restart as restart_it
from plait.operations import resume as resume_it
from plait.operations import rollback as rollback_it
from plait.plan import load_plan
from plait.ports.journal import TERMINAL, Summary

DetachOption: TypeAlias = Annotated[
    bool,
    typer.Option("--detach", help="Leave it to whoever runs executions, or to later."),
]
QuietOption: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="No timeline, and no progress.")
]


@recorded("execution.decide", "execution")
def decide(
    execution: IdArgument,
    action: Annotated[
        Literal["retry", "done", "fail"],
        typer.Option(
            "--as",
            metavar="retry|done|fail",
            help="Make the call again; it was done; or let it fail.",
        ),
    ],
    step: Annotated[
        str,
        typer.Option(metavar="STEP", help="Which. Default: the only one in doubt."),
    ] = "",
    response: Annotated[
        str,
        typer.Option(metavar="JSON|@FILE|-", help="With --as done: what was answered."),
    ] = "null",
    by: Annotated[
        str, typer.Option(metavar="NAME", help="Who decides; kept with the execution.")
    ] = "",
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Say what became of an `unsafe` call whose worker died meanwhile.

    Whoever runs the execution goes on with it.

    Examples:

    - `plait executions decide 7f3a --as done --response '{"receipt": 17}' --by ada`
    """
    bench = bench_of(config, None, store)
    given = read_input(response)
    if given.wide:
        stop("--response: an integer beyond 64 bits cannot be kept; send it as text")
    answer = given.value

    async def change(opened: Store) -> Summary:
        execution_id = (await found(opened, execution)).new.execution_id
        decision = Decision(step, action, answer, by or getpass.getuser())
        return await decide_it(hand_of(bench, opened), execution_id, decision)

    with_store(store, config, change)


@recorded("execution.resume", "executions")
@spread
def resume(
    filters: Filters,
    many: Many,
    executions: IdsArgument = None,
    detach: DetachOption = False,
    quiet: QuietOption = False,
    store: StoreOption = None,
    resolve: ResolveOption = None,
    config: ConfigOption = None,
) -> None:
    """Let an execution that failed or was cancelled go on where it ended.

    The step that failed gets all its attempts anew; what had completed stays. Runs it to
    its end and prints its output, as `plait run` does, unless it is detached.

    Of several, or with filters: says how many are meant (failed or cancelled ones, unless
    --status or --error says otherwise), resumes some at a time until each has ended or
    has only to wait, goes on after one that cannot be resumed, and sums up. Exit code 1:
    one could not be resumed, or has failed again.

    Examples:

    - `plait executions resume 7f3a`

    - `plait executions resume --workflow order --failed --since 1d --dry-run`

    - `plait executions resume --workflow order --failed --since 1d --json`
    """
    statuses = () if filters.error else ("failed", "cancelled")
    wish = Wish(executions or (), filters, statuses, many, quiet)
    verb = Verb("resume", "resumed", resume_it, is_left=detach)
    _change_all(bench_of(config, resolve, store), wish, verb)


@recorded("execution.rollback", "execution")
def rollback(
    execution: IdArgument,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Kept with the execution.")
    ] = "by hand",
    detach: DetachOption = False,
    quiet: QuietOption = False,
    store: StoreOption = None,
    resolve: ResolveOption = None,
    config: ConfigOption = None,
) -> None:
    """Undo what an execution that has ended did.

    Each completed step that has a `compensate` is undone, what completed last first; what
    could not be undone before is tried again. Runs that to its end, unless it is detached.
    Exit code 0: it is compensated.

    Examples:

    - `plait executions rollback 7f3a --reason "customer withdrew"`
    """

    check_texts({"--reason": reason})

    async def change(hand: Hand) -> Summary:
        only = await found(hand.store, execution)
        return await rollback_it(hand, only.new.execution_id, reason)

    bench = bench_of(config, resolve, store)
    shown = change_and_finish(bench, change, is_left=detach)
    if not detach and shown.status != "compensated":
        tell_ended(shown, Manner(quiet=quiet, as_json=False), is_pretty=None)


@recorded("execution.restart", "executions")
@spread
def restart(
    filters: Filters,
    many: Many,
    executions: IdsArgument = None,
    detach: DetachOption = False,
    quiet: QuietOption = False,
    store: StoreOption = None,
    resolve: ResolveOption = None,
    config: ConfigOption = None,
) -> None:
    """Begin a new execution with the same plan and input.

    Of several, or with filters: as `resume` does it. Those that have ended are meant,
    unless --status or --error says otherwise.

    Examples:

    - `plait executions restart 7f3a`

    - `plait executions restart --workflow order --status cancelled --since 1h`
    """
    wish = Wish(executions or (), filters, () if filters.error else TERMINAL, many, quiet)

    async def change(hand: Hand, execution_id: str) -> Summary:
        return await restart_it(hand, execution_id, new_id())

    verb = Verb("restart", "restarted", change, is_left=detach)
    _change_all(bench_of(config, resolve, store), wish, verb)


@recorded("execution.fork", "execution")
def fork(
    execution: IdArgument,
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="STEP",
            help="The step instance to begin from: `pay`, `fan[left]/charge`.",
        ),
    ],
    input_: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            metavar="JSON|@FILE|-",
            help="Another input than before.",
        ),
    ] = None,
    document: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A newer version of the workflow."),
    ] = None,
    detach: DetachOption = False,
    quiet: QuietOption = False,
    store: StoreOption = None,
    resolve: ResolveOption = None,
    config: ConfigOption = None,
) -> None:
    """Begin a new execution that keeps what came before a step of an old one.

    Examples:

    - `plait executions fork 7f3a --from charge`

    - `plait executions fork 7f3a --from 'fan[left]/charge' --document order.yaml`
    """
    bench = bench_of(config, resolve, store)
    settings = bench.settings.settings
    plan = None
    if document is not None:
        limits = compose.source_limits(settings)
        plan = load_one(document, compose.catalog(bench.available), limits)[1].plan
    given = None if input_ is None else read_input(input_)

    async def change(hand: Hand) -> Summary:
        old = (await found(hand.store, execution)).new
        value = None
        if given is not None:
            checked_by = plan or load_plan(await hand.store.load_plan(old.plan_hash))
            value = checked_input(checked_by, given)
        wanted = Fork(old.execution_id, from_, value, given is not None, plan)
        return await fork_it(hand, wanted, new_id())

    _change(bench, change, detach=detach, quiet=quiet)


def bench_of(config: Path | None, resolve: list[str] | None, store: str | None) -> Bench:
    """Return where executions are worked on, by the options of a command."""
    return Bench(configured(config, resolve, None), connectors(), store)


def _change_all(bench: Bench, wish: Wish, verb: Verb) -> None:
    execution = wish.one
    if execution is None:
        change_many(bench, wish, verb)
        return

    async def change(hand: Hand) -> Summary:
        only = await found(hand.store, execution)
        return await verb.change(hand, only.new.execution_id)

    _change(bench, change, detach=verb.is_left, quiet=wish.quiet)


def _change(
    bench: Bench,
    change: Callable[[Hand], Awaitable[Summary]],
    *,
    detach: bool,
    quiet: bool,
) -> None:
    shown = change_and_finish(bench, change, is_left=detach)
    if not detach:
        tell_ended(shown, Manner(quiet=quiet, as_json=False), is_pretty=None)

"""`plait executions`: durable executions, listed, shown and watched.

Not here: telling one something (plait.cli.messages), letting it go on or begin again
(plait.cli.course); their commands join those here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Final

import typer

from plait.cli.course import bench_of, decide, fork, restart, resume, rollback
from plait.cli.durable import Bench, hand_of
from plait.cli.filters import Filters
from plait.cli.groups import spread
from plait.cli.messages import approve, cancel, reject, signal
from plait.cli.options import ConfigOption, JsonOption
from plait.cli.output import error_json, json_text, write, write_json
from plait.cli.steps import step_lines
from plait.cli.stores import IdArgument, StoreOption, found, with_store
from plait.cli.table import print_executions
from plait.cli.timeline import print_timeline
from plait.cli.transfer import export, import_
from plait.cli.typers import new_group
from plait.cli.watching import watch
from plait.drivers.clock import now_ms
from plait.drivers.journal import Store
from plait.kernel.views import moment_text
from plait.model.caller import DEFAULT_TENANT
from plait.model.duration import format_ms
from plait.model.json import JsonObject
from plait.operations import (
    Shown,
    aside_json,
    requests,
    row_json,
    show,
    shown_json,
    started_by,
    steps_json,
    waits,
)
from plait.ports.journal import QUEUED, RUNNING

_BEHIND_SHOWN: Final = 3
_STATES_SHOWN: Final = 20

group = new_group()


@group.callback()
def _executions() -> None:
    """Look at durable executions; change them."""


@group.command("list")
@spread
def list_(
    filters: Filters,
    limit: Annotated[
        int, typer.Option(metavar="COUNT", min=1, max=10_000, help="At most so many.")
    ] = 50,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """List executions, the latest first.

    Examples:

    - `plait executions list --status failed --since 1d`

    - `plait executions list -w order --text ada@example.org --json`
    """
    search = filters.search(limit)
    rows_found = with_store(store, config, lambda opened: opened.find(search))
    if as_json:
        write_json([row_json(one) for one in rows_found])
    else:
        print_executions(rows_found)


@group.command("show")
def show_(
    execution: IdArgument,
    full: Annotated[
        bool, typer.Option("--full", help="Write requests and responses whole.")
    ] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Show one execution: its timeline, and what every step was asked and answered.

    Secrets are masked: they are not in the store.

    Examples:

    - `plait executions show 7f3a`

    - `plait executions show 7f3a --full`

    - `plait executions show 7f3a --json`
    """
    bench = bench_of(config, None, store)
    shown = with_store(store, config, lambda opened: _shown(bench, opened, execution))
    if as_json:
        write_json(shown_json(shown))
    else:
        _print_shown(shown, is_whole=full)


_COMMANDS = (
    watch,
    signal,
    approve,
    reject,
    cancel,
    decide,
    resume,
    rollback,
    restart,
    fork,
    export,
)
for _command in _COMMANDS:
    group.command()(_command)
group.command("import")(import_)


async def _shown(bench: Bench, opened: Store, execution: str) -> Shown:
    summary = await found(opened, execution)
    history = await opened.read(summary.new.execution_id)
    shown = show(history, now_ms())
    hand = hand_of(bench, opened)
    shown = replace(shown, requests=await requests(hand, history))
    if shown.status != RUNNING:
        return shown
    return replace(shown, waits=await waits(hand, history))


def _print_shown(shown: Shown, *, is_whole: bool) -> None:
    new = shown.summary.new
    is_running = shown.status == RUNNING
    facts: dict[str, object] = {
        "workflow": new.workflow,
        "tenant": new.tenant if new.tenant != DEFAULT_TENANT else None,
        "started": moment_text(new.created_at_ms),
        "by": starter_text(started_by(shown.started.trigger)),
        "tags": ", ".join(new.tags),
        "key": new.key,
        "parent": new.parent,
        "stands": shown.summary.standing.error_code if is_running else None,
        "input": json_text(shown.started.input, is_pretty=False),
    }
    if shown.failure is not None:
        facts["error"] = json_text(error_json(shown.failure), is_pretty=False)
    elif not is_running:
        facts["output"] = json_text(shown.output, is_pretty=False)
    for name, value in facts.items():
        if value:
            write(f"{name:10} {value}\n")
    took_ms = shown.trace.ms(shown.trace.ended_s)
    status = "queued" if shown.summary.lane_state == QUEUED else shown.status
    title = f"{new.execution_id}  {status} after {format_ms(took_ms)}"
    print_timeline(shown.trace.as_json(), title=title)
    for line in state_lines(shown.states, shown.refused):
        write(line + "\n")
    for wait in shown.waits:
        write(f"waits      {wait_text(wait)}\n")
    for message in shown.aside:
        told = json_text(aside_json(message), is_pretty=False)
        write(f"unreadable {told}\n")
    for line in step_lines(steps_json(shown), is_whole=is_whole):
        write(line + "\n")


def starter_text(told: JsonObject | None) -> str:
    """Return who or what started an execution, for people.

    >>> starter_text({"type": "http", "by": "key:k3v7", "method": "GET", "path": "/x"})
    'key:k3v7 (http GET /x)'
    >>> starter_text({"type": "webhook", "path": "/paid", "id": "m1"}), starter_text(None)
    ('webhook /paid m1', '')
    """
    facts = dict(told or {})
    by = facts.pop("by", None)
    what = " ".join(map(str, facts.values()))
    return what if by is None else f"{by} ({what})"


def state_lines(
    states: Sequence[JsonObject], refused: Sequence[JsonObject]
) -> Iterator[str]:
    """Yield the latest states of a machine, and the latest events that it refused.

    >>> first = {"state": "created", "previous": None, "cause": None, "at": "09:00"}
    >>> list(state_lines([first, {**first, "state": "paid", "cause": "pay"}], []))
    ['state      09:00  created', 'state      09:00  paid, by pay']
    """
    hidden = len(states) - _STATES_SHOWN
    if hidden > 0:
        yield f"state      … {hidden} before"
    for one in states[-_STATES_SHOWN:]:
        cause = f", by {one['cause']}" if one["cause"] else ""
        yield f"state      {one['at']}  {one['state']}{cause}"
    for one in refused[-_STATES_SHOWN:]:
        yield f"refused    {one['at']}  {one['name'] or one['id']}: {one['reason']}"


def wait_text(wait: JsonObject) -> str:
    """Return what a step waits for as a line for people.

    >>> wait_text({"step": "pay", "for": "event", "name": "paid", "until": None})
    'pay: event paid'
    >>> wait_text({"step": "pay", "for": "secret", "secrets": ["token"]})
    'pay: a worker that has secrets.token'
    >>> wait_text({"step": "pay", "for": "worker", "needs": "the function shop.pay"})
    'pay: a worker that has the function shop.pay'
    >>> wait_text({"for": "lane", "lane": "shop", "behind": ["x1", "x2", "x3", "x4"]})
    'for its turn: lane shop is full, behind x1, x2, x3 and 1 more'
    >>> wait_text({"for": "room"})
    'for room: each worker has as many in memory as execution.held_max allows'
    """
    if wait["for"] == "room":
        return "for room: each worker has as many in memory as execution.held_max allows"
    if wait["for"] == "lane":
        return _queue_text(wait)
    if wait["for"] == "secret":
        return _secret_text(wait)
    if wait["for"] == "worker":
        return f"{wait['step']}: a worker that has {wait['needs']}"
    told = [f"{wait['step']}: {wait['for']}"]
    told += [str(wait[key]) for key in ("name", "title") if wait.get(key)]
    approvers = wait.get("approvers")
    if isinstance(approvers, list) and approvers:
        told.append(f"by {', '.join(map(str, approvers))}")
    if wait.get("until"):
        told.append(f"until {wait['until']}")
    return " ".join(told)


def _secret_text(wait: JsonObject) -> str:
    names = wait["secrets"]
    assert isinstance(names, list)
    listed = ", ".join(f"secrets.{name}" for name in names)
    return f"{wait['step']}: a worker that has {listed}"


def _queue_text(wait: JsonObject) -> str:
    behind = wait["behind"]
    assert isinstance(behind, list)
    text = ", ".join(map(str, behind[:_BEHIND_SHOWN]))
    more = len(behind) - _BEHIND_SHOWN
    text += f" and {more} more" if more > 0 else ""
    return f"for its turn: lane {wait['lane']} is full, behind {text}"

"""`plait run`: one execution, here and now, in express mode."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from typing import Annotated, TypeAlias

import typer

from plait.assembly import compose
from plait.cli.durable import Bench, neighbours, new_id, start_and_finish
from plait.cli.inputs import checked_input, read_input
from plait.cli.options import (
    ConfigOption,
    EnvOption,
    FileArgument,
    ResolveOption,
    configured,
    connectors,
)
from plait.cli.outcome import Ended, Manner, tell_ended, tell_warnings
from plait.cli.output import check_texts, stop
from plait.cli.performer import performer_of
from plait.cli.plans import load_one
from plait.cli.stores import StoreOption, finish
from plait.cli.whoever import whoever
from plait.drivers.inline import Result
from plait.drivers.inline import Start as InlineStart
from plait.drivers.journal import PRIORITY_MAX, Start
from plait.model.duration import parse_duration_ms
from plait.model.json import JsonObject, JsonValue
from plait.plan import Plan
from plait.plan.codec import hash_plan

InputOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--input",
        "-i",
        metavar="JSON|@FILE|-",
        help="The input: JSON, a file that holds it, or - for standard input.",
    ),
]
PrettyOption: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--pretty/--compact",
        help="Indent the output, or not. Default: indent on a terminal.",
        show_default=False,
    ),
]
TimeoutOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Give up after so long: 800ms, 2s, 5m."),
]
DurableOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--durable", help="Keep every step in the store, so that a crash loses none."
    ),
]
KeyOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="With --durable: a second start with it gives the first execution.",
    ),
]
TagOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="WORD", help="With --durable: a word to find the execution by."),
]
PriorityOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="0-9",
        min=0,
        max=PRIORITY_MAX,
        help="With --durable: higher goes first. Default: what the document says.",
    ),
]
QuietOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="No warnings, and no timeline but the one of --json-timeline.",
    ),
]
JsonTimelineOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json-timeline",
        help="Write warnings, timeline and error to standard error as JSON Lines.",
    ),
]
_EXECUTION_ID_BYTES = 16


def command(
    file: FileArgument,
    input_: InputOption = "{}",
    resolve: ResolveOption = None,
    env: EnvOption = None,
    config: ConfigOption = None,
    timeout: TimeoutOption = None,
    pretty: PrettyOption = None,
    durable: DurableOption = False,
    key: KeyOption = None,
    tag: TagOption = None,
    priority: PriorityOption = None,
    store: StoreOption = None,
    quiet: QuietOption = False,
    json_timeline: JsonTimelineOption = False,
) -> None:
    """Run a workflow once and print its output.

    The output goes to standard output as JSON; a timeline goes to standard error when that
    is a terminal. Exit code 0: completed. 1: the execution failed; the error goes to
    standard error as JSON: the last line, unless a terminal reads it. 2: the document, the
    input or a setting is invalid; nothing ran, and standard error says why in words.

    With --json-timeline every line on standard error is one JSON object with a `type`:
    `warning` for each of the document's, then `step` for each step, `execution`, and, if
    there is one, `error`.

    Examples:

    - `plait run hello.yaml --input '{"name": "Ada"}'`

    - `plait run profile.yaml -i @input.json --resolve users=127.0.0.1:8001`

    - `plait run order.yaml -i @order.json --durable --key order-17`

    - `echo '{"name": "Ada"}' | plait run hello.yaml -i - --json-timeline`
    """
    settings = configured(config, resolve, env)
    available = connectors()
    limits = compose.source_limits(settings.settings)
    loaded, compiled = load_one(file, compose.catalog(available), limits)
    plan = _limited(compiled.plan, timeout)
    value = checked_input(plan, read_input(input_))
    manner = Manner(quiet=quiet, as_json=json_timeline)
    tell_warnings(loaded, manner)
    check_texts({"--key": key, "--tag": "".join(tag or ())})
    if key == "":
        stop("--key: write one, or leave the option out")
    if not durable and (key or tag or store or priority is not None):
        stop(
            "--key, --tag, --priority and --store are for executions that are kept: "
            "add --durable"
        )
    bench = Bench(settings, available, store, os.path.dirname(file) or ".")
    result: Ended
    if durable:
        trigger: JsonObject = {"type": "cli", "by": whoever()}
        started = Start(new_id(), value, trigger, key, tuple(tag or ()), priority)
        result = start_and_finish(bench, plan, started)
    else:
        result = finish(execute(bench, plan, value))
    tell_ended(result, manner, is_pretty=pretty)


def _limited(plan: Plan, timeout: str | None) -> Plan:
    """Return `plan` with the shorter of its own time limit and `--timeout`."""
    if timeout is None:
        return plan
    try:
        timeout_ms = parse_duration_ms(timeout)
    except ValueError as error:
        stop(f"--timeout: {error}")
    if timeout_ms < 1:
        stop(f"--timeout: '{timeout}' should be a millisecond or more")
    if plan.timeout_ms is not None:
        timeout_ms = min(timeout_ms, plan.timeout_ms)
    return hash_plan(replace(plan, timeout_ms=timeout_ms))


async def execute(bench: Bench, plan: Plan, value: JsonValue) -> Result:
    """Run one execution of `plan`; whatever ends it, its calls are cancelled and closed."""
    settings = bench.settings
    performer = performer_of(settings, bench.available)
    try:
        driver = compose.driver(settings, performer, neighbours(bench))
        execution_id = secrets.token_hex(_EXECUTION_ID_BYTES)
        kernel = compose.kernel(settings.settings, plan)
        return await driver.run(kernel, InlineStart(execution_id, value, {"type": "cli"}))
    finally:
        await performer.close()

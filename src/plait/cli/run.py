"""`plait run`: one execution, here and now, in express mode."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, TypeAlias

import typer

from plait.assembly import compose
from plait.assembly.connectors import Connector
from plait.assembly.sources import Configured
from plait.cli.inputs import checked_input, read_input
from plait.cli.options import (
    ConfigOption,
    EnvOption,
    FileArgument,
    ResolveOption,
    configured,
    connectors,
)
from plait.cli.outcome import Manner, tell_error, tell_timeline, tell_warnings
from plait.cli.output import EXIT_FAILED, is_terminal, json_text, stop, write
from plait.cli.plans import load_one
from plait.drivers.inline import Result, Start
from plait.model.duration import parse_duration_ms
from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.plan import Plan

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
_EXECUTION_ID_BYTES = 16


def command(
    file: FileArgument,
    input_: InputOption = "{}",
    resolve: ResolveOption = None,
    env: EnvOption = None,
    config: ConfigOption = None,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Give up after so long: 800ms, 2s, 5m."),
    ] = None,
    pretty: PrettyOption = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="No warnings, and no timeline but the one of --json-timeline.",
        ),
    ] = False,
    json_timeline: Annotated[
        bool,
        typer.Option(
            "--json-timeline",
            help="Write warnings, timeline and error to standard error as JSON Lines.",
        ),
    ] = False,
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
    result = asyncio.run(execute(settings, available, plan, value))
    tell_timeline(result, manner)
    is_pretty = is_terminal(sys.stdout) if pretty is None else pretty
    text = result.failure or output_text(result.output, is_pretty=is_pretty)
    if isinstance(text, Failure):
        tell_error(text, manner)
        stop(code=EXIT_FAILED)
    write(text)


def output_text(output: JsonValue, *, is_pretty: bool) -> str | Failure:
    """Return what goes to standard output, or why it cannot be written."""
    try:
        return json_text(output, is_pretty=is_pretty) + "\n"
    except TypeError as error:
        too_deep = "Recursion limit" in str(error)
        why = "it is nested too deep" if too_deep else str(error)
        return Failure("reply.not_json", f"the output cannot be written as JSON: {why}")


def _limited(plan: Plan, timeout: str | None) -> Plan:
    """Return `plan` with the shorter of its own time limit and `--timeout`."""
    if timeout is None:
        return plan
    try:
        timeout_ms = parse_duration_ms(timeout)
    except ValueError as error:
        stop(f"--timeout: {error}")
    if plan.timeout_ms is not None:
        timeout_ms = min(timeout_ms, plan.timeout_ms)
    return replace(plan, timeout_ms=timeout_ms)


async def execute(
    settings: Configured, available: Sequence[Connector], plan: Plan, value: JsonValue
) -> Result:
    """Run one execution of `plan`; whatever ends it, its calls are cancelled and closed."""
    performer = compose.calls(settings.settings, available)
    try:
        driver = compose.driver(settings, performer)
        execution_id = secrets.token_hex(_EXECUTION_ID_BYTES)
        kernel = compose.kernel(settings.settings, plan)
        return await driver.run(kernel, Start(execution_id, value, {"type": "cli"}))
    finally:
        await performer.close()

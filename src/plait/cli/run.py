"""`plait run`: one execution, here and now, in express mode."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from plait.assembly import compose
from plait.assembly.connectors import Connector
from plait.assembly.documents import load_document
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
from plait.cli.output import EXIT_FAILED, json_text, say, stop, write
from plait.cli.timeline import print_timeline
from plait.drivers.inline import Result, Start
from plait.model.duration import format_ms, parse_duration_ms
from plait.model.json import JsonValue
from plait.plan import Plan

_EXECUTION_ID_BYTES = 16


def command(
    file: FileArgument,
    input_: Annotated[
        str,
        typer.Option(
            "--input",
            "-i",
            metavar="JSON|@FILE|-",
            help="The input: JSON, a file that holds it, or - for standard input.",
        ),
    ] = "{}",
    resolve: ResolveOption = None,
    env: EnvOption = None,
    config: ConfigOption = None,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Give up after so long: 800ms, 2s, 5m."),
    ] = None,
    pretty: Annotated[
        bool | None,
        typer.Option(
            "--pretty/--compact",
            help="Indent the output, or not. Default: indent on a terminal.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No timeline and no warnings.")
    ] = False,
    json_timeline: Annotated[
        bool,
        typer.Option(
            "--json-timeline", help="Write the timeline as JSON to standard error."
        ),
    ] = False,
) -> None:
    """Run a workflow once and print its output.

    The output goes to standard output as JSON; a timeline goes to standard error when that
    is a terminal. Exit code 0: completed. 1: the execution failed; the error goes to
    standard error as JSON. 2: the document, the input or a setting is invalid.

    Examples:

    - `plait run hello.yaml --input '{"name": "Ada"}'`

    - `plait run profile.yaml -i @input.json --resolve users=127.0.0.1:8001`

    - `echo '{"name": "Ada"}' | plait run hello.yaml -i - --json-timeline`
    """
    settings = configured(config, resolve, env)
    available = connectors()
    limits = compose.source_limits(settings.settings)
    loaded = load_document(file, compose.catalog(available), limits)
    if loaded.compiled is None:
        stop(*loaded.findings())
    for warning in () if quiet else loaded.findings():
        say(warning)
    plan = _limited(loaded.compiled.plan, timeout)
    value = checked_input(plan, read_input(input_))
    result = asyncio.run(execute(settings, available, plan, value))
    _show_timeline(result, quiet=quiet, as_json=json_timeline)
    if result.failure is not None:
        error: JsonValue = {"error": result.failure.as_json()}
        stop(json_text(error, is_pretty=sys.stderr.isatty()), code=EXIT_FAILED)
    is_pretty = sys.stdout.isatty() if pretty is None else pretty
    write(json_text(result.output, is_pretty=is_pretty) + "\n")


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


def _show_timeline(result: Result, *, quiet: bool, as_json: bool) -> None:
    lines = result.trace.as_json()
    if as_json:
        say(json_text(lines, is_pretty=False))
    elif sys.stderr.isatty() and not quiet:
        took = format_ms(result.trace.ms(result.trace.ended_s))
        optional = ", without a step that failed" if result.is_degraded else ""
        print_timeline(lines, title=f"{result.status} in {took}{optional}")

"""`plait draft`: a workflow from a description in plain English."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from plait.agent import (
    Knowledge,
    KnownWorkflow,
    Made,
    NotMade,
    OpenapiUnusable,
    Operation,
    Progress,
    Task,
)
from plait.assembly import agents, compose
from plait.assembly.documents import document_files
from plait.assembly.sources import Configured
from plait.cli.options import ConfigOption, ResolveOption, configured, connectors
from plait.cli.output import (
    EXIT_FAILED,
    check_texts,
    say,
    stop,
    write,
    write_document,
    write_json_line,
)
from plait.model.errors import PlaitError


def command(
    description: Annotated[
        str, typer.Argument(metavar="DESCRIPTION", help="What the workflow shall do.")
    ],
    openapi: Annotated[
        list[str] | None,
        typer.Option(
            "--openapi",
            metavar="FILE",
            help="An OpenAPI document with operations to call; NAME=FILE names it. May be "
            "given several times.",
        ),
    ] = None,
    workflows: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Workflows that the draft may call."),
    ] = None,
    edit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Change this workflow instead of a new one."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the workflow here."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every event as JSON, one per line.")
    ] = False,
    resolve: ResolveOption = None,
    config: ConfigOption = None,
) -> None:
    """Draft a workflow from a description in plain English.

    The draft is compiled, and mended until it compiles; nothing is run or called but the
    language model that `[agent]` of the settings may name. What could not be resolved is
    said on standard error. With --edit the description says what to change, and the
    difference is printed. Exit code 0: a workflow was drafted. 1: none was, or the model
    gave no answer. 2: a file or a setting is wrong.

    Examples:

    - `plait draft "get the customer and their orders" --openapi shop.yaml -o profile.yaml`

    - `plait draft "add a retry of 3 to payment" --edit checkout.yaml`
    """
    check_texts({"DESCRIPTION": description})
    settings = configured(config, resolve, None)
    base = None if edit is None else _text_of(edit)
    knowledge = Knowledge(_operations(settings, openapi or ()), _known(workflows))
    task = Task((description,), base, knowledge)
    try:
        ended = asyncio.run(_draft(settings, task, as_json=as_json))
    except PlaitError as error:
        stop(str(error), code=EXIT_FAILED)
    if isinstance(ended, NotMade):
        stop(ended.message, *_questions(ended.unresolved), code=EXIT_FAILED)
    _deliver(ended, output, as_json=as_json)


async def _draft(configured: Configured, task: Task, *, as_json: bool) -> Made | NotMade:
    drafter = agents.drafter(configured, compose.catalog(connectors()))
    try:
        async for one in drafter.draft(task):
            if isinstance(one, Made | NotMade):
                return one
            _tell(one, as_json=as_json)
    finally:
        await drafter.close()
    raise RuntimeError("the drafter came to no end")


def _tell(progress: Progress, *, as_json: bool) -> None:
    if as_json:
        event = {"type": progress.type, "data": progress.data}
        write_json_line(event)
        return
    repairs = progress.data.get("repairs")
    for line in repairs if isinstance(repairs, list) else ():
        say(f"mended: {line}")


def _deliver(made: Made, output: Path | None, *, as_json: bool) -> None:
    """Print or write the draft; say what is open."""
    if as_json:
        data = {
            "name": made.name,
            "definition": made.text,
            "steps": list(made.steps),
            "unresolved": list(made.unresolved),
            "assumed": list(made.assumed),
            "credentials": list(made.credentials),
            "difference": made.difference,
        }
        write_json_line({"type": "complete", "data": data})
    elif output is None and made.difference is not None:
        write(str(made.difference["text"]))
    elif output is None:
        write_document(made.text)
    if output is not None:
        try:
            output.write_text(made.text, "utf-8")
        except OSError as error:
            stop(f"{output}: cannot be written: {error.strerror}")
        say(f"wrote {output}")
    for line in made.assumed:
        say(f"taken for granted: {line}")
    for name in made.credentials:
        secret = name.removeprefix("secrets.")
        what = "credential" if secret == name else "secret"
        say(f"needs the {what} `{secret}`")
    for line in _questions(made.unresolved):
        say(line)


def _questions(unresolved: tuple[str, ...]) -> list[str]:
    return [f"unresolved: {line}" for line in unresolved]


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        stop(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        stop(f"{path}: is not UTF-8")


def _operations(
    settings: Configured, given: list[str] | tuple[str, ...]
) -> list[Operation]:
    try:
        found = agents.operations(settings.settings)
        for one in given:
            name, equals, file = one.partition("=")
            path = Path(file if equals else one)
            found += agents.read_operations(path, name if equals else path.stem)
    except OpenapiUnusable as error:
        stop(str(error))
    return found


def _known(folder: str | None) -> list[KnownWorkflow]:
    if folder is None:
        return []
    found = [agents.known_workflow(_text_of(Path(name))) for name in document_files(folder)]
    return [one for one in found if one is not None]

"""The command `plait`: which subcommands there are, and how one is loaded.

Rule. `plait --version` and `--help` import no command: a command's module, with all that
      it needs, is imported when that command is called. `load_command` is the one place
      here that imports by name while running: starting must not cost what is not used.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from plait import __version__
from plait.cli import streams
from plait.cli.typers import new_typer
from plait.model.visible import visible

# Name → module, and what `plait --help` says of it: the first line of its own help.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("plait.cli.run", "Run a workflow once and print its output."),
    "serve": ("plait.cli.serve", "Answer the endpoints of workflows over HTTP."),
    "validate": ("plait.cli.validate", "Check documents and report everything wrong."),
    "explain": ("plait.cli.explain", "Say what waits for what, and the worst case."),
    "graph": ("plait.cli.graph", "Draw a workflow's graph."),
    "draft": ("plait.cli.draft", "Draft a workflow from a description in plain English."),
    "init": ("plait.cli.init", "Write a commented workflow to start from."),
    "deploy": ("plait.cli.deploy", "Serve workflows from a store, version by version."),
    "deployments": ("plait.cli.deployments", "Look at what is deployed; go back."),
    "executions": ("plait.cli.executions", "Look at durable executions; change them."),
    "journal": ("plait.cli.journal", "Look after the store of durable executions."),
    "health": ("plait.cli.health", "Ask a gateway, or a service, whether it is ready."),
    "keys": ("plait.cli.keys", "Make, list and revoke API keys."),
    "users": ("plait.cli.users", "Add, list and remove users; change their passwords."),
    "credentials": ("plait.cli.credentials", "Keep what workflows show others, encrypted."),
    "audit": ("plait.cli.audit", "See who changed what, and whether the log is whole."),
    "plugins": (
        "plait.cli.plugins",
        "List what installed packages bring; check that it can be used.",
    ),
    "config": ("plait.cli.config", "Show every setting, and where it came from."),
    "schema": ("plait.cli.schema", "Print the JSON Schema of workflow documents."),
}


class LazyGroup(TyperGroup):
    """A group whose commands are imported when one of them is called.

    What is wrong with an argument is told in its own words, and so as text of others is.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, (_, summary) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=summary))

    def make_context(self, *given: Any, **more: Any) -> Any:
        """Read the arguments of `plait` itself."""
        with _told_visibly():
            return super().make_context(*given, **more)

    def invoke(self, ctx: Any) -> Any:
        """Read the arguments of a command, and run it."""
        with _told_visibly():
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and what is left of `args`; the command is real."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else load_command(name), rest


def load_command(name: str) -> Any:
    """Import the command called `name` and return it, as typer makes it."""
    path = COMMANDS[name][0]
    # What is imported already makes nothing: in another program that calls this again and
    # again, nothing of its own is to be frozen.
    with nullcontext() if path in sys.modules else _uncollected():
        module = importlib.import_module(path)
    if hasattr(module, "group"):
        return typer.main.get_command(module.group)
    single = new_typer(add_completion=False)
    single.command(name)(module.command)
    return typer.main.get_command(single)


@contextmanager
def _told_visibly() -> Iterator[None]:
    """Let no error about an argument hold what commands a terminal.

    Typer itself leaves what turns text around (U+202E).
    """
    try:
        yield
    except typer.TyperException as error:
        error.message = visible(error.message)
        raise


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage while modules are imported: what they make stays.

    That takes a tenth of the time of `plait serve` until it goes on with executions. What
    has been made is not looked at later either.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


app = new_typer(cls=LazyGroup, no_args_is_help=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"plait {__version__}")
        raise typer.Exit


@app.callback()
def _plait(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Plait braids many APIs into one: workflow documents, run or served as endpoints."""
    del version


def main() -> None:
    """Run the command line; ends the process."""
    streams.prepare()
    try:
        app(prog_name="plait")
    except OSError as error:
        # Commands deal with their own; what is left is help that typer could not write.
        streams.leave_unwritten(error)

"""What every command of `plait` has in common: its help, and how it fails.

Rule. Imports typer and nothing else: `plait --version` waits for whatever stands here.
"""

from __future__ import annotations

from typing import Any

import typer


def new_typer(**settings: Any) -> typer.Typer:
    """Return a typer application that speaks as all of ours do."""
    return typer.Typer(
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def new_group() -> typer.Typer:
    """Return one for the subcommands of a command: `plait keys create`, `list`…"""
    return new_typer(add_completion=False, no_args_is_help=True)

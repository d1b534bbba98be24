"""`plait config`: every setting, its value, and where that came from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from plait.assembly.origins import DEFAULT, Shown, all_settings
from plait.assembly.sources import SettingsInvalid
from plait.cli.options import (
    ConfigOption,
    EnvOption,
    JsonOption,
    ResolveOption,
    overrides_of,
    read_from,
)
from plait.cli.output import EXIT_INVALID, json_text, say, stop, write_json
from plait.cli.stores import StoreOption
from plait.cli.table import print_rows
from plait.cli.typers import new_group

group = new_group()


@group.callback()
def _config() -> None:
    """Show every setting, and where it came from."""


@group.command()
def show(
    changed: Annotated[
        bool, typer.Option("--changed", help="Only those that are not the default.")
    ] = False,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="As `plait serve` takes it.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="As `plait serve` takes it.")
    ] = None,
    resolve: ResolveOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Show every setting with its value, and where that came from.

    That is the default, a line of `plait.toml`, a variable, or the command line; the later
    wins. Secrets are shown as `***`. Exit code 2: something in them is wrong; everything
    that is wrong is told.

    Examples:

    - `plait config show --changed`

    - `plait config show --json --port 9000`
    """
    sections: dict[str, dict[str, Any]] = {
        "gateway": {"host": host, "port": port},
        "store": {"url": store},
    }
    overrides = overrides_of(resolve or (), env or (), sections)
    found = _all(config, overrides, as_json=as_json)
    shown = [one for one in found if not changed or one.source != DEFAULT]
    if as_json:
        write_json({"settings": [one.as_json() for one in shown]})
        return
    print_rows(("SETTING", "VALUE", "FROM"), map(_row, shown))


def _all(config: Path | None, overrides: dict[str, Any], *, as_json: bool) -> list[Shown]:
    try:
        made = read_from(config, overrides)
    except SettingsInvalid as error:
        if not as_json:
            stop(*(f"{error.code}: {one}" for one in error.problems))
        told = {"code": error.code, "message": str(error)}
        details: Any = {"problems": [*error.problems]}
        say(json_text({"error": {**told, "details": details}}, is_pretty=False))
        raise typer.Exit(EXIT_INVALID) from None
    return all_settings(
        made, os.environ, file=config, folder=Path.cwd(), overrides=overrides
    )


def _row(one: Shown) -> tuple[str, str, str]:
    value = (
        one.value if isinstance(one.value, str) else json_text(one.value, is_pretty=False)
    )
    return one.key, value, one.place or one.source

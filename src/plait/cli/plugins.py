"""`plait plugins`: what installed packages bring, and whether it can be used."""

from __future__ import annotations

import typer

from plait.assembly.plugin_list import every_plugin, trouble_of
from plait.assembly.plugins import Plugin
from plait.cli.options import JsonOption
from plait.cli.output import EXIT_INVALID, say, write_json
from plait.cli.table import print_rows
from plait.cli.typers import new_group
from plait.model.json import JsonObject
from plait.ports.plugins import KINDS

group = new_group()


@group.callback()
def _plugins() -> None:
    """List what installed packages bring; check that it can be used."""


@group.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List what installed packages bring. None of them is imported.

    Examples:

    - `plait plugins list --json`
    """
    found = every_plugin()
    if as_json:
        write_json({"plugins": [_told(one) for one in found]})
        return
    print_rows(("KIND", "NAME", "PACKAGE"), map(_row, found))


@group.command()
def check(as_json: JsonOption = False) -> None:
    """Import everything that installed packages bring, and say what cannot be used.

    Exit code 0: all of it can. 2: something cannot.

    Examples:

    - `plait plugins check`
    """
    found = [(one, trouble_of(one)) for one in every_plugin()]
    if as_json:
        told = (
            {**_told(one), "error": None if bad is None else dict(bad)}
            for one, bad in found
        )
        write_json({"plugins": [*told]})
    else:
        rows = ((*_row(one), "broken" if bad else "fine") for one, bad in found)
        print_rows(("KIND", "NAME", "PACKAGE", "STATE"), rows)
        for _, bad in found:
            if bad is not None:
                say(f"{bad['code']}: {bad['message']}")
    if any(bad is not None for _, bad in found):
        raise typer.Exit(EXIT_INVALID)


def _row(one: Plugin[object]) -> tuple[str, ...]:
    return KINDS[one.group], one.name, one.package


def _told(one: Plugin[object]) -> JsonObject:
    kind, name, package = _row(one)
    return {"kind": kind, "name": name, "package": package}

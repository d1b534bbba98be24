"""Options that several commands share, and what they come to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from plait.assembly.connectors import (
    Available,
    brought_types,
    installed_connectors,
)
from plait.assembly.sources import Configured, SettingsInvalid, read_settings
from plait.cli.output import stop
from plait.connectors.egress import ResolveMap

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file. Default: plait.toml in this directory, if there is one.",
    ),
]
ResolveOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--resolve",
        metavar="HOST=ADDRESS[:PORT]",
        help="Where a host of the document really is. May be given several times.",
    ),
]
EnvOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME=VALUE",
        help="What templates read as `env.NAME`. May be given several times.",
    ),
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write JSON, for programs.")
]
FileArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="FILE", help="A workflow document, YAML or JSON.")
]


def configured(
    config: Path | None,
    resolve: Iterable[str] | None,
    env: Iterable[str] | None,
    sections: Mapping[str, Mapping[str, Any]] | None = None,
) -> Configured:
    """Return the settings; ends with EXIT_INVALID when they are wrong.

    Args:
        sections: What other options say, by section; None: was not given.
    """
    try:
        return read_from(config, overrides_of(resolve or (), env or (), sections))
    except SettingsInvalid as error:
        stop(*error.problems)


def read_from(config: Path | None, overrides: Mapping[str, Any]) -> Configured:
    """Return the settings of this directory and environment, under what options say.

    Raises:
        SettingsInvalid: Something in them is wrong.
    """
    return read_settings(
        os.environ,
        file=config,
        folder=Path.cwd(),
        overrides=overrides,
        connectors=lambda: brought_types(connectors()),
    )


def overrides_of(
    resolve: Iterable[str],
    env: Iterable[str],
    sections: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return what options say, as nested mappings; what was not given is not there."""
    overrides: dict[str, Any] = {
        "resolve": _resolved(resolve),
        "env": pairs("--env", env, "region=eu"),
    }
    for name, given_ones in (sections or {}).items():
        overrides[name] = {k: v for k, v in given_ones.items() if v is not None}
    return {name: value for name, value in overrides.items() if value}


def _resolved(texts: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        given = pairs("--resolve", [text], "users=127.0.0.1:8001", "HOST=ADDRESS[:PORT]")
        try:
            ResolveMap(given)
        except ValueError as error:
            stop(f"--resolve {text}: {error}")
        found.update(given)
    return found


def pairs(
    option: str, texts: Iterable[str], example: str, form: str = "NAME=VALUE"
) -> dict[str, str]:
    """Return texts of the form `NAME=VALUE` as a mapping; the last of a name wins.

    >>> pairs("--env", ["a=1", "b=x=y"], "a=1")
    {'a': '1', 'b': 'x=y'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            stop(f"{option} {text}: write {form}, for example {option} {example}")
        if any("\ud800" <= char <= "\udfff" for char in text):  # bytes of the shell's
            stop(f"{option} {text}: is not UTF-8")
        found[name] = value
    return found


def connectors() -> tuple[Available, ...]:
    """Return all installed connectors. Those of other packages are not imported yet."""
    return installed_connectors()

"""`plait deployments`: what is deployed in a store, its versions, and going back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli.beside import Beside, triggers_data, triggers_path
from plait.cli.options import ConfigOption, JsonOption
from plait.cli.output import say, stop, write, write_json
from plait.cli.recorded import recorded
from plait.cli.records import (
    NameArgument,
    TenantOption,
    short,
    with_deployments,
)
from plait.cli.stores import StoreOption
from plait.cli.table import print_rows
from plait.cli.typers import new_group
from plait.model.caller import DEFAULT_TENANT, Caller
from plait.model.json import JsonObject
from plait.operations.deploying import StoredDeployments

group = new_group()


@group.callback()
def _deployments() -> None:
    """Look at what is deployed; go back."""


@group.command("list")
def list_(
    as_json: JsonOption = False,
    tenant: TenantOption = DEFAULT_TENANT,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """List deployments, by name: also those that were removed.

    Examples:

    - `plait deployments list`
    """
    rows = with_deployments(store, config, tenant, _every)
    if as_json:
        write_json(rows)
        return
    names = ("NAME", "STATUS", "VERSION", "ENDPOINT", "UPDATED")
    print_rows(names, map(_deployment, rows))


@group.command("show")
def show_(
    name: NameArgument,
    as_json: JsonOption = False,
    tenant: TenantOption = DEFAULT_TENANT,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the versions of one deployment, the latest first.

    Examples:

    - `plait deployments show hello`

    - `plait deployments show hello --json`
    """
    told: Any = with_deployments(
        store, config, tenant, lambda made, caller: made.get(caller, name)
    )
    if as_json:
        write_json(told)
        return
    lines = [f"{told['name']}  {told['status']}"]
    lines += [told["description"]] if told["description"] else []
    write("".join(f"{line}\n" for line in lines))
    names = ("", "VERSION", "DEPLOYED", "BY", "ENDPOINT")
    print_rows(names, map(_version, told["versions"]))


@group.command()
def diff(
    name: NameArgument,
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD", help="A version, how its id begins, `previous` or `active`."
        ),
    ] = "previous",
    new: Annotated[str, typer.Argument(metavar="NEW", help="As OLD.")] = "active",
    as_json: JsonOption = False,
    tenant: TenantOption = DEFAULT_TENANT,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Show how two versions differ. Default: the active one, and the one before it.

    Examples:

    - `plait deployments diff hello`

    - `plait deployments diff hello 4f2c81d0 active --json`
    """
    told: Any = with_deployments(
        store, config, tenant, lambda made, caller: made.difference(caller, name, old, new)
    )
    if as_json:
        write_json(told)
    else:
        write(told["text"])
        for one in told["changes"]:
            keys = f": {', '.join(one['keys'])}" if one.get("keys") else ""
            say(f"{one['change']} {one['kind']} {one['path']}{keys}")


@group.command()
@recorded("deployment.activate", "name")
def activate(
    name: NameArgument,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="Its id, or how that begins.")
    ],
    as_json: JsonOption = False,
    tenant: TenantOption = DEFAULT_TENANT,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve another version that is kept.

    Examples:

    - `plait deployments activate hello 4f2c81d0`
    """
    told = with_deployments(
        store, config, tenant, lambda made, caller: made.activate(caller, name, version)
    )
    _tell_switch(told, as_json)


@group.command()
@recorded("deployment.rollback", "name")
def rollback(
    name: NameArgument,
    as_json: JsonOption = False,
    tenant: TenantOption = DEFAULT_TENANT,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Go back to the version that was active before; again, to the one before that.

    Of a deployment that was removed, to the one that was active last.

    Examples:

    - `plait deployments rollback hello`
    """
    told = with_deployments(
        store, config, tenant, lambda made, caller: made.activate(caller, name, None)
    )
    _tell_switch(told, as_json)


@group.command()
@recorded("deployment.remove", "name")
def remove(
    name: NameArgument,
    as_json: JsonOption = False,
    tenant: TenantOption = DEFAULT_TENANT,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve a workflow no longer. Its versions are kept; executions under way go on.

    Examples:

    - `plait deployments remove hello`
    """
    told = with_deployments(
        store, config, tenant, lambda made, caller: made.undeploy(caller, name)
    )
    _tell_switch(told, as_json)


@group.command()
def export(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Is made if it is not there.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that say something else.")
    ] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Write every active document to a file, to the byte as it was deployed.

    Triggers that were given beside a document are written beside it, `pay.yaml.triggers`,
    to the byte as well; of what came over the API, indented.

    Examples:

    - `plait deployments export workflows/`
    """
    kept = with_deployments(store, config, tenant, _active_documents)
    files: dict[Path, bytes | None] = {}
    for name, text, beside in kept:
        path = folder / f"{name}.{_ending(text)}"
        files[path] = text.encode()
        files[triggers_path(path)] = triggers_data(beside)
    try:
        there = [path for path, data in files.items() if _differs(path, data)]
        if there and not force:
            names = ", ".join(path.name for path in there)
            stop(f"{folder}: {names} would be replaced; nothing was written (--force)")
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            _write(path, data)
    except OSError as error:
        stop(f"{error.filename or folder}: cannot be written: {error.strerror}")
    count = f"{len(kept)} document{'' if len(kept) == 1 else 's'}"
    say(f"{count} written to {folder}")


async def _every(made: StoredDeployments, caller: Caller) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page: Any = await made.list(caller, after=after, limit=500)
        rows += page["deployments"]
        after = page["next"]
    return rows


async def _active_documents(
    made: StoredDeployments, caller: Caller
) -> list[tuple[str, str, Beside]]:
    """Return the name, the text and the triggers from beside it of all that is active."""
    told: list[Any] = [
        await made.get(caller, name) for name in await made.active_names(caller)
    ]
    return [
        (one["name"], one["definition"], Beside(one["triggers"], one["triggers_text"]))
        for one in told
    ]


def _ending(text: str) -> str:
    """Return the ending of the file that `text` makes: JSON is YAML, but not always meant.

    >>> _ending('{"name": "a"}'), _ending("{name: a}")
    ('json', 'yaml')
    """
    try:
        json.loads(text)
    except ValueError:
        return "yaml"
    return "json"


def _differs(path: Path, data: bytes | None) -> bool:
    """Tell whether a file is there that says something else; None: there shall be none."""
    return path.exists() and path.read_bytes() != data


def _write(path: Path, data: bytes | None) -> None:
    if data is not None:
        path.write_bytes(data)
    else:
        path.unlink(missing_ok=True)


def _tell_switch(told: JsonObject, as_json: bool) -> None:
    if as_json:
        write_json(told)
        return
    name, version, replaced = told["name"], told["version"], told["replaced"]
    if not told["changed"]:
        write(f"{name}: nothing changed, {told['status']}\n")
    elif told["status"] == "inactive":
        write(f"{name}: removed, {short(replaced)} was active\n")
    else:
        write(f"{name}: {short(replaced)} → {short(version)}\n")


def _deployment(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["name"],
        row["status"],
        short(row.get("version")),
        _endpoint(row.get("endpoint")),
        row.get("updated_at", ""),
    )


def _version(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        "*" if one["is_active"] else "",
        short(one["version"]),
        one["created_at"],
        one["created_by"],
        _endpoint(one["endpoint"]),
    )


def _endpoint(endpoint: Any) -> str:
    return f"{endpoint['method']} {endpoint['path']}" if endpoint else ""

"""`plait credentials`: keep what workflows show others, encrypted, and never show it."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import typer

from plait.assembly.sources import Configured
from plait.assembly.vaults import vault
from plait.cli.options import ConfigOption, JsonOption, configured, pairs
from plait.cli.output import check_texts, say, stop, write, write_json
from plait.cli.recorded import recorded
from plait.cli.scopes import TenantOption, when, with_records
from plait.cli.standard_input import read_secret, without_line_end
from plait.cli.stores import StoreOption
from plait.cli.table import print_rows
from plait.cli.typers import new_group
from plait.model.caller import DEFAULT_TENANT, Caller
from plait.model.json import JsonObject
from plait.ports.records import Records
from plait.security.vault import StoredVault
from plait.security.vault.kinds import KINDS
from plait.security.vault.ring import KEY_BYTES
from plait.security.vault.store import PAGE_SIZE_MAX, Rotation

T = TypeVar("T")

NameArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="How documents name it: `credential: NAME`.")
]
TypeOption: TypeAlias = Annotated[
    str, typer.Option("--type", metavar="TYPE", help=f"One of {', '.join(KINDS)}.")
]
HostOption: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--host",
        metavar="HOST",
        help="Whom it may be shown to: `api.example.com`, `*.example.com`, "
        "`http://orders:8080`. May be given several times.",
    ),
]
WorkflowOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--workflow",
        metavar="NAME",
        help="Which workflows may show it. Default: all of the tenant.",
    ),
]
SetOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=TEXT", help="A field that is no secret."),
]
FileOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--file", metavar="FIELD=PATH", help="A field, out of a file."),
]
FromEnvOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--from-env", metavar="FIELD=NAME", help="A field, out of a variable."),
]
ReplaceOption: TypeAlias = Annotated[
    bool, typer.Option("--replace", help="Put it in the place of the one of this name.")
]
_TEXT_BYTES_MAX = 100_000

group = new_group()


@group.callback()
def _credentials() -> None:
    """Keep what workflows show others, encrypted."""


@group.command()
def key() -> None:
    """Make a key for the vault, and print it: 32 random bytes in base64.

    Keep it where the store is not: in a file that `[vault.keys]` of plait.toml names, or
    in PLAIT_VAULT_KEY. Without it nobody can read the credentials, you included.

    Examples:

    - `plait credentials key > vault.key`
    """
    write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")


@group.command()
@recorded("credential.add", "name")
def add(
    name: NameArgument,
    type_: TypeOption,
    host: HostOption,
    workflow: WorkflowOption = None,
    set_: SetOption = None,
    file: FileOption = None,
    from_env: FromEnvOption = None,
    replace: ReplaceOption = False,
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Keep a credential. Its secret is asked for, or read from standard input.

    A secret is never an argument: `ps` and the shell's history would show it.

    Examples:

    - `plait credentials add shop --type bearer --host api.example.com < token.txt`

    - `plait credentials add crm --type basic --host crm.example.com --set username=ann`

    - `plait credentials add bank --type mtls --host bank.example.com --file
      certificate=client.pem --file key=client.key`
    """
    check_texts({"NAME": name, "--type": type_, "--tenant": tenant})
    fields = _fields(type_, set_ or (), file or (), from_env or ())
    wanted: dict[str, object] = {"name": name, "type": type_, "hosts": host}
    wanted |= {"workflows": workflow or [], "fields": fields}

    async def work(own: StoredVault) -> JsonObject:
        if replace:
            return await own.replace(_operator(tenant), name, wanted)
        return await own.add(_operator(tenant), wanted)

    kept = _with_vault(store, config, work, is_new=not replace)
    if as_json:
        write_json(kept)
    else:
        say(f"credential {kept['name']} is kept, under the key '{kept['key']}'")


@group.command("list")
def list_(
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """List the credentials of a tenant: whom each is for, never what it holds.

    Examples:

    - `plait credentials list --tenant acme`
    """
    check_texts({"--tenant": tenant})

    async def work(own: StoredVault) -> list[Any]:
        found: list[Any] = []
        page: Any = {"next": ""}
        while page["next"] is not None:
            page = await own.list(
                _operator(tenant), after=page["next"], limit=PAGE_SIZE_MAX
            )
            found += page["credentials"]
        return found

    found = _with_vault(store, config, work)
    if as_json:
        write_json({"credentials": found})
        return
    names = ("NAME", "TYPE", "HOSTS", "WORKFLOWS", "MADE", "CHANGED", "ROTATED", "KEY")
    print_rows(names, map(_row, found))


@group.command()
def show(
    name: NameArgument,
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Show what is known of a credential, which is not what it holds.

    Exit code 2: there is none of that name.

    Examples:

    - `plait credentials show shop`
    """
    check_texts({"NAME": name, "--tenant": tenant})

    async def work(own: StoredVault) -> JsonObject:
        return await own.get(_operator(tenant), name)

    kept = _with_vault(store, config, work)
    if as_json:
        write_json(kept)
    else:
        lines = (f"{label:10} {text}\n" for label, text in _lines(kept) if text)
        write("".join(lines))


@group.command()
@recorded("credential.remove", "name")
def remove(
    name: NameArgument,
    tenant: TenantOption = DEFAULT_TENANT,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove a credential; calls that name it fail from then on.

    Processes that run find out within seconds (`vault.memory`). Exit code 2: there is none
    of that name.

    Examples:

    - `plait credentials remove shop`
    """
    check_texts({"NAME": name, "--tenant": tenant})

    async def work(own: StoredVault) -> JsonObject:
        return await own.remove(_operator(tenant), name)

    gone = _with_vault(store, config, work)
    say(f"credential {gone['name']} was removed")


@group.command()
@recorded("credential.rotate", "")
def rotate(
    as_json: JsonOption = False, store: StoreOption = None, config: ConfigOption = None
) -> None:
    """Encrypt all credentials anew under the newest key (`vault.newest`), of all tenants.

    Give every process both keys first, and take the old one away when this is done. What
    is broken off can be done again; it goes on with what is left.

    Examples:

    - `plait credentials rotate`
    """

    async def work(own: StoredVault) -> Rotation:
        return await own.rotate()

    done = _with_vault(store, config, work)
    if as_json:
        write_json({"key": done.key, "changed": done.changed, "unchanged": done.unchanged})
    else:
        say(
            f"{done.changed} credentials are encrypted anew under the key '{done.key}'; "
            f"{done.unchanged} were already"
        )


def _with_vault(
    store: str | None,
    config: Path | None,
    work: Callable[[StoredVault], Awaitable[T]],
    *,
    is_new: bool = False,
) -> T:
    settings: Configured = configured(config, None, None, {"store": {"url": store}})

    async def with_own(records: Records) -> T:
        return await work(vault(settings, records))

    return with_records(store, config, with_own, is_new=is_new)


def _operator(tenant: str) -> Caller:
    return Caller("cli", tenant, "admin")


def _fields(
    type_: str, given: Iterable[str], files: Iterable[str], variables: Iterable[str]
) -> dict[str, str]:
    """Return a credential's fields; the one secret that is left is read or asked for."""
    kind = KINDS.get(type_)
    if kind is None:
        stop(f"--type: one of {', '.join(KINDS)}")
    fields = pairs("--set", given, "username=ann", "FIELD=TEXT")
    for name in fields:
        if name in kind.secret:
            stop(f"--set {name}: a secret is no argument: give it on standard input")
    for name, path in pairs("--file", files, "key=client.key", "FIELD=PATH").items():
        fields[name] = _file_text(name, Path(path))
    found = pairs("--from-env", variables, "password=CRM_PASSWORD", "FIELD=NAME")
    for name, variable in found.items():
        if variable not in os.environ:
            stop(f"--from-env {name}: there is no variable {variable}")
        fields[name] = os.environ[variable]
    left = [name for name in kind.needs if name in kind.secret and name not in fields]
    return fields | {name: read_secret(name, bytes_max=_TEXT_BYTES_MAX) for name in left}


def _file_text(name: str, path: Path) -> str:
    try:
        return without_line_end(path.read_text("utf-8"))
    except OSError as error:
        stop(f"--file {name}: {path} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        stop(f"--file {name}: {path} is not UTF-8")


def _lines(kept: Any) -> list[tuple[str, str]]:
    labels = ("name", "type", "hosts", "workflows", "made", "changed", "rotated", "key")
    return list(zip(labels, _row(kept), strict=True))


def _row(kept: Any) -> tuple[str, ...]:
    return (
        kept["name"],
        kept["type"],
        ", ".join(kept["hosts"]),
        ", ".join(kept["workflows"]),
        when(kept["created_at_ms"]),
        when(kept["changed_at_ms"]),
        when(kept["rotated_at_ms"]),
        kept["key"],
    )

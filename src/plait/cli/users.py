"""`plait users`: add, list and remove the users of a store; change passwords."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from plait.assembly.tokens import users
from plait.cli.options import ConfigOption, JsonOption
from plait.cli.output import check_texts, say, write_json
from plait.cli.recorded import recorded
from plait.cli.scopes import (
    GrantOption,
    ListedTenantOption,
    RoleOption,
    TenantOption,
    grants_of,
    scope_text,
    when,
    with_records,
)
from plait.cli.standard_input import read_secret
from plait.cli.stores import StoreOption
from plait.cli.table import print_rows
from plait.cli.typers import new_group
from plait.model.caller import DEFAULT_TENANT
from plait.ports.records import Records
from plait.security.users import User

NameArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="A user's name.")
]
_PASSWORD_BYTES_MAX = 10_000

group = new_group()


@group.callback()
def _users() -> None:
    """Add, list and remove users; change their passwords."""


@group.command()
@recorded("user.add", "name")
def add(
    name: NameArgument,
    role: RoleOption = None,
    grant: GrantOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Add a user; the password is asked for, or read from standard input.

    With name and password a user is given a token: POST /api/v1/auth/token.

    Examples:

    - `plait users add ann --role operator`

    - `plait users add ci --grant orders=editor < password.txt`
    """
    check_texts({"NAME": name, "--role": role, "--tenant": tenant})
    password = _password()

    async def work(records: Records) -> User:
        return await users(records).add(
            name, password, tenant=tenant, role=role, grants=grants_of(grant)
        )

    added = with_records(store, config, work, is_new=True)
    if as_json:
        write_json(added.as_json())
    else:
        say(f"user {added.name} was added")


@group.command("list")
def list_(
    tenant: ListedTenantOption = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """List users, and what each may.

    Examples:

    - `plait users list --json`
    """
    check_texts({"--tenant": tenant})

    async def work(records: Records) -> list[User]:
        return await users(records).list(tenant)

    found = with_records(store, config, work)
    if as_json:
        write_json({"users": [one.as_json() for one in found]})
        return
    print_rows(
        ("NAME", "TENANT", "MAY", "ADDED"),
        (
            (
                one.name,
                one.scope.tenant,
                scope_text(one.scope.role, one.scope.grants),
                when(one.created_at_ms),
            )
            for one in found
        ),
    )


async def _tenant_of(records: Records, name: str) -> str | None:
    user = await users(records).get(name)
    return None if user is None else user.scope.tenant


@group.command()
@recorded("user.remove", "name", _tenant_of)
def remove(
    name: NameArgument, store: StoreOption = None, config: ConfigOption = None
) -> None:
    """Remove a user; their tokens end within minutes (`security.token_ttl`).

    Exit code 2: there is no such user.

    Examples:

    - `plait users remove ann`
    """
    check_texts({"NAME": name})

    async def work(records: Records) -> None:
        await users(records).remove(name)

    with_records(store, config, work)
    say(f"user {name.lower()} was removed")


@group.command()
@recorded("user.password", "name", _tenant_of)
def passwd(
    name: NameArgument, store: StoreOption = None, config: ConfigOption = None
) -> None:
    """Change a user's password; it is asked for, or read from standard input.

    Whoever is logged in with the old one has to log in again.

    Examples:

    - `plait users passwd ann`
    """
    check_texts({"NAME": name})
    password = _password()

    async def work(records: Records) -> None:
        await users(records).set_password(name, password)

    with_records(store, config, work)
    say(f"user {name.lower()} has another password")


def _password() -> str:
    return read_secret("password", bytes_max=_PASSWORD_BYTES_MAX, is_new=True)

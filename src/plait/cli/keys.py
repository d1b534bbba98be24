"""`plait keys`: make, list and revoke the API keys of a store."""

from __future__ import annotations

from typing import Annotated

import typer

from plait.cli.options import ConfigOption, JsonOption
from plait.cli.output import check_texts, say, write, write_json
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
from plait.cli.stores import StoreOption, duration_ms
from plait.cli.table import print_rows
from plait.cli.typers import new_group
from plait.drivers.clock import now_ms
from plait.model.caller import DEFAULT_TENANT
from plait.ports.records import Records
from plait.security.keys import ApiKey, ApiKeys

group = new_group()


@group.callback()
def _keys() -> None:
    """Make, list and revoke API keys."""


@group.command()
@recorded("key.create", "name")
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What it is for, for people.")
    ],
    role: RoleOption = None,
    grant: GrantOption = None,
    tenant: TenantOption = DEFAULT_TENANT,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Until when it counts: `90d`. Default: for ever."
        ),
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Make an API key, and print it: once, for it is kept nowhere.

    Programs show it as `Authorization: Bearer plait_…` or `X-API-Key: plait_…`. A running
    gateway on the same store takes it at once.

    Examples:

    - `plait keys create ci --role editor --expires 90d`

    - `plait keys create shop --grant orders=operator --grant stock=viewer`
    """
    check_texts({"NAME": name, "--role": role, "--tenant": tenant})
    ends_ms = None if expires is None else now_ms() + duration_ms("--expires", expires)

    async def work(records: Records) -> tuple[str, ApiKey]:
        return await ApiKeys(records, now_ms).create(
            name,
            tenant=tenant,
            role=role,
            grants=grants_of(grant),
            expires_at_ms=ends_ms,
        )

    key, kept = with_records(store, config, work, is_new=True)
    if as_json:
        write_json({"key": key, **kept.as_json()})
    else:
        say(f"key {kept.id} ({kept.name}): keep it now, it is not shown again")
        write(key + "\n")


@group.command("list")
def list_(
    tenant: ListedTenantOption = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """List API keys: what each may, until when, and when it was used last, to the hour.

    Examples:

    - `plait keys list --tenant acme`
    """
    check_texts({"--tenant": tenant})

    async def work(records: Records) -> list[ApiKey]:
        return await ApiKeys(records, now_ms).list(tenant)

    found = with_records(store, config, work)
    if as_json:
        write_json({"keys": [one.as_json() for one in found]})
        return
    names = ("ID", "NAME", "TENANT", "MAY", "MADE", "EXPIRES", "USED", "REVOKED")
    print_rows(names, map(_row, found))


async def _tenant_of(records: Records, key_id: str) -> str | None:
    key = await ApiKeys(records, now_ms).get(_id_in(key_id))
    return None if key is None else key.scope.tenant


def _id_in(given: str) -> str:
    """Return the id in what may be the whole key."""
    return given.split("_")[1] if given.count("_") == 2 else given


@group.command()
@recorded("key.revoke", "key_id", _tenant_of)
def revoke(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="A key's id, or the whole key.")
    ],
    as_json: JsonOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Let an API key count no more.

    Gateways that run find out within seconds (`security.key_memory`). Exit code 2: there is
    no such key.

    Examples:

    - `plait keys revoke 66k5z6awevch`
    """
    check_texts({"ID": key_id})

    async def work(records: Records) -> ApiKey:
        return await ApiKeys(records, now_ms).revoke(_id_in(key_id))

    revoked = with_records(store, config, work)
    if as_json:
        write_json(revoked.as_json())
    else:
        say(f"key {revoked.id} ({revoked.name}) counts no more")


def _row(key: ApiKey) -> tuple[str, ...]:
    scope = key.scope
    return (
        key.id,
        key.name,
        scope.tenant,
        scope_text(scope.role, scope.grants),
        when(key.created_at_ms),
        when(key.expires_at_ms),
        when(key.used_at_ms),
        when(key.revoked_at_ms),
    )

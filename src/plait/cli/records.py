"""What commands share that look at deployments, or change them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import typer

from plait.assembly.deploying import LateRecords, deployments
from plait.assembly.stores import NoStore
from plait.cli.options import configured, connectors
from plait.cli.output import stop
from plait.cli.stores import finish
from plait.model.caller import (
    DEFAULT_TENANT,
    LOCAL,
    TENANT_FORM,
    Caller,
    is_tenant,
)
from plait.operations.deploying import StoredDeployments
from plait.ports.records import Records
from plait.stores.memory import MemoryRecords

T = TypeVar("T")

NameArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="A workflow's name.")
]
TenantOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--tenant",
        metavar="NAME",
        help=f"Whose deployments. Default: {DEFAULT_TENANT}.",
    ),
]
# Of a version's id, where people read it.
SHOWN_LENGTH = 12


def with_deployments(
    place: str | None,
    config: Path | None,
    tenant: str,
    work: Callable[[StoredDeployments, Caller], Awaitable[T]],
    *,
    is_new: bool = False,
    is_trial: bool = False,
) -> T:
    """Do `work` with the deployments in a store; ends with a line if something is wrong.

    Args:
        tenant: Whose deployments; `work` gets who stands at the machine, as one of these.
        is_new: Whether the store may be made where there is none.
        is_trial: Where there is none, work as if it were empty, and make none.
    """
    if not is_tenant(tenant):
        stop(f"--tenant {tenant!r}: a tenant's name is {TENANT_FORM}")
    caller = replace(LOCAL, tenant=tenant)
    settings = configured(config, None, None, {"store": {"url": place}}).settings
    available = connectors()

    async def main() -> T:
        late = LateRecords(settings.store.url)
        if not late.is_there and not is_new and not is_trial:
            raise NoStore(settings.store.url)
        is_empty = is_trial and not late.is_there
        records: Records = MemoryRecords() if is_empty else late
        try:
            return await work(deployments(settings, records, available), caller)
        finally:
            await records.close()

    return finish(main())


def short(version: object) -> str:
    """Return a version's id as people read it.

    >>> short("0123456789abcdef"), short(None)
    ('0123456789ab', 'none')
    """
    return str(version)[:SHOWN_LENGTH] if version else "none"

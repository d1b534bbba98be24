"""What the commands of keys and users share: a store's records, and what somebody may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import typer

from plait.assembly.stores import NoStore, is_there
from plait.cli.options import configured, pairs
from plait.cli.output import check_texts
from plait.cli.stores import finish, in_records
from plait.kernel.views import moment_text
from plait.model.caller import DEFAULT_TENANT
from plait.ports.records import Records

T = TypeVar("T")

RoleOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--role",
        metavar="ROLE",
        help="What they may on all workflows: viewer, operator, editor or admin.",
    ),
]
GrantOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--grant",
        metavar="WORKFLOW=ROLE",
        help="What they may on one workflow. May be given several times.",
    ),
]
TenantOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--tenant",
        metavar="NAME",
        help=f"Whose things they see. Default: {DEFAULT_TENANT}.",
    ),
]
ListedTenantOption: TypeAlias = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Only those of this one.")
]


def with_records(
    place: str | None,
    config: Path | None,
    work: Callable[[Records], Awaitable[T]],
    *,
    is_new: bool = False,
) -> T:
    """Open a store's records, do `work`, close them; ends with a line if that failed.

    Args:
        is_new: Whether the store may be made where there is none.
    """
    check_texts({"--store": place})
    settings = configured(config, None, None, {"store": {"url": place}}).settings

    async def main() -> T:
        url = settings.store.url
        if not is_new and not is_there(url):
            raise NoStore(url)
        return await in_records(url, work)

    return finish(main())


def grants_of(given: Iterable[str] | None) -> dict[str, str]:
    """Return the grants that `--grant` says."""
    return pairs("--grant", given or (), "orders=editor")


def scope_text(role: str | None, grants: Iterable[tuple[str, str]]) -> str:
    """Return what somebody may, as a table shows it.

    >>> scope_text("viewer", [("orders", "editor")])
    'viewer, orders=editor'
    """
    words = [] if role is None else [role]
    return ", ".join([*words, *(f"{name}={one}" for name, one in grants)])


def when(moment_ms: int | None) -> str:
    """Return a moment as a table shows it; empty for none."""
    return "" if moment_ms is None else moment_text(moment_ms)

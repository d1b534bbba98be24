"""How keys, users and tokens are kept: JSON in records, and what their names may be."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar, Final

import orjson

from plait.model.caller import DEFAULT_TENANT, ROLES, TENANT_FORM, is_tenant
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.records import Record, Records

# They are looked up before anybody's tenant is known; no tenant can be called so.
EVERYWHERE: Final = "*"

_VERSION: Final = 1
_PAGE_SIZE: Final = 500
_WORKFLOW: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}", re.ASCII)
_GRANTS_MAX: Final = 1_000
# They go with each call between services, and stand in tokens: with a third more, for
# base64, they have to pass gRPC's metadata, TOKEN_LENGTH_MAX, and the heads of requests.
_GRANTS_BYTES_MAX: Final = 16 * 1024


class BadScope(PlaitError):
    """A key or a user was to have a name, a tenant, a role or grants that none can have."""

    code: ClassVar[str] = "security.invalid"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST


class UnreadableRecord(PlaitError):
    """What is kept of a key, a user or a token is damaged, or of a newer version."""

    code: ClassVar[str] = "record.unreadable"

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"{kind} '{key}' is damaged, or a newer version of Plait wrote it")


@record
class Scope:
    """What a key or a user may, and where.

    Attributes:
        tenant: Whose things they see.
        role: On all workflows of the tenant; None: only what `grants` say.
        grants: Roles on single workflows, by name.
    """

    tenant: str = DEFAULT_TENANT
    role: str | None = None
    grants: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> JsonObject:
        """Return it for people and for the store."""
        return {"tenant": self.tenant, "role": self.role, "grants": dict(self.grants)}


def scope_of(tenant: str, role: str | None, grants: Mapping[str, str]) -> Scope:
    """Return a scope, checked.

    Raises:
        BadScope: There is no such role, no tenant or workflow can be called so, or there
            are too many grants.
    """
    if not is_tenant(tenant):
        raise BadScope(f"a tenant's name is {TENANT_FORM}")
    if role is None and not grants:
        raise BadScope("give a role, or grants on single workflows")
    if len(grants) > _GRANTS_MAX:
        raise BadScope(f"there are more than {_GRANTS_MAX} grants")
    if len(orjson.dumps(dict(grants))) > _GRANTS_BYTES_MAX:
        text = "the grants are longer than 16 kB of JSON: give a role on all workflows, "
        raise BadScope(f"{text}or fewer grants to several keys or users")
    for workflow in grants:
        if not _WORKFLOW.fullmatch(workflow):
            raise BadScope(f"'{workflow[:40]}' is no name of a workflow")
    for wanted in [role, *grants.values()]:
        if wanted is not None and wanted not in ROLES:
            raise BadScope(f"'{wanted[:40]}' is no role: {', '.join(ROLES)}")
    return Scope(tenant, role, tuple(sorted(grants.items())))


def scope_in(told: Mapping[str, Any]) -> Scope:
    """Return the scope that a record holds."""
    return Scope(told["tenant"], told["role"], tuple(sorted(told["grants"].items())))


def packed(told: JsonObject) -> bytes:
    """Return what a record holds."""
    return orjson.dumps({"v": _VERSION, **told})


def unpacked(kept: Record) -> dict[str, Any]:
    """Return what `packed` was given.

    Raises:
        UnreadableRecord: It is damaged, or a newer version wrote it.
    """
    try:
        told = orjson.loads(kept.value)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict) or told.get("v") != _VERSION:
        raise UnreadableRecord(kept.kind, kept.key)
    return told


async def every(records: Records, kind: str) -> AsyncIterator[Record]:
    """Yield all records of a kind that belong to no tenant, by key."""
    after = ""
    while True:
        page = await records.find(kind, EVERYWHERE, after=after, limit=_PAGE_SIZE)
        for one in page:
            yield one
        if len(page) < _PAGE_SIZE:
            return
        after = page[-1].key

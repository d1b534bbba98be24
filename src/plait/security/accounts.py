"""Accounts in a store: what admins may do with the keys and users of their tenant.

Rule. What is another tenant's does not exist, and nothing is made for another tenant.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from plait.model.caller import Caller, require
from plait.model.json import JsonObject
from plait.security.keys import ApiKeys

if TYPE_CHECKING:
    from plait.security.users import Users


class StoredAccounts:
    """The keys and users of a store (plait.ports.accounts.Accounts).

    Args:
        users: Returns the users; what hashes passwords takes long to import.
        now_ms: Returns the moment, ms since the Unix epoch.
        is_there: Whether there may be a store: who only looks makes none.
        forget: Called when somebody counts no more: what is remembered is looked up again.
    """

    def __init__(
        self,
        keys: ApiKeys,
        users: Callable[[], Awaitable[Users]],
        now_ms: Callable[[], int],
        is_there: Callable[[], bool] = lambda: True,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self._forget = forget
        self._keys = keys
        self._users = users
        self._now_ms = now_ms
        self._is_there = is_there

    async def keys(self, caller: Caller) -> JsonObject:
        """See plait.ports.accounts.Accounts."""
        require(caller, "admin")
        found = await self._keys.list(caller.tenant) if self._is_there() else []
        return {"keys": [one.as_json() for one in found]}

    async def create_key(
        self,
        caller: Caller,
        name: str,
        *,
        role: str | None,
        grants: Mapping[str, str],
        lasts_ms: int | None = None,
    ) -> JsonObject:
        """See plait.ports.accounts.Accounts."""
        require(caller, "admin")
        ends_ms = None if lasts_ms is None else self._now_ms() + lasts_ms
        key, kept = await self._keys.create(
            name, tenant=caller.tenant, role=role, grants=grants, expires_at_ms=ends_ms
        )
        return {"key": key, **kept.as_json()}

    async def revoke_key(self, caller: Caller, key_id: str) -> JsonObject:
        """See plait.ports.accounts.Accounts."""
        require(caller, "admin")
        try:
            return (await self._keys.revoke(key_id, caller.tenant)).as_json()
        finally:
            self._forget()

    async def users(self, caller: Caller) -> JsonObject:
        """See plait.ports.accounts.Accounts."""
        require(caller, "admin")
        if not self._is_there():
            return {"users": []}
        found = await (await self._users()).list(caller.tenant)
        return {"users": [one.as_json() for one in found]}

    async def add_user(
        self,
        caller: Caller,
        name: str,
        password: str,
        *,
        role: str | None,
        grants: Mapping[str, str],
    ) -> JsonObject:
        """See plait.ports.accounts.Accounts."""
        require(caller, "admin")
        users = await self._users()
        added = await users.add(
            name, password, tenant=caller.tenant, role=role, grants=grants
        )
        return added.as_json()

    async def set_password(self, caller: Caller, name: str, password: str) -> JsonObject:
        """See plait.ports.accounts.Accounts."""
        require(caller, "admin")
        users = await self._users()
        try:
            return (await users.set_password(name, password, caller.tenant)).as_json()
        finally:
            self._forget()

    async def remove_user(self, caller: Caller, name: str) -> JsonObject:
        """See plait.ports.accounts.Accounts."""
        require(caller, "admin")
        try:
            return (await (await self._users()).remove(name, caller.tenant)).as_json()
        finally:
            self._forget()

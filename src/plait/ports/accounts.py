"""Accounts: API keys and users, kept by the admins of their tenant.

Every method needs the role `admin`, and sees the caller's tenant only.

Not here: finding out who asks (plait.ports.identity).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from plait.model.caller import Caller
from plait.model.json import JsonObject


class Accounts(Protocol):
    """Keeps keys and users. What is told of them holds no secret and no hash."""

    async def keys(self, caller: Caller) -> JsonObject:
        """Return `{keys}`, the oldest first."""
        ...

    async def create_key(
        self,
        caller: Caller,
        name: str,
        *,
        role: str | None,
        grants: Mapping[str, str],
        lasts_ms: int | None = None,
    ) -> JsonObject:
        """Make a key; return it under `key`, once, with what is known of it.

        Args:
            lasts_ms: For how long it counts; None: for ever.
        """
        ...

    async def revoke_key(self, caller: Caller, key_id: str) -> JsonObject:
        """Let a key count no more. Raises UnknownKey."""
        ...

    async def users(self, caller: Caller) -> JsonObject:
        """Return `{users}`, by name."""
        ...

    async def add_user(
        self,
        caller: Caller,
        name: str,
        password: str,
        *,
        role: str | None,
        grants: Mapping[str, str],
    ) -> JsonObject:
        """Add a user. Names are unique in the store, whichever the tenant."""
        ...

    async def set_password(self, caller: Caller, name: str, password: str) -> JsonObject:
        """Give a user another password; their sessions end. Raises UnknownUser."""
        ...

    async def remove_user(self, caller: Caller, name: str) -> JsonObject:
        """Forget a user; return who it was. Raises UnknownUser."""
        ...

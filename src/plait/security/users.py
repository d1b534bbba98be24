"""Users: people who show a name and a password to be given a token.

Rule. An unknown name, a wrong password and a user who was taken out answer alike, after the
      same work.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, Final

from plait.model.caller import Caller
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.records import Change, Conflict, Record, Records
from plait.security.kept import (
    EVERYWHERE,
    BadScope,
    Scope,
    every,
    packed,
    scope_in,
    scope_of,
    unpacked,
)
from plait.security.passwords import Passwords

KIND: Final = "user"

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,127}", re.ASCII)


class UnknownUser(PlaitError):
    """There is no user of that name."""

    code: ClassVar[str] = "user.unknown"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no user '{name[:40]}'; see `plait users list`")


class UserExists(PlaitError):
    """There is a user of that name already."""

    code: ClassVar[str] = "user.exists"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a user '{name}' already; see `plait users passwd`")


@record
class User:
    """What is known of a user.

    Attributes:
        name: In lower case; unique in the store.
        password_number: Grows with each new password; tokens of former ones end with it.
        id: Drawn when they were added, never used again: whoever is given the name of a
            user who was removed is somebody else. Empty: an older version added them.
    """

    name: str
    scope: Scope
    created_at_ms: int
    password_number: int = 1
    id: str = ""

    def caller(self) -> Caller:
        """Return who this user is to everybody else."""
        scope = self.scope
        return Caller(f"user:{self.name}", scope.tenant, scope.role, dict(scope.grants))

    def as_json(self) -> JsonObject:
        """Return it for people."""
        return {
            "name": self.name,
            **self.scope.as_json(),
            "created_at_ms": self.created_at_ms,
            "password_number": self.password_number,
        }


class Users:
    """The users of a store.

    Args:
        now_ms: Returns the moment, milliseconds since the Unix epoch.
    """

    def __init__(
        self, records: Records, passwords: Passwords, now_ms: Callable[[], int]
    ) -> None:
        self._records = records
        self._passwords = passwords
        self._now_ms = now_ms

    async def add(
        self,
        name: str,
        password: str,
        *,
        tenant: str,
        role: str | None,
        grants: Mapping[str, str],
    ) -> User:
        """Make a user.

        Raises:
            UserExists: There is one of that name.
            BadScope: Nobody can be called so, or have that password, role or tenant.
        """
        name = name.lower()
        if not _NAME.fullmatch(name):
            raise BadScope("a user's name is letters, digits, '.', '_', '@', '+', '-'")
        scope, now_ms = scope_of(tenant, role, grants), self._now_ms()
        user = User(name, scope, now_ms, id=secrets.token_hex(8))
        value = _packed(user, await self._passwords.hash(password))
        try:
            await self._records.change([Change(KIND, EVERYWHERE, name, value, 0)], now_ms)
        except Conflict:
            raise UserExists(name) from None
        return user

    async def list(self, tenant: str | None = None) -> list[User]:
        """Return the users of a tenant, by name; None: all."""
        found = [_unpacked(one)[0] async for one in every(self._records, KIND)]
        return [one for one in found if tenant in (None, one.scope.tenant)]

    async def remove(self, name: str, tenant: str | None = None) -> User:
        """Forget a user; their tokens end within minutes (`security.token_ttl`).

        Args:
            tenant: Whose user it must be; None: anybody's.

        Raises:
            UnknownUser: There is none, or it is another tenant's.
            Conflict: Somebody else changed the user meanwhile.
        """
        kept, user = await self._own(name, tenant)
        gone = Change(KIND, EVERYWHERE, kept.key, None, kept.version)
        await self._records.change([gone], self._now_ms())
        return user

    async def set_password(
        self, name: str, password: str, tenant: str | None = None
    ) -> User:
        """Give a user another password; refresh tokens of the former one end.

        Args:
            tenant: Whose user it must be; None: anybody's.

        Raises:
            UnknownUser: There is none, or it is another tenant's.
            BadScope: The password is too short or too long.
            Conflict: Somebody else changed the user meanwhile.
        """
        kept, user = await self._own(name, tenant)
        changed = replace(user, password_number=user.password_number + 1)
        await self._put(kept, changed, await self._passwords.hash(password))
        return changed

    async def _own(self, name: str, tenant: str | None) -> tuple[Record, User]:
        kept = await self._kept(name)
        user = None if kept is None else _unpacked(kept)[0]
        if kept is None or user is None or tenant not in (None, user.scope.tenant):
            raise UnknownUser(name)
        return kept, user

    async def get(self, name: str) -> User | None:
        """Return a user; None when there is none."""
        kept = await self._kept(name)
        return None if kept is None else _unpacked(kept)[0]

    async def checked(self, name: str, password: str) -> User | None:
        """Return the user of this name and password; None when they are nobody's."""
        kept = await self._kept(name)
        user, kept_hash = (None, None) if kept is None else _unpacked(kept)
        if not await self._passwords.is_right(password, kept_hash):
            return None
        if kept is not None and user is not None and kept_hash is not None:
            await self._renew(kept, user, kept_hash, password)
        return user

    async def _renew(self, kept: Record, user: User, kept_hash: str, password: str) -> None:
        """Hash a password with today's parameters, if it was with others."""
        if self._passwords.is_outdated(kept_hash):
            with suppress(PlaitError):  # the next time will do
                await self._put(kept, user, await self._passwords.hash(password))

    async def _put(self, kept: Record, user: User, kept_hash: str) -> None:
        change = Change(KIND, EVERYWHERE, kept.key, _packed(user, kept_hash), kept.version)
        await self._records.change([change], self._now_ms())

    async def _kept(self, name: str) -> Record | None:
        name = name.lower()
        if not _NAME.fullmatch(name):
            return None
        return await self._records.get(KIND, EVERYWHERE, name)


def _packed(user: User, kept_hash: str) -> bytes:
    return packed({**user.as_json(), "id": user.id, "argon2": kept_hash})


def _unpacked(kept: Record) -> tuple[User, str]:
    told = unpacked(kept)
    made_at_ms, number = told["created_at_ms"], told["password_number"]
    user = User(told["name"], scope_in(told), made_at_ms, number, told.get("id", ""))
    return user, told["argon2"]

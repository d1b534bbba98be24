"""Refresh tokens: one use each, and a thief's use ends the session.

A session begins with a password. Each refresh token of it, `plaitr_<session>_<secret>`,
counts once and is answered with the next; one that comes a second time was copied, and the
whole session ends, for the thief and the owner alike. Kept is a SHA-256 of the one that
counts.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

from plait.ports.records import Change, Conflict, Record, Records
from plait.security.kept import EVERYWHERE, packed, unpacked
from plait.security.users import User, Users

KIND: Final = "refresh_token"

_TOKEN: Final = re.compile(r"plaitr_([0-9a-f]{24})_([A-Za-z0-9_-]{43})", re.ASCII)
# How many sessions are looked through for ended ones whenever one begins.
_SWEPT: Final = 50


def session_of(token: str) -> str | None:
    """Return the session that a refresh token names; None: it is written like none.

    >>> session_of("plaitr_" + "a" * 24 + "_" + "b" * 43) == "a" * 24
    True
    """
    found = _TOKEN.fullmatch(token)
    return None if found is None else found[1]


class RefreshTokens:
    """The sessions of users.

    Args:
        now_ms: Returns the moment, milliseconds since the Unix epoch.
        ttl_ms: How long a session lasts at most, from its password on.
    """

    def __init__(
        self, records: Records, users: Users, now_ms: Callable[[], int], ttl_ms: int
    ) -> None:
        self._records = records
        self._users = users
        self._now_ms = now_ms
        self._ttl_ms = ttl_ms

    async def begin(self, user: User) -> str:
        """Return the first refresh token of a new session."""
        now_ms, session = self._now_ms(), secrets.token_hex(12)
        told = {
            "user": user.name,
            "user_id": user.id,
            "password_number": user.password_number,
            "until_ms": now_ms + self._ttl_ms,
        }
        token, changes = self._next(session, told, expected=0)
        changes += await self._ended(session, now_ms)
        await self._records.change(changes, now_ms)
        return token

    async def renew(self, token: str) -> tuple[str, User] | None:
        """Return the next refresh token and its user; None when this one does not count."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        session, secret = found.groups()
        kept = await self._records.get(KIND, EVERYWHERE, session)
        if kept is None:
            return None
        told = unpacked(kept)
        user = await self._user_of(told)
        is_copied = not hmac.compare_digest(_digest(secret), told["sha256"])
        is_over = told["until_ms"] <= self._now_ms()
        if user is None or is_copied or is_over:
            await self._end(kept)
            return None
        following, changes = self._next(session, told, expected=kept.version)
        try:
            await self._records.change(changes, self._now_ms())
        except Conflict:  # the same token twice at the same time
            return None
        return following, user

    async def _user_of(self, told: dict[str, Any]) -> User | None:
        """Return whose a session is; None: they were removed, or have another password.

        Not by name alone: that may be somebody else's by now, of another tenant even.
        """
        user = await self._users.get(told["user"])
        then = told.get("user_id", ""), told["password_number"]
        return user if user and (user.id, user.password_number) == then else None

    async def revoke(self, token: str) -> None:
        """End the session of a token; of none when the token does not count."""
        found = _TOKEN.fullmatch(token)
        kept = None
        if found is not None:
            kept = await self._records.get(KIND, EVERYWHERE, found[1])
        if kept is not None:
            await self._end(kept)

    def _next(
        self, session: str, told: dict[str, Any], expected: int
    ) -> tuple[str, list[Change]]:
        secret = secrets.token_urlsafe(32)
        value = packed({**told, "sha256": _digest(secret)})
        change = Change(KIND, EVERYWHERE, session, value, expected)
        return f"plaitr_{session}_{secret}", [change]

    async def _end(self, kept: Record) -> None:
        with suppress(Conflict):
            change = Change(KIND, EVERYWHERE, kept.key, None, kept.version)
            await self._records.change([change], self._now_ms())

    async def _ended(self, near: str, now_ms: int) -> list[Change]:
        """Return the removal of sessions that are over, some of those around `near`."""
        found = await self._records.find(KIND, EVERYWHERE, after=near, limit=_SWEPT)
        over = [one for one in found if unpacked(one)["until_ms"] <= now_ms]
        return [Change(KIND, EVERYWHERE, one.key, None) for one in over]


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()

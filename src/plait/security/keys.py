"""API keys: `plait_<id>_<secret>`, shown once and never kept.

The id, 60 random bits, finds the record; the secret, 256 random bits, is compared with the
SHA-256 that is kept. No salt and no slow hash: nobody can try 2**256 secrets.

Rule. Why a key is refused (unknown, wrong, expired, revoked) is not told to who shows it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any, ClassVar, Final

from plait.model.caller import Caller
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.identity import Unauthenticated
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

KIND: Final = "api_key"
PREFIX: Final = "plait_"

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 52
_ID: Final = re.compile(r"[a-z2-7]{12}")
_KEY: Final = re.compile(r"plait_([a-z2-7]{12})_([a-z2-7]{52})")
_NAME_LENGTH_MAX: Final = 200
# A write for each use would cost more than the use; the hour is what people want to know.
_USED_MS: Final = 3_600_000
_TRIES_MAX: Final = 5
# What a secret is compared with when there is no such key: no secret hashes to it.
_NO_DIGEST: Final = "0" * 64


class UnknownKey(PlaitError):
    """There is no API key of that id."""

    code: ClassVar[str] = "key.unknown"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no API key '{key_id[:40]}'; see `plait keys list`")


@record
class ApiKey:
    """What is known of a key: all but its secret. Moments in ms since the Unix epoch.

    Attributes:
        name: For people.
        expires_at_ms: None: never.
        revoked_at_ms: None: it counts.
        used_at_ms: When it was used last, to the hour; None: never.
    """

    id: str
    name: str
    scope: Scope
    created_at_ms: int
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    used_at_ms: int | None = None

    def counts_at(self, now_ms: int) -> bool:
        """Tell whether it is neither revoked nor expired."""
        is_over = self.expires_at_ms is not None and self.expires_at_ms <= now_ms
        return self.revoked_at_ms is None and not is_over

    def caller(self) -> Caller:
        """Return who shows this key."""
        scope = self.scope
        return Caller(f"key:{self.id}", scope.tenant, scope.role, dict(scope.grants))

    def as_json(self) -> JsonObject:
        """Return it for people."""
        return {
            "id": self.id,
            "name": self.name,
            **self.scope.as_json(),
            "created_at_ms": self.created_at_ms,
            "expires_at_ms": self.expires_at_ms,
            "revoked_at_ms": self.revoked_at_ms,
            "used_at_ms": self.used_at_ms,
        }


def parsed(presented: str) -> tuple[str, str] | None:
    """Return the id and the secret of a key; None when it is written like none.

    >>> parsed("plait_" + "a" * 12 + "_" + "b" * 52) == ("a" * 12, "b" * 52)
    True
    >>> parsed("plait_short_key") is None
    True
    """
    found = _KEY.fullmatch(presented)
    return (found[1], found[2]) if found is not None else None


class ApiKeys:
    """The API keys of a store.

    Args:
        now_ms: Returns the moment, milliseconds since the Unix epoch.
    """

    def __init__(self, records: Records, now_ms: Callable[[], int]) -> None:
        self._records = records
        self._now_ms = now_ms

    async def create(
        self,
        name: str,
        *,
        tenant: str,
        role: str | None,
        grants: Mapping[str, str],
        expires_at_ms: int | None = None,
        also: tuple[Change, ...] = (),
    ) -> tuple[str, ApiKey]:
        """Make a key; return it, which nobody can do again, and what is kept of it.

        Args:
            also: Changes to make with it, or neither.

        Raises:
            BadScope: Something it was to have makes no sense.
            Conflict: One of `also` does not stand as it expects.
        """
        now_ms = self._now_ms()
        if not name.isprintable() or not 0 < len(name) <= _NAME_LENGTH_MAX:
            raise BadScope(f"a key's name is 1 to {_NAME_LENGTH_MAX} printable characters")
        if expires_at_ms is not None and expires_at_ms <= now_ms:
            raise BadScope("the key would have expired already")
        scope = scope_of(tenant, role, grants)
        key = ApiKey(_drawn(_ID_LENGTH), name, scope, now_ms, expires_at_ms)
        secret = _drawn(_SECRET_LENGTH)
        made = Change(KIND, EVERYWHERE, key.id, _packed(key, _digest(secret)), expected=0)
        await self._records.change([made, *also], now_ms)
        return f"{PREFIX}{key.id}_{secret}", key

    async def list(self, tenant: str | None = None) -> list[ApiKey]:
        """Return the keys of a tenant, the oldest first; None: of all."""
        found = [_unpacked(one)[0] async for one in every(self._records, KIND)]
        own = [one for one in found if tenant in (None, one.scope.tenant)]
        return sorted(own, key=lambda one: (one.created_at_ms, one.id))

    async def get(self, key_id: str) -> ApiKey | None:
        """Return what is known of a key; None when there is none of that id."""
        kept = await self._kept(key_id)
        return None if kept is None else _unpacked(kept)[0]

    async def revoke(self, key_id: str, tenant: str | None = None) -> ApiKey:
        """Let a key count no more; its hash is forgotten.

        Args:
            tenant: Whose key it must be; None: anybody's.

        Raises:
            UnknownKey: There is none of that id, or it is another tenant's.
        """
        for _ in range(_TRIES_MAX):
            kept = await self._kept(key_id)
            key = None if kept is None else _unpacked(kept)[0]
            if kept is None or key is None or tenant not in (None, key.scope.tenant):
                raise UnknownKey(key_id)
            if key.revoked_at_ms is not None:
                return key
            revoked = replace(key, revoked_at_ms=self._now_ms())
            with suppress(Conflict):  # it was used meanwhile, which is written too
                await self._put(kept, revoked, "")
                return revoked
        raise Conflict(KIND, key_id)

    async def check(self, presented: str) -> ApiKey:
        """Return the key that somebody shows.

        Raises:
            Unauthenticated: It counts for nothing.
            StoreUnavailable: It cannot be looked up.
        """
        now_ms, parts = self._now_ms(), parsed(presented)
        kept = None
        if parts is not None:
            kept = await self._records.get(KIND, EVERYWHERE, parts[0])
        key, digest = (None, _NO_DIGEST) if kept is None else _unpacked(kept)
        is_right = hmac.compare_digest(_digest(parts[1] if parts else ""), digest)
        if kept is None or key is None or not is_right or not key.counts_at(now_ms):
            raise Unauthenticated("this API key does not count here", is_invalid=True)
        if key.used_at_ms is None or now_ms - key.used_at_ms >= _USED_MS:
            await self._note_use(kept, key, digest, now_ms)
        return key

    async def _kept(self, key_id: str) -> Record | None:
        if not _ID.fullmatch(key_id):
            return None
        return await self._records.get(KIND, EVERYWHERE, key_id)

    async def _note_use(self, kept: Record, key: ApiKey, digest: str, now_ms: int) -> None:
        used = replace(key, used_at_ms=now_ms - now_ms % _USED_MS)
        # A key opens the door also where nothing can be written just now.
        with suppress(PlaitError):
            await self._put(kept, used, digest)

    async def _put(self, kept: Record, key: ApiKey, digest: str) -> None:
        change = Change(KIND, EVERYWHERE, key.id, _packed(key, digest), kept.version)
        await self._records.change([change], self._now_ms())


def _drawn(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _packed(key: ApiKey, digest: str) -> bytes:
    return packed({**key.as_json(), "sha256": digest})


def _unpacked(kept: Record) -> tuple[ApiKey, str]:
    """Return a key and the hash of its secret; of a revoked one that is empty."""
    told: dict[str, Any] = unpacked(kept)
    key = ApiKey(
        told["id"],
        told["name"],
        scope_in(told),
        told["created_at_ms"],
        told["expires_at_ms"],
        told["revoked_at_ms"],
        told["used_at_ms"],
    )
    return key, told["sha256"]

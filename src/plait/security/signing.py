"""Tokens of our own: signed by this process, verified by all on the same store.

Each process that hands out tokens draws an Ed25519 key when the first is asked for, and
keeps the public half in the store, where every process finds it. The private half never
leaves its memory: no backup, no export and no log can hold it. A key signs for a day; its
public half goes when the last token that it signed has ended.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Final

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from jwt import PyJWS

from plait.model.caller import Caller
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.records import Change, Records
from plait.security.claims import ClaimRules
from plait.security.kept import EVERYWHERE, every, packed, unpacked
from plait.security.tokens import Issuer, VerifyKey

KIND: Final = "token_key"
# As `iss` and `aud` of our own tokens. No issuer of the settings can be called so.
OWN_NAME: Final = "plait"

_SIGNS_MS: Final = 24 * 3_600_000
_KID_BYTES: Final = 12
_KID_LENGTH: Final = 16


@record
class _Signing:
    kid: str
    key: Ed25519PrivateKey
    until_ms: int


class OwnTokens:
    """Signs tokens, and finds the keys to verify them with.

    Args:
        now_ms: Returns the moment, milliseconds since the Unix epoch.
        ttl_ms: How long a token counts.
    """

    def __init__(self, records: Records, now_ms: Callable[[], int], ttl_ms: int) -> None:
        self._records = records
        self._now_ms = now_ms
        self._ttl_ms = ttl_ms
        self._signing: _Signing | None = None
        self._drawing = asyncio.Lock()
        # Public keys by id, with the moment at which each ends.
        self._known: dict[str, tuple[VerifyKey, int]] = {}

    def issuer(self) -> Issuer:
        """Return what a verifier knows of our own tokens."""
        rules = ClaimRules(tenant_claim="tenant", grants_claim="grants")
        return Issuer(OWN_NAME, OWN_NAME, self, rules, leeway_s=5.0)

    async def issue(self, caller: Caller, until_ms: int | None = None) -> tuple[str, int]:
        """Return a token for `caller`, and for how many seconds it counts.

        Args:
            until_ms: When it must end at the latest.
        """

        now_ms, signing = self._now_ms(), await self._own_key()
        ends_ms = min(now_ms + self._ttl_ms, until_ms or now_ms + self._ttl_ms)
        claims: JsonObject = {
            "iss": OWN_NAME,
            "aud": OWN_NAME,
            "sub": caller.subject,
            "tenant": caller.tenant,
            "role": caller.role,
            "grants": dict(caller.grants),
            "iat": now_ms // 1000,
            "exp": ends_ms // 1000,
            "jti": secrets.token_urlsafe(12),
        }
        told = {"typ": "at+jwt", "kid": signing.kid}
        token = PyJWS().encode(orjson.dumps(claims), signing.key, "EdDSA", told)
        return token, max(0, (ends_ms - now_ms) // 1000)

    async def find(self, kid: str | None) -> VerifyKey | None:
        """Return the public key of this id, of whichever process."""
        if kid is None or len(kid) != _KID_LENGTH:
            return None
        known, now_ms = self._known.get(kid), self._now_ms()
        if known is None:
            known = await self._kept(kid)
            if known is None:
                return None
            self._forget(now_ms)
            self._known[kid] = known
        key, until_ms = known
        return key if now_ms < until_ms else None

    async def _kept(self, kid: str) -> tuple[VerifyKey, int] | None:
        kept = await self._records.get(KIND, EVERYWHERE, kid)
        if kept is None:
            return None
        told = unpacked(kept)
        public = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(told["public"]))
        return VerifyKey("EdDSA", public), told["until_ms"]

    def _forget(self, now_ms: int) -> None:
        self._known = {kid: one for kid, one in self._known.items() if one[1] > now_ms}

    async def _own_key(self) -> _Signing:
        async with self._drawing:
            signing = self._signing
            if signing is None or self._now_ms() >= signing.until_ms:
                signing = self._signing = await self._draw()
        return signing

    async def _draw(self) -> _Signing:
        now_ms, key = self._now_ms(), Ed25519PrivateKey.generate()
        kid = secrets.token_urlsafe(_KID_BYTES)
        signs_until_ms = now_ms + _SIGNS_MS
        public = urlsafe_b64encode(key.public_key().public_bytes_raw()).decode()
        # With a minute for clocks that differ.
        until_ms = signs_until_ms + self._ttl_ms + 60_000
        value = packed({"public": public, "until_ms": until_ms})
        changes = [Change(KIND, EVERYWHERE, kid, value, expected=0)]
        kept = [one async for one in every(self._records, KIND)]
        over = [one for one in kept if unpacked(one)["until_ms"] <= now_ms]
        changes += [Change(KIND, EVERYWHERE, one.key, None) for one in over]
        await self._records.change(changes, now_ms)
        return _Signing(kid, key, signs_until_ms)

"""Tokens: JSON Web Tokens of issuers that the operator trusts, verified.

Rule 1. Each key is for one algorithm. What a token says its algorithm is must be that.
Rule 2. `kid` chooses among the issuer's own keys. Where a token says its key is (`jwk`,
        `jku`, `x5u`, `x5c`) is not looked at.
Rule 3. No extension is understood here, so a token with `crit` is refused.
Rule 4. `iss` and `aud` are what the settings say, letter by letter; `exp` must be there.

This imports all of `cryptography`: it is loaded with the first token (plait.assembly).

Not here: where keys come from (plait.security.jwks, plait.security.signing).
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

import orjson
from jwt import PyJWS, PyJWTError
from jwt.types import SigOptions

from plait.model.record import record
from plait.ports.identity import Unauthenticated
from plait.security.claims import (
    TOKEN_LENGTH_MAX,
    ClaimRules,
    Verified,
    check_claims,
    refused,
)

ALGORITHMS: Final = (
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
    "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip

_SIGNATURES: Final = PyJWS(
    algorithms=list(ALGORITHMS),
    options=SigOptions(verify_signature=True, enforce_minimum_key_length=True),
)
_KID_LENGTH_MAX: Final = 200
_TYPES: Final = ("jwt", "at+jwt", "application/at+jwt")


@record
class VerifyKey:
    """What signatures are checked with.

    Attributes:
        algorithm: The only one that it is for.
        key: Bytes for HS…, else a public key of `cryptography`.
    """

    algorithm: str
    key: Any


class KeySource(Protocol):
    """The keys of one issuer."""

    async def find(self, kid: str | None) -> VerifyKey | None:
        """Return the key of this id; None: there is none.

        Args:
            kid: None: the token says none; the issuer's only key, if it has one.
        """
        ...


@record
class Issuer:
    """Who signs tokens that count here.

    Attributes:
        name: As `iss` says it.
        audience: As `aud` must say it.
        leeway_s: How far clocks may be apart.
    """

    name: str
    audience: str
    keys: KeySource
    rules: ClaimRules
    leeway_s: float = 30.0


class TokenVerifier:
    """Verifies tokens of the issuers it knows.

    Args:
        now_s: Returns the moment, seconds since the Unix epoch.
    """

    def __init__(self, issuers: Iterable[Issuer], now_s: Callable[[], float]) -> None:
        # One name may stand for several: an issuer's audiences can have rules of their own.
        self._issuers: dict[str, list[Issuer]] = {}
        for issuer in issuers:
            self._issuers.setdefault(issuer.name, []).append(issuer)
        self._now_s = now_s

    async def verify(self, token: str) -> Verified:
        """Return whose token it is.

        Raises:
            Unauthenticated: It does not count, whatever the reason.
        """
        parts = token.split(".")
        if len(token) > TOKEN_LENGTH_MAX or len(parts) != 3:
            raise refused()
        header, claims = _object(parts[0]), _object(parts[1])
        # Whose it says it is chooses the keys; that it is theirs, the signature says.
        said = claims.get("iss")
        issuers = self._issuers.get(said, []) if isinstance(said, str) else []
        for issuer in issuers:
            with suppress(Unauthenticated):
                return await self._by(issuer, token, header, claims)
        raise refused()

    async def _by(
        self,
        issuer: Issuer,
        token: str,
        header: Mapping[str, Any],
        claims: Mapping[str, Any],
    ) -> Verified:
        key = await issuer.keys.find(_kid(header))
        if key is None or header.get("alg") != key.algorithm:
            raise refused()
        _check_signature(token, key)
        ends_s = check_claims(
            claims,
            issuer=issuer.name,
            audience=issuer.audience,
            leeway_s=issuer.leeway_s,
            now_s=self._now_s(),
        )
        return Verified(issuer.rules.caller(claims), ends_s)


def _object(part: str) -> Mapping[str, Any]:
    """Return the JSON object that a part of a token holds."""
    try:
        # Signed are the letters; what they mean is one thing only in the strict alphabet.
        data = urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))
        told = orjson.loads(data)
    except (ValueError, binascii.Error):
        raise refused() from None
    if not isinstance(told, dict):
        raise refused()
    return told


def _kid(header: Mapping[str, Any]) -> str | None:
    """Return the key that a header names, if the header is one to go by."""
    if "crit" in header or "b64" in header:
        raise refused()
    kind = header.get("typ")
    if kind is not None and (not isinstance(kind, str) or kind.lower() not in _TYPES):
        raise refused()
    kid = header.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _KID_LENGTH_MAX):
        raise refused()
    return kid


def _check_signature(token: str, key: VerifyKey) -> None:
    try:
        _SIGNATURES.decode(token, key.key, algorithms=[key.algorithm])
    except (PyJWTError, ValueError, TypeError, NotImplementedError):
        raise refused() from None

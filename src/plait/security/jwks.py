"""Keys of issuers: those that the settings hold, and those that an issuer publishes.

A published set is fetched when the first token needs it, and again when it is old or a
token names a key that is not in it, though never twice within half a minute: tokens with
made-up `kid`s would make the gateway hammer the issuer. While the issuer does not answer,
what was fetched last goes on counting.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

import orjson
from jwt import PyJWK, PyJWTError

from plait.model.errors import PlaitError
from plait.security.tokens import VerifyKey

logger = logging.getLogger("plait.security")

_AGE_S_MAX: Final = 600.0
_REST_S: Final = 30.0
_KEYS_MAX: Final = 100
_RSA_BITS_MIN: Final = 2_048
_BY_CURVE: Final = {
    "P-256": "ES256",
    "P-384": "ES384",
    "P-521": "ES512",
    "Ed25519": "EdDSA",
}


class FixedKeys:
    """Keys that are known from the beginning, by their ids."""

    def __init__(self, keys: Mapping[str, VerifyKey]) -> None:
        self._keys = keys

    async def find(self, kid: str | None) -> VerifyKey | None:
        """Return the key of this id, or the only one."""
        return chosen(self._keys, kid)


class PublishedKeys:
    """The JSON Web Key Set at a URL (RFC 7517).

    Args:
        fetch: Returns the bytes at a URL. It is held to the operator's egress rules, to a
            size and to a time, by whoever gives it.
        algorithms: Those that keys of the set may be for.
        now_s: Monotonic seconds.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], Awaitable[bytes]],
        algorithms: Collection[str],
        now_s: Callable[[], float],
    ) -> None:
        self._url = url
        self._fetch = fetch
        self._algorithms = algorithms
        self._now_s = now_s
        self._keys: Mapping[str, VerifyKey] = {}
        self._fetched_s = self._tried_s = -math.inf
        self._fetching = asyncio.Lock()

    async def find(self, kid: str | None) -> VerifyKey | None:
        """Return the key of this id, or the only one, fetched if need be."""
        key = chosen(self._keys, kid)
        if key is not None and self._now_s() - self._fetched_s < _AGE_S_MAX:
            return key
        async with self._fetching:
            if self._now_s() - self._tried_s >= _REST_S:
                await self._refresh()
        return chosen(self._keys, kid)

    async def _refresh(self) -> None:
        self._tried_s = self._now_s()
        try:
            self._keys = keys_of(await self._fetch(self._url), self._algorithms)
        except (PlaitError, OSError, ValueError) as error:
            logger.warning("the keys at %s cannot be had: %s", self._url, error)
        else:
            self._fetched_s = self._now_s()


def chosen(keys: Mapping[str, VerifyKey], kid: str | None) -> VerifyKey | None:
    """Return the key of this id; without an id, the only key if there is but one."""
    if kid is not None:
        return keys.get(kid)
    return next(iter(keys.values())) if len(keys) == 1 else None


def keys_of(data: bytes, algorithms: Collection[str]) -> dict[str, VerifyKey]:
    """Return the keys of a set that can be used, by id; those that cannot are left out.

    Raises:
        ValueError: It is no key set.
    """
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ValueError("this is not JSON") from None
    found = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(found, list) or len(found) > _KEYS_MAX:
        raise ValueError(f"this is no set of up to {_KEYS_MAX} keys")
    keys: dict[str, VerifyKey] = {}
    for number, one in enumerate(found):
        key = _key(one, algorithms) if isinstance(one, dict) else None
        if key is not None:
            keys.setdefault(str(one.get("kid", number)), key)
    return keys


def _key(told: Mapping[str, Any], algorithms: Collection[str]) -> VerifyKey | None:
    """Return a public key out of a set; None when it is none that counts here."""
    algorithm = _algorithm(told, algorithms)
    if algorithm is None or told.get("use", "sig") != "sig" or "d" in told:
        return None
    try:
        key = PyJWK(dict(told), algorithm).key
    except (PyJWTError, ValueError, TypeError):
        return None
    if getattr(key, "key_size", _RSA_BITS_MIN) < _RSA_BITS_MIN and told["kty"] == "RSA":
        return None
    return VerifyKey(algorithm, key)


def _algorithm(told: Mapping[str, Any], algorithms: Collection[str]) -> str | None:
    """Return the one algorithm that a key is for; None when there is no such."""
    kind, said = told.get("kty"), told.get("alg")
    if kind == "RSA":
        fits = [one for one in algorithms if one.startswith("RS")]
    elif kind in ("EC", "OKP"):
        own = _BY_CURVE.get(str(told.get("crv")))
        fits = [own] if own is not None and own in algorithms else []
    else:
        return None  # a secret that is published is none
    if said is not None:
        return said if said in fits else None
    return fits[0] if fits else None

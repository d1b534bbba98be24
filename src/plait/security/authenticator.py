"""The authenticator: a key or a token in a request's headers, and whose it is.

Rule 1. `Authorization: Bearer` and `X-API-Key` both carry either; two that differ are
        refused.
Rule 2. What was found to count counts for a few more seconds without being looked up: a
        key that is revoked elsewhere ends within that time.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Final

from plait.model.caller import Caller
from plait.ports.identity import Unauthenticated
from plait.security.claims import TOKEN_LENGTH_MAX, Verified
from plait.security.keys import PREFIX, ApiKeys

_KEPT_MAX: Final = 10_000


class HeaderAuthenticator:
    """Finds out who asks (plait.ports.identity).

    Args:
        verify: Returns whose token a text is, or raises Unauthenticated.
        anonymous: Returns who asks without key or token, from the headers and the peer's
            address; or raises Unauthenticated.
        kept_ms: How long what counted is not looked up again.
        now_ms: Returns the moment, milliseconds since the Unix epoch.
    """

    def __init__(
        self,
        keys: ApiKeys,
        verify: Callable[[str], Awaitable[Verified]],
        anonymous: Callable[[Mapping[str, str], str], Caller],
        *,
        kept_ms: int = 5_000,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._keys = keys
        self._verify = verify
        self._anonymous = anonymous
        self._kept_ms = kept_ms
        self._now_ms = now_ms
        # By SHA-256: the secrets of all who ask need not lie together in memory.
        self._kept: dict[bytes, tuple[Caller, int]] = {}
        self._times_forgotten = 0

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Caller:
        """Return on whose behalf a request is made."""
        shown = shown_in(headers)
        if shown is None:
            return self._anonymous(headers, peer)
        name, now_ms = sha256(shown.encode("latin-1", "replace")).digest(), self._now_ms()
        kept = self._kept.get(name)
        if kept is not None and now_ms < kept[1]:
            return kept[0]
        times_forgotten = self._times_forgotten
        caller, ends_ms = await self._found(shown)
        if times_forgotten == self._times_forgotten:
            until_ms = now_ms + self._kept_ms
            until_ms = until_ms if ends_ms is None else min(until_ms, ends_ms)
            self._keep(name, caller, until_ms)
        return caller

    def forget(self) -> None:
        """Look everything up again: a key was revoked here.

        What is being looked up now may have been read before that, and is not remembered.
        """
        self._times_forgotten += 1
        self._kept.clear()

    async def _found(self, shown: str) -> tuple[Caller, int | None]:
        if shown.startswith(PREFIX):
            key = await self._keys.check(shown)
            return key.caller(), key.expires_at_ms
        verified = await self._verify(shown)
        return verified.caller, int(verified.ends_s * 1000)

    def _keep(self, name: bytes, caller: Caller, until_ms: int) -> None:
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        self._kept[name] = caller, until_ms


def shown_in(headers: Mapping[str, str]) -> str | None:
    """Return the key or token that a request shows; None when it shows none.

    Raises:
        Unauthenticated: It shows something else, or two that differ.

    >>> shown_in({"authorization": "Bearer abc"}), shown_in({})
    ('abc', None)
    """
    said, key = headers.get("authorization"), headers.get("x-api-key")
    bearer = None
    if said is not None:
        scheme, _, bearer = said.partition(" ")
        bearer = bearer.strip()
        if scheme.lower() != "bearer" or not bearer:
            raise Unauthenticated("only `Authorization: Bearer …` is understood here")
    if key is not None and bearer is not None and key != bearer:
        raise Unauthenticated("`Authorization` and `X-API-Key` differ: send one of them")
    shown = bearer if bearer is not None else key
    if shown is not None and not 0 < len(shown) <= TOKEN_LENGTH_MAX:
        raise Unauthenticated("this is no key and no token", is_invalid=True)
    return shown

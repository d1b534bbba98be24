"""Passwords: Argon2id, in a thread, a few at a time.

A hash takes 64 MiB and some 50 ms: more than `_AT_ONCE` side by side would let whoever
guesses passwords take the memory of the gateway.
"""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from plait.security.kept import BadScope

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 1_000
_AT_ONCE: Final = 2


class Passwords:
    """Hashes passwords, and checks them.

    Args:
        hasher: With other parameters than those of RFC 9106 for little memory (64 MiB, 3
            passes, 4 lanes); hashes with others are made anew when they are used.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._places = asyncio.Semaphore(_AT_ONCE)
        # Of a password that nobody has; unknown names are checked against it.
        self._nobodys = ""

    async def hash(self, password: str) -> str:
        """Return what is kept of a password.

        Raises:
            BadScope: It is too short or too long.
        """
        if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
            raise BadScope(f"a password has {LENGTH_MIN} to {LENGTH_MAX} characters")
        async with self._places:
            return await asyncio.to_thread(self._hasher.hash, _plain(password))

    async def is_right(self, password: str, kept: str | None) -> bool:
        """Tell whether a password is the one whose hash is kept; None: there is none."""
        async with self._places:
            return await asyncio.to_thread(self._verify, password[: LENGTH_MAX + 1], kept)

    def is_outdated(self, kept: str) -> bool:
        """Tell whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    def _verify(self, password: str, kept: str | None) -> bool:
        hasher = self._hasher
        self._nobodys = self._nobodys or hasher.hash(secrets.token_urlsafe(32))
        try:
            hasher.verify(kept or self._nobodys, _plain(password))
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None


def _plain(password: str) -> bytes:
    """Return a password's bytes; however a keyboard composes an accent, it is the same."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")

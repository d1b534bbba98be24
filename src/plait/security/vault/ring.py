"""The key ring: what credentials are encrypted with. It comes from the operator, never
from the store, and there is no default.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from typing import Final

from plait.ports.credentials import VaultKeyMissing

KEY_BYTES: Final = 32
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)


def read_key(text: str) -> bytes:
    """Return the 32 bytes that `text` writes in base64 or hexadecimal digits.

    Raises:
        ValueError: It writes something else. The text is not told.

    >>> read_key("00" * 32) == bytes(32)
    True
    """
    given = text.strip()
    try:
        if len(given) == 2 * KEY_BYTES:
            return bytes.fromhex(given)
        key = b64decode(given.replace("-", "+").replace("_", "/"), validate=True)
    except (Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key of the vault is {KEY_BYTES} random bytes in base64")
    return key


class KeyRing:
    """Keys by their ids; one of them encrypts, all of them decrypt.

    Args:
        keys: By id.
        newest: The id of the key that encrypts; None: the only one.

    Raises:
        ValueError: An id is none, or nobody can tell which key is the newest.

    >>> KeyRing({"2026": bytes(32)}).newest
    '2026'
    """

    def __init__(self, keys: Mapping[str, bytes], newest: str | None = None) -> None:
        for key_id in keys:
            if not _ID.fullmatch(key_id):
                raise ValueError("a key's name is small letters, digits, '_' and '-'")
        if newest is None and len(keys) > 1:
            listed = ", ".join(sorted(keys))
            raise ValueError(f"say which of the keys {listed} encrypts: `vault.newest`")
        if newest is not None and newest not in keys:
            raise ValueError(f"`vault.newest` names '{newest}', which is no key here")
        self._keys = dict(keys)
        self._newest = newest or next(iter(keys), None)

    @property
    def newest(self) -> str:
        """The id of the key that encrypts. Raises VaultKeyMissing: there is none."""
        if self._newest is None:
            raise VaultKeyMissing(
                "the vault has no key: set PLAIT_VAULT_KEY, or `[vault.keys]` in "
                "plait.toml; `plait credentials key` makes one"
            )
        return self._newest

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._keys

    def key(self, key_id: str) -> bytes:
        """Return a key. Raises VaultKeyMissing: this process does not have it."""
        found = self._keys.get(key_id)
        if found is None:
            raise VaultKeyMissing(
                f"credentials are encrypted with the key '{key_id}', which this process "
                "does not have: see `[vault.keys]` in the settings"
            )
        return found

"""Functions of our own that expressions may call: the same arguments, the same result.

They are listed, with their signatures, in plait.expression.catalogue.
"""

from __future__ import annotations

import hashlib
from typing import Final

# Drawn once; it keeps our UUIDs apart from anybody else's. Never changed.
_NAMESPACE: Final = bytes.fromhex("7d9e2f52c4b84a0e9a6b1f5c3e8d2a47")


def uuid_of(identity: str, text: str) -> str:
    """Return the UUID (version 5) that belongs to an execution's id and `text`.

    >>> uuid_of("run-1", "pay")
    '...'
    >>> uuid_of("run-1", "pay") == uuid_of("run-1", "refund")
    False
    """
    # The length keeps ("a", "b/c") and ("a/b", "c") apart.
    name = f"{len(identity)}/{identity}/{text}".encode()
    digest = bytearray(hashlib.sha1(_NAMESPACE + name, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    digits = digest.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

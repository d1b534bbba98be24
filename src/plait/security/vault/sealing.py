"""Sealing: AES-256-GCM under a key of the ring.

Rule. What binds a credential to its place is authenticated with it: its tenant, name, id,
      type, hosts and workflows. So a record that somebody moved to another tenant, or to
      which they added a host, cannot be opened.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from plait.ports.credentials import VaultDamaged
from plait.security.vault.kept import Kept
from plait.security.vault.ring import KeyRing

_NONCE_BYTES: Final = 12


def sealed(ring: KeyRing, kept: Kept, fields: Mapping[str, str]) -> Kept:
    """Return `kept` with `fields` in it, encrypted under the newest key."""
    key_id, nonce = ring.newest, os.urandom(_NONCE_BYTES)
    plain = orjson.dumps(dict(fields))
    hidden = AESGCM(ring.key(key_id)).encrypt(nonce, plain, bound(kept))
    return kept.with_box(key_id, b64encode(nonce + hidden).decode())


def opened(ring: KeyRing, kept: Kept) -> dict[str, str]:
    """Return what is in `kept`.

    Raises:
        VaultKeyMissing: Its key is not here.
        VaultDamaged: It is not what was put in, or it is another's.
    """
    key = ring.key(kept.key)
    try:
        box = b64decode(kept.box, validate=True)
        plain = AESGCM(key).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], bound(kept))
    except (InvalidTag, ValueError):
        raise VaultDamaged(kept.name) from None
    fields: dict[str, str] = orjson.loads(plain)
    return fields


def bound(kept: Kept) -> bytes:
    """Return what is authenticated with a credential, and not encrypted."""
    told: list[Any] = ["plait.credential", 1, kept.tenant, kept.id, kept.name, kept.type]
    return orjson.dumps([*told, kept.hosts, kept.workflows, kept.number])

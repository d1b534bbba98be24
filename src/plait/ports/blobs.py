"""Blobs: where large payloads are kept, by their content, beside a store's rows.

Rule 1. A name is the hash of the bytes: equal bytes are kept once, and what is loaded is
        compared with its name.
Rule 2. When `save` returns, the bytes outlive a crash of the machine. A row may name them
        only after that.
"""

from __future__ import annotations

from typing import ClassVar, Final, Protocol

from plait.model.errors import PlaitError

# Larger ones are kept as blobs: in a row they would be copied with every page around them.
INLINE_BYTES_MAX: Final = 256 * 1024


class BlobDamaged(PlaitError):
    """A payload is gone, or is not what was written."""

    code: ClassVar[str] = "journal.blob_damaged"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the payload {name[:12]}… {reason}: restore it from a backup")
        self.name = name


class Blobs(Protocol):
    """Keeps bytes by their hash. May be called from any thread; each call may wait."""

    def save(self, data: bytes) -> str:
        """Keep `data`; return its name.

        Raises:
            StoreUnavailable: It was not kept.
        """
        ...

    def load(self, name: str) -> bytes:
        """Return the bytes of this name.

        Raises:
            BlobDamaged: They are gone, or altered.
        """
        ...

    def has(self, name: str) -> bool:
        """Return whether there is something of this name."""
        ...

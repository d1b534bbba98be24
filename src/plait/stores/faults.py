"""What may be wrong with any store: one class per thing that somebody can mend.

Rule. What may pass by itself (no space, a lock, a failing disk) is a StoreUnavailable and
      is tried again; damage is none, because trying again would not mend it.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from plait.model.errors import Advice, PlaitError
from plait.ports.journal import StoreUnavailable


class NoAddress(StoreUnavailable):
    """The store's address cannot be read: no waiting mends it."""

    advice: ClassVar[Advice] = Advice.FIX_REQUEST


class StoreReadOnly(StoreUnavailable):
    """The store can be read and not be written."""

    code: ClassVar[str] = "store.read_only"


class StoreDamaged(PlaitError):
    """Something in the store is not what was written to it.

    Attributes:
        place: The database file, or which server.
    """

    code: ClassVar[str] = "store.damaged"

    def __init__(self, place: Path | str, reason: str) -> None:
        super().__init__(
            f"{place} is damaged: {reason}; what is still whole can be read, "
            "`plait journal verify` tells what is not: restore it from a backup"
        )
        self.place = place
        self.reason = reason

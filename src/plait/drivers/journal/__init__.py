"""The durable driver: decide, record, act. What it acknowledges outlives a crash."""

from plait.drivers.journal.driver import JournalDriver, Start, Store, Times
from plait.drivers.journal.history import (
    NO_DIGEST,
    HistoryDamaged,
    HistoryMismatch,
    entry_of,
    replay,
    verify,
)
from plait.drivers.journal.telling import Telling

__all__ = [
    "NO_DIGEST",
    "HistoryDamaged",
    "HistoryMismatch",
    "JournalDriver",
    "Start",
    "Store",
    "Telling",
    "Times",
    "entry_of",
    "replay",
    "verify",
]

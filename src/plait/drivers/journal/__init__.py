"""The durable driver: decide, record, act. What it acknowledges outlives a crash."""

from plait.drivers.journal.deaths import DEATHS_MAX
from plait.drivers.journal.driver import JournalDriver
from plait.drivers.journal.history import (
    HistoryDamaged,
    HistoryMismatch,
    chained,
    entry_of,
    origin_of,
    replay,
    verify,
)
from plait.drivers.journal.messages import (
    MessageUnreadable,
    cancel_message,
    decision_message,
    refused_message,
    signal_message,
)
from plait.drivers.journal.payload import (
    HISTORY_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    PayloadTooLarge,
)
from plait.drivers.journal.result import started_of, trace_of, turns_of
from plait.drivers.journal.room import Overloaded, Room
from plait.drivers.journal.standing import (
    Quarantined,
    SecretMissing,
    WorkerMissing,
    is_elsewhere,
    is_put_off,
    needs_of,
    waits_for_worker,
)
from plait.drivers.journal.starting import PRIORITY_MAX, Unplaceable
from plait.drivers.journal.telling import Telling
from plait.drivers.journal.terms import Start, Store, Times
from plait.drivers.journal.unkept import Unkept
from plait.drivers.journal.waiters import is_at_rest

__all__ = [
    "DEATHS_MAX",
    "HISTORY_BYTES_MAX",
    "PAYLOAD_BYTES_MAX",
    "PRIORITY_MAX",
    "HistoryDamaged",
    "HistoryMismatch",
    "JournalDriver",
    "MessageUnreadable",
    "Overloaded",
    "PayloadTooLarge",
    "Quarantined",
    "Room",
    "SecretMissing",
    "Start",
    "Store",
    "Telling",
    "Times",
    "Unkept",
    "Unplaceable",
    "WorkerMissing",
    "cancel_message",
    "chained",
    "decision_message",
    "entry_of",
    "is_at_rest",
    "is_elsewhere",
    "is_put_off",
    "needs_of",
    "origin_of",
    "refused_message",
    "replay",
    "signal_message",
    "started_of",
    "trace_of",
    "turns_of",
    "verify",
    "waits_for_worker",
]

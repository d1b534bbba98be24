"""Faults by lot: which there are, how likely each is, and how often each has fired.

Rule 1. Every actor draws from a lot of its own, made of the seed and the actor's name, so
        that one actor's draws do not shift another's.
Rule 2. Only what really happened is counted. A run in which a kind of fault never fired
        has not proved anything about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import Final


class Fault(StrEnum):
    """What can go wrong, in the words of the report."""

    WRITE_REFUSED = "write refused"
    ACKNOWLEDGEMENT_LOST = "acknowledgement lost"
    WRITE_TWICE = "write arrived twice"
    STORE_FULL = "store full"
    STORE_SLOW = "store slow"
    HISTORY_DAMAGED = "damaged history read"
    CRASH_BEFORE_WRITE = "crash before a write"
    CRASH_AFTER_WRITE = "crash after a write"
    CRASH_IN_RECOVERY = "crash in recovery"
    CRASH_BEFORE_CALL = "crash before a call"
    CRASH_AFTER_CALL = "crash after a call"
    CRASH_WHENEVER = "crash at a random moment"
    FREEZE = "worker frozen"
    CLOCK_AHEAD = "clock ahead or behind"
    LITTLE_ROOM = "room for few executions at a time"
    UPSTREAM_FAILED = "upstream failed"
    UPSTREAM_HUNG = "upstream hung"
    UPSTREAM_SLOW = "upstream slow"
    STARTED_TWICE = "started twice with one key"
    CANCELLED = "cancelled while it ran"
    CRASH_AFTER_WISH = "crash after a cancel was acknowledged"
    TURN_REFUSED = "answer refused for ever"
    PROMOTED = "promoted while it ran"
    PROMOTION_LOST = "promotion's answer lost"
    DEADLY = "worker killed by what it ran"
    # What follows from the others, and must have been met as well.
    STALE_WRITE = "stale write refused"
    CALL_REPEATED = "call repeated with its key"
    UNSAFE_UNKNOWN = "unsafe call with unknown outcome"
    CALL_OUT_OF_DATE = "call of a worker that was overtaken"
    CANCEL_RACED = "cancel came after the end"
    QUARANTINED = "quarantined for its deaths"


RATES: Final[Mapping[Fault, float]] = {
    Fault.WRITE_REFUSED: 0.02,
    Fault.ACKNOWLEDGEMENT_LOST: 0.03,
    Fault.WRITE_TWICE: 0.02,
    Fault.STORE_FULL: 0.01,
    Fault.STORE_SLOW: 0.05,
    Fault.HISTORY_DAMAGED: 0.01,
    Fault.CRASH_BEFORE_WRITE: 0.01,
    Fault.CRASH_AFTER_WRITE: 0.01,
    Fault.CRASH_IN_RECOVERY: 0.01,
    Fault.CRASH_BEFORE_CALL: 0.01,
    Fault.CRASH_AFTER_CALL: 0.01,
    Fault.CRASH_WHENEVER: 0.3,
    Fault.FREEZE: 0.4,
    Fault.CLOCK_AHEAD: 0.5,
    Fault.LITTLE_ROOM: 0.3,
    Fault.UPSTREAM_FAILED: 0.03,
    Fault.UPSTREAM_HUNG: 0.01,
    Fault.UPSTREAM_SLOW: 0.05,
    Fault.STARTED_TWICE: 0.15,
    Fault.CANCELLED: 0.15,
    Fault.CRASH_AFTER_WISH: 0.3,
    Fault.TURN_REFUSED: 0.05,
    Fault.PROMOTED: 0.15,
    Fault.PROMOTION_LOST: 0.2,
    Fault.DEADLY: 0.02,
}
"""How likely each fault is wherever it can fire: at each write, call, life or start."""


class Fate:
    """Decides what goes wrong, until it is `calm`."""

    def __init__(self, seed: int, rates: Mapping[Fault, float] = RATES) -> None:
        self.seed = seed
        self.rates = rates
        self.fired: Counter[Fault] = Counter()
        self.is_calm = False

    def lot(self, actor: str) -> Lot:
        """Return the draws of one actor."""
        return Lot(self, Random(f"{self.seed}/{actor}"))


class Lot:
    """One actor's draws."""

    def __init__(self, fate: Fate, random: Random) -> None:
        self.fate = fate
        self.random = random

    def falls(self, fault: Fault) -> bool:
        """Tell whether `fault` fires here and now, and count it if so."""
        is_hit = self.random.random() < self.fate.rates.get(fault, 0.0)
        if not is_hit or self.fate.is_calm:
            return False
        self.fate.fired[fault] += 1
        return True

    def chooses(self, fault: Fault) -> bool:
        """Tell whether `fault` is to fire here, later: it is counted when it does."""
        is_hit = self.random.random() < self.fate.rates.get(fault, 0.0)
        return is_hit and not self.fate.is_calm

    def seconds(self, low: float, high: float) -> float:
        """Return a length of time, drawn evenly."""
        return self.random.uniform(low, high)

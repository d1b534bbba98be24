"""The chain: each entry has the hash of the one before, and the head names the last.

A changed entry has another hash; a missing, added or moved one leaves a link that leads
nowhere; one that was cut off at the end is missed by the head. Whoever can write the whole
store can make the whole chain anew: note the head elsewhere from time to time, and verify
against it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from hashlib import sha256
from typing import Any, ClassVar, Final

import orjson

from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.audit import Act

NO_HASH: Final = "0" * 64
ACT_FIELDS: Final = tuple(one.name for one in fields(Act))


class AuditBroken(PlaitError):
    """Somebody changed the audit log."""

    code: ClassVar[str] = "audit.broken"


@record
class Entry:
    """One change.

    Attributes:
        number: From 1 on, without gaps, in each tenant.
        at_ms: When it began, ms since the Unix epoch.
        ended_at_ms: When its end was told.
        outcome: `done`, `refused`, `failed`, `unknown`.
        code: The error's, where it was not done.
        previous: The hash of the entry before; of the first: zeros.
        hash: SHA-256 of all the rest.
    """

    number: int
    act: Act
    at_ms: int
    ended_at_ms: int
    outcome: str
    code: str | None
    previous: str
    hash: str = ""

    def as_json(self) -> JsonObject:
        """Return it for people, and for the store."""
        act: Any = asdict(self.act)
        return {
            "number": self.number,
            **act,
            "at_ms": self.at_ms,
            "ended_at_ms": self.ended_at_ms,
            "outcome": self.outcome,
            "code": self.code,
            "previous": self.previous,
            "hash": self.hash,
        }


@record
class Head:
    """The last entry of a chain: its number, 0 where there is none, and its hash."""

    number: int = 0
    hash: str = NO_HASH


@record
class Fault:
    """Why a chain is not whole: the number of the entry where that shows, and in words."""

    number: int
    reason: str


def hash_of(entry: Entry) -> str:
    """Return the hash of an entry: of all that it holds but the hash itself."""
    told = {name: value for name, value in entry.as_json().items() if name != "hash"}
    return sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


def entry_in(told: JsonObject) -> Entry:
    """Return the entry that `as_json` made `told` of.

    Raises:
        AuditBroken: It is none.
    """
    given: Any = dict(told)
    try:
        act = Act(**{name: given.pop(name) for name in ACT_FIELDS})
        return Entry(act=act, **given)
    except (KeyError, TypeError):
        raise AuditBroken("an entry of the audit log lacks something") from None


def fault_in(entries: Iterable[Entry], tenant: str, head: Head | None) -> Fault | None:
    """Return where a chain is not whole; None: it is.

    Args:
        entries: All of one tenant, as they are kept.
        head: What the store says is the last one; None: nobody knows.
    """
    last = Head()
    for entry in entries:
        number = last.number + 1
        if entry.number != number:
            return Fault(number, f"entry {number} is missing: {entry.number} stands there")
        if entry.act.tenant != tenant:
            return Fault(number, f"it is of the tenant '{entry.act.tenant}'")
        if entry.previous != last.hash:
            return Fault(number, "it does not follow the entry before it")
        if hash_of(entry) != entry.hash:
            return Fault(number, "it was changed after it was written")
        last = Head(number, entry.hash)
    if head is not None and head != last:
        reason = f"the last entry is {last.number}, and was {head.number}"
        return Fault(last.number + 1, reason)
    return None

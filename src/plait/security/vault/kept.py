"""What a record of a credential holds: all but its fields in clear, these encrypted."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Any, Final

from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.credentials import Credential
from plait.ports.records import Record
from plait.security.kept import UnreadableRecord, packed, unpacked

KIND: Final = "credential"


@record
class Kept:
    """A credential as it is kept. Moments in ms since the Unix epoch.

    Attributes:
        id: Drawn when it was added, never used again: what is encrypted is bound to it.
        number: Grows whenever it is replaced.
        key: The id of the key that it is encrypted with.
        box: What is encrypted, in base64.
        rotated_at_ms: When it was encrypted anew last; None: never.
    """

    tenant: str
    id: str
    name: str
    type: str
    hosts: tuple[str, ...]
    workflows: tuple[str, ...]
    created_at_ms: int
    changed_at_ms: int
    number: int = 1
    rotated_at_ms: int | None = None
    key: str = ""
    box: str = field(default="", repr=False)

    def with_box(self, key: str, box: str) -> Kept:
        """Return it with something encrypted in it."""
        return replace(self, key=key, box=box)

    def credential(self, fields: dict[str, str]) -> Credential:
        """Return it opened."""
        return Credential(
            self.tenant,
            self.name,
            self.type,
            self.hosts,
            self.workflows,
            fields,
            self.number,
            self.id,
        )

    def as_json(self) -> JsonObject:
        """Return it for people: nothing of what it holds."""
        return {
            "name": self.name,
            "type": self.type,
            "hosts": [*self.hosts],
            "workflows": [*self.workflows],
            "created_at_ms": self.created_at_ms,
            "changed_at_ms": self.changed_at_ms,
            "rotated_at_ms": self.rotated_at_ms,
            "number": self.number,
            "key": self.key,
        }


def packed_credential(kept: Kept) -> bytes:
    """Return what the record holds."""
    return packed({**kept.as_json(), "id": kept.id, "box": kept.box})


def kept_in(found: Record) -> Kept:
    """Return what a record holds.

    Raises:
        UnreadableRecord: It is damaged, or a newer version wrote it.
    """
    told: dict[str, Any] = unpacked(found)
    try:
        return Kept(
            found.tenant,  # and not what the record says: somebody may have moved it
            told["id"],
            found.key,
            told["type"],
            tuple(told["hosts"]),
            tuple(told["workflows"]),
            told["created_at_ms"],
            told["changed_at_ms"],
            told["number"],
            told["rotated_at_ms"],
            told["key"],
            told["box"],
        )
    except (KeyError, TypeError):
        raise UnreadableRecord(found.kind, found.key) from None

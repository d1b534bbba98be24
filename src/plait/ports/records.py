"""Records: what the control plane keeps, such as deployments, keys, credentials, sessions.

A record is bytes under a kind, a tenant and a key, with a version. That is little, so that
each store can promise it whole, and all of the platform lives in any store.

Rule 1. When `change` returns, its changes outlive a crash of the machine: all of them.
Rule 2. When it raises, none of them was made. After a `StoreUnavailable` nobody knows: then
        either all were made or none.
Rule 3. A version is never used twice, also not for a key that was removed meanwhile: one
        count, from 1 on, gives each change the next number.
Rule 4. Nobody sees a change half made: what a method returns is as of one moment.

Contract: plait.testing.records_suite.

Not here: executions (plait.ports.journal).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Protocol

from plait.model.errors import Advice, PlaitError
from plait.model.record import record

KIND_BYTES_MAX: Final = 64
TENANT_BYTES_MAX: Final = 128
KEY_BYTES_MAX: Final = 512
VALUE_BYTES_MAX: Final = 1024 * 1024


class Conflict(PlaitError):
    """Somebody else changed a record first."""

    code: ClassVar[str] = "record.conflict"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"{kind} '{key}' was changed by somebody else meanwhile")
        self.kind = kind
        self.key = key


class RecordRefused(PlaitError):
    """A record has a name or a value that no store takes."""

    code: ClassVar[str] = "record.refused"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, kind: str, part: str, reason: str) -> None:
        super().__init__(f"nothing was written: the {part} of a {kind} {reason}")
        self.kind = kind
        self.part = part


@record
class Record:
    """One record as it stands. Lengths of texts are those of their UTF-8.

    Attributes:
        kind: What it is: `deployment`, `session`. 1 to 64 bytes.
        tenant: Whose it is. At most 128 bytes.
        key: 1 to 512 bytes.
        value: At most 1 MiB.
        version: Grows with each change of it; 1 or more.
        at_ms: When it was changed last, milliseconds since the Unix epoch.
    """

    kind: str
    tenant: str
    key: str
    value: bytes
    version: int
    at_ms: int


@record
class Change:
    """What shall become of one record.

    Attributes:
        value: What it holds from now on; None: it is removed.
        expected: The version that it must have; 0: there must be none; None: whatever.
    """

    kind: str
    tenant: str
    key: str
    value: bytes | None
    expected: int | None = None


class Records(Protocol):
    """Keeps records. Every method may raise `plait.ports.journal.StoreUnavailable`."""

    async def get(self, kind: str, tenant: str, key: str) -> Record | None:
        """Return one record; None when there is none."""
        ...

    async def find(
        self,
        kind: str,
        tenant: str | None,
        *,
        prefix: str = "",
        after: str = "",
        limit: int = 100,
        is_backward: bool = False,
    ) -> list[Record]:
        """Return records in the order of their keys' bytes.

        Args:
            tenant: None: those of all tenants, by tenant first, and without a limit;
                `prefix` and `after` are not used then.
            prefix: What their keys begin with.
            after: The key behind which to begin; empty: from the first.
            limit: How many at most.
            is_backward: The last first; `after` is then the key before which to begin.
        """
        ...

    async def count(self, kind: str, tenant: str) -> int:
        """Return how many records of a kind a tenant has."""
        ...

    async def change(self, changes: Sequence[Change], at_ms: int) -> list[int]:
        """Make all changes or none; return each record's new version.

        What they expect is looked at before the first is made; of two changes of one
        record the latter counts.

        Raises:
            Conflict: One does not stand as its change expects.
            RecordRefused: A name or a value is none that stores take.
        """
        ...

    async def revision(self) -> int:
        """Return a number that grows with every `change`, whoever makes it.

        One with no changes in it changes nothing.
        """
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...

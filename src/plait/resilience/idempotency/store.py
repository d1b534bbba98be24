"""What an idempotency guard asks of a store: to let one caller in, and to remember its end.

Rule. Each method is one atomic step among all who use the store. Times are by a clock of
    the store's own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol


class State(StrEnum):
    """What is known of a key."""

    BEGUN = "begun"
    """Nothing was; the caller who is told so makes the call."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


class Record(NamedTuple):
    """What stands under a key.

    Attributes:
        state: Where its call is.
        request: The fingerprint of the request that it was made with.
        data: What it ended with; empty while it is pending.
        left_s: Seconds until the record, or the claim of who makes the call, expires.
    """

    state: State
    request: str
    data: bytes
    left_s: float


class IdempotencyStore(Protocol):
    """Records by key."""

    async def begin(self, key: str, owner: str, request: str, pending_s: float) -> Record:
        """Write `pending` for `owner`, and answer BEGUN; or answer what stands there.

        A claim of the same `owner` is taken again: who it was died, and is back.
        """
        ...

    async def finish(
        self, key: str, owner: str, state: State, data: bytes, keep_s: float
    ) -> bool:
        """Write how `owner`'s call ended; False: its claim has expired, another has it."""
        ...

    async def extend(self, key: str, owner: str, pending_s: float) -> bool:
        """Let `owner`'s claim last for so long from now; False: it has expired."""
        ...

    async def release(self, key: str, owner: str) -> None:
        """Forget `owner`'s claim: the call was not made, and may be made by anybody."""
        ...

    async def aclose(self) -> None:
        """Give back what the store has opened itself."""
        ...

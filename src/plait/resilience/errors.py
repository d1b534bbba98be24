"""What the policies of this room raise on their own account.

An error of the protected function passes through them as it is.
"""

from __future__ import annotations

from typing import ClassVar


class ResilienceError(Exception):
    """Root of the room's errors. A subclass fixes `code`, which is never renamed.

    Attributes:
        name: The policy's name (`payments`), for logs and metrics.
        retry_after: Seconds after which another try may be admitted; None: unknown.
    """

    code: ClassVar[str] = "resilience.error"

    def __init__(
        self, message: str, *, name: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.name = name
        self.retry_after = retry_after


class CircuitOpen(ResilienceError):
    """The circuit breaker lets nothing through for now; nothing was called."""

    code: ClassVar[str] = "resilience.circuit_open"

    def __str__(self) -> str:
        # Put together when somebody reads it: most refusals are only counted.
        text = super().__str__()
        wait_s = self.retry_after
        return text if wait_s is None else f"{text} for another {wait_s:.3g} s"


class RateLimited(ResilienceError):
    """The limit is used up, for longer than the caller would wait; nothing was called."""

    code: ClassVar[str] = "resilience.rate_limited"


class BulkheadFull(ResilienceError):
    """All places are taken, and so are all places to wait; nothing was called."""

    code: ClassVar[str] = "resilience.bulkhead_full"


class TimedOut(ResilienceError, TimeoutError):
    """The function took longer than it may; it was cancelled."""

    code: ClassVar[str] = "resilience.timeout"


class IdempotencyConflict(ResilienceError):
    """The key stands for another request, or its first call is under way elsewhere."""

    code: ClassVar[str] = "resilience.idempotency_conflict"


class IdempotencyUnavailable(ResilienceError):
    """Nobody can tell whether the key's call was made; nothing was called."""

    code: ClassVar[str] = "resilience.idempotency_unavailable"


class EarlierCallFailed(ResilienceError):
    """The key's call was made before and has failed; nothing was called now.

    Attributes:
        kind: The class of its error (`CardDeclined`).
        original_code: Its `code`, if it had one.
        status: Its HTTP status, if it had one.
    """

    code: ClassVar[str] = "resilience.earlier_call_failed"

    kind: str = ""
    original_code: str | None = None
    status: int | None = None

"""What a limiter answers, shows and tells."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias


class Admission(NamedTuple):
    """The answer to one `try_acquire`; true when the call may go ahead.

    Attributes:
        retry_after: Seconds after which asking again makes sense; 0 when admitted. Somebody
            else may be first, so it is no promise.

    >>> bool(Admission(admitted=False, retry_after=0.5))
    False
    """

    admitted: bool
    retry_after: float

    def __bool__(self) -> bool:
        return self.admitted


ADMITTED: Final = Admission(admitted=True, retry_after=0.0)


class Standing(NamedTuple):
    """How much of a limit is left.

    Attributes:
        limit: The weight that is admitted at once at most.
        remaining: The weight that would be admitted now; 0 while somebody waits.
        reset_after: Seconds until all of `limit` is there again, if nobody comes.
        waiting: Callers of this process that wait.
    """

    limit: int
    remaining: int
    reset_after: float
    waiting: int

    def headers(self) -> dict[str, str]:
        """Return the header fields that tell a client of it; seconds are rounded up.

        >>> Standing(limit=10, remaining=3, reset_after=0.2, waiting=0).headers()
        {'RateLimit-Limit': '10', 'RateLimit-Remaining': '3', 'RateLimit-Reset': '1'}
        """
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(math.ceil(self.reset_after)),
        }


@dataclass(frozen=True, slots=True)
class Refused:
    """A call was not admitted, at once or within the time that it would wait."""

    name: str
    weight: int
    retry_after: float


@dataclass(frozen=True, slots=True)
class StoreUnreachable:
    """Redis does not answer; until it does, the limiter admits or refuses, as was set."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class StoreReachable:
    """Redis answers again."""

    name: str


Event: TypeAlias = Refused | StoreUnreachable | StoreReachable
OnEvent: TypeAlias = Callable[[Event], None]

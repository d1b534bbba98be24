"""Identity: who asks, found out from a request's headers.

Rule 1. Whoever cannot show who they are is refused; nobody becomes a caller by default,
        except where the operator has said so (docs/guides/security.md).
Rule 2. Why a key or a token was refused is not told: it would help who guesses.

Not here: what a caller may do (plait.model.caller), how it is found out (plait.security).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Protocol

from plait.model.caller import Caller
from plait.model.errors import Advice, PlaitError

CHALLENGE: Final = 'Bearer realm="plait"'


class Unauthenticated(PlaitError):
    """The request does not show who asks, or what it shows counts for nothing here.

    Attributes:
        challenge: What the reply's `WWW-Authenticate` header says.
    """

    code: ClassVar[str] = "request.unauthenticated"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, message: str, *, is_invalid: bool = False) -> None:
        super().__init__(message)
        self.challenge = CHALLENGE + (', error="invalid_token"' if is_invalid else "")

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers that a reply with this error has."""
        return (("www-authenticate", self.challenge),)


class RateExceeded(PlaitError):
    """Somebody asks more often than they may; nothing was done.

    Attributes:
        retry_after_s: After which asking again makes sense; at least 1.
        headers: The headers that a reply with this error has.
    """

    code: ClassVar[str] = "request.rate_limited"
    advice: ClassVar[Advice] = Advice.RETRY

    def __init__(
        self, message: str, *, retry_after_s: int, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.headers = (*headers, ("retry-after", str(retry_after_s)))


class Authenticator(Protocol):
    """Finds out who asks."""

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Caller:
        """Return on whose behalf a request is made.

        Args:
            headers: By lower-case name; `authorization` and `x-api-key` are read.
            peer: The client's address, without its port; empty when it is not known, or
                is nothing to know anybody by (HTTP/1.0, which proxies speak).

        Raises:
            Unauthenticated: Nobody can be told from the headers.
            RateExceeded: Too many attempts failed from there.
            StoreUnavailable: Keys cannot be looked up.
        """
        ...

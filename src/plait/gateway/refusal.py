"""Refusals: what is wrong with a request, before any workflow runs.

A refusal is the caller's to mend; it carries the status and the whole public error.
"""

from __future__ import annotations

from typing import ClassVar, Final

from plait.gateway.message import Reply, error_reply
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject

_SHOWN_LENGTH_MAX: Final = 200


class Refused(PlaitError):
    """A request that is not answered by a workflow. Subclasses fix code and status."""

    code: ClassVar[str] = "request.malformed"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST
    status: ClassVar[int] = 400

    def __init__(
        self,
        message: str,
        details: JsonObject | None = None,
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.details = details
        self.headers = headers

    def as_reply(self) -> Reply:
        """Return the reply that says so."""
        reply = error_reply(
            self.status, code=self.code, message=str(self), details=self.details
        )
        reply.headers.extend(self.headers)
        return reply


class Malformed(Refused):
    """The request's path, query or body cannot be read."""


class BadInput(Refused):
    """What the request says does not fit the workflow's input schema."""

    code: ClassVar[str] = "request.invalid"


class NotFound(Refused):
    """No endpoint has this path, or none that whoever asks may know of."""

    code: ClassVar[str] = "request.not_found"
    status: ClassVar[int] = 404

    @classmethod
    def at(cls, path: str) -> NotFound:
        """Return the refusal of a request for `path`."""
        return cls(f"nothing answers at {path[:_SHOWN_LENGTH_MAX]}")


class MethodNotAllowed(Refused):
    """An endpoint has this path, but not for this method."""

    code: ClassVar[str] = "request.method_not_allowed"
    status: ClassVar[int] = 405


class RequestTimedOut(Refused):
    """The request did not arrive whole in time."""

    code: ClassVar[str] = "request.incomplete"
    status: ClassVar[int] = 408


class BodyTooLarge(Refused):
    """The body is larger than allowed."""

    code: ClassVar[str] = "request.too_large"
    status: ClassVar[int] = 413

    @classmethod
    def above(cls, bytes_max: int) -> BodyTooLarge:
        """Return the refusal of a body of more than `bytes_max` bytes."""
        return cls(
            f"the request body is larger than {bytes_max} bytes", {"bytes_max": bytes_max}
        )


class UnsupportedMediaType(Refused):
    """The body is in a form that is not read here."""

    code: ClassVar[str] = "request.unsupported_media_type"
    status: ClassVar[int] = 415


class HeadersTooLarge(Refused):
    """The request line and headers together are larger than allowed."""

    code: ClassVar[str] = "request.headers_too_large"
    status: ClassVar[int] = 431


class Unforeseen(Refused):
    """The gateway itself failed; its log says how."""

    code: ClassVar[str] = "internal"
    advice: ClassVar[Advice] = Advice.REPORT
    status: ClassVar[int] = 500


class Overloaded(Refused):
    """The gateway has as much under way as it may."""

    code: ClassVar[str] = "limit.overload"
    advice: ClassVar[Advice] = Advice.RETRY
    status: ClassVar[int] = 503

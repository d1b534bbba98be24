"""Errors that every connector can meet before a byte leaves; and their common root.

Rule. A message names hosts and fields, never values that were sent: those may be secret.

Not here: errors of one protocol (each connector's own errors module).
"""

from __future__ import annotations

from typing import ClassVar

from plait.model.duration import format_ms
from plait.model.errors import Advice, PlaitError
from plait.model.failure import Failure
from plait.model.json import JsonObject


class ConnectorError(PlaitError):
    """A call did not succeed. `as_failure` is what the step hears.

    Attributes:
        details: Facts for programs, JSON-able and free of secrets.
    """

    classes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str, **details: str | int | bool) -> None:
        super().__init__(message)
        self.details: JsonObject = dict(details)

    def as_failure(self, *, sent: bool) -> Failure:
        """Return this error as data. `sent`: whether the other side may have heard."""
        return Failure(
            code=self.code,
            message=str(self),
            details=self.details,
            advice=self.advice,
            classes=self.classes,
            sent=sent,
        )


class InvalidRequest(ConnectorError):
    """The rendered request cannot be sent as it is. Nothing was sent."""

    code = "connector.invalid_request"
    advice = Advice.FIX_REQUEST


class ForbiddenAddress(ConnectorError):
    """The egress rules refuse this host. Nothing was sent.

    The address itself is left out: callers should learn nothing of inner networks.
    """

    code = "connector.forbidden_address"
    advice = Advice.FIX_REQUEST

    def __init__(self, *, host: str, reason: str) -> None:
        super().__init__(
            f"host '{host}' is refused: {reason}; a host out of a template, or of a "
            "document that came over the API, may only be public, unless the operator's "
            "egress settings allow it",
            host=host,
            reason=reason,
        )


class UnknownHost(ConnectorError):
    """The host's name leads to no address, or was not looked up in time."""

    code = "connector.unknown_host"
    advice = Advice.RETRY
    classes = ("connect",)

    def __init__(self, *, host: str, waited_ms: int | None = None) -> None:
        if waited_ms is None:
            said = "is unknown"
        else:
            said = f"was not found: no name server answered within {format_ms(waited_ms)}"
        super().__init__(
            f"host '{host}' {said}; for local work, give its address: "
            f"--resolve {host}=127.0.0.1:8080",
            host=host,
        )

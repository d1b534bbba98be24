"""Who may ask an endpoint, and how often: `auth` and `rate_limit` of `endpoint`.

Not here: finding out who asks (plait.security), counting (plait.gateway.guard).
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, WithJsonSchema

from plait.document.fields import DURATION_PATTERN, Span, Strict
from plait.document.policies import Calls
from plait.model.rate import RATE_PATTERN, Rate, parse_rate


class EndpointAuth(Strict):
    """Who may ask."""

    role: Literal["viewer", "operator", "editor", "admin"]
    """Callers with this role, or one that includes it, for this workflow."""


class EndpointRate(Strict):
    """How often somebody may ask."""

    limit: Calls
    """So many requests…"""
    per: Span
    """…in so much time."""
    by: Literal["caller", "address", "all"] = "caller"
    """Whose requests count together. `caller`: those of one key or token, and of one
    address where nobody shows any; `address`: those of one address; `all`: everybody's."""


def _is_rate(value: str) -> str:
    parse_rate(value)
    return value


RateText: TypeAlias = Annotated[
    str,
    AfterValidator(_is_rate),
    WithJsonSchema({"type": "string", "pattern": RATE_PATTERN + DURATION_PATTERN[1:]}),
]


def rate_of(given: str | EndpointRate | None) -> tuple[Rate | None, str]:
    """Return the rate that was written, and whose requests count together."""
    if isinstance(given, EndpointRate):
        return Rate(given.limit, given.per), given.by
    return (None if given is None else parse_rate(given)), "caller"


def role_of(given: str | EndpointAuth | None) -> str | None:
    """Return the role that callers need; `none`: nobody need show anything; None: unsaid.

    `required` is the role of those who may start executions.
    """
    if isinstance(given, EndpointAuth):
        return given.role
    return "operator" if given == "required" else given

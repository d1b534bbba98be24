"""Failures and refusals: what a policy makes of a failure, and the other way round."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from plait.kernel.backoff import word_matches
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.resilience import CircuitOpen, ResilienceError

_STATUS: Final = "connector.http."
# Of the statuses 400 to 499, which say that the call was wrong, these say that the
# upstream is not well.
_UNWELL: Final = ("408", "429")
# How much earlier than asked for a retry may come: the moment that it counts from is
# rounded down to a millisecond, and the timer fires up to one and a half before it is due.
EARLY_MS: Final = 3
# Nobody was called.
UNCALLED_CODES: Final = (
    "connector.forbidden_address",
    "connector.invalid_request",
    "connector.missing",
)


def is_uncalled(failure: Failure) -> bool:
    """Tell whether a failure says nothing of the upstream: it never was asked."""
    return not failure.sent and failure.code in UNCALLED_CODES


def speaks_against(failure: Failure, on: tuple[str, ...] | None = None) -> bool:
    """Tell whether a failure counts against the upstream.

    Args:
        on: Words of the failures that do; None: all but statuses that blame the caller.

    >>> [speaks_against(Failure(f"connector.http.{s}", "")) for s in (404, 429, 503)]
    [False, True, True]
    """
    if on is not None:
        return any(word_matches(word, failure) for word in on)
    status = failure.code.removeprefix(_STATUS)
    is_status = status != failure.code
    return not (is_status and status.startswith("4") and status not in _UNWELL)


def refused(error: ResilienceError) -> Failure:
    """Return the failure of an attempt that a policy does not let through."""
    details: dict[str, JsonValue] = {"name": error.name}
    return Failure(
        error.code,
        str(error),
        details,
        advice=Advice.RETRY,
        sent=False,
        retry_after_ms=_advised_ms(error),
    )


def _advised_ms(error: ResilienceError) -> int | None:
    """Return how long to wait for being let in, by timers that fire early."""
    if error.retry_after is None:
        return None
    # Of an hour, a clock's floats make an hour and some nanoseconds.
    asked_ms = math.ceil(round(error.retry_after * 1000, 3))
    if isinstance(error, CircuitOpen):
        return asked_ms + EARLY_MS  # a gate is open for so much less
    # No further second: a `Retry-After` of an hour stays one.
    return min(asked_ms + EARLY_MS, -(-asked_ms // 1000) * 1000)


def unpaid(failure: Failure) -> Failure:
    """Return a failure that is not to be tried again: the upstream can bear no retries."""
    details: dict[str, JsonValue] = {
        **(failure.details or {}),
        "retry_budget": "used up",
    }
    return replace(failure, details=details, advice=Advice.GIVE_UP)


def no_budget(upstream: str) -> Failure:
    """Return the failure of a call of a further round, which nothing pays for."""
    text = f"the retry budget of {upstream} is used up; nothing was called"
    return Failure(
        "resilience.retry_budget",
        text,
        {"name": upstream},
        advice=Advice.GIVE_UP,
        sent=False,
    )


def noted(failure: Failure, notes: list[JsonValue]) -> Failure:
    """Return a failure that tells what policies did before it, if they did something."""
    if not notes:
        return failure
    return replace(failure, details={**(failure.details or {}), "policies": notes})

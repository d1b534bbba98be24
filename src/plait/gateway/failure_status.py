"""Failures as HTTP: which status, and what the caller is told.

| failure | status |
|---|---|
| class `timeout` (`connector.timeout`, `step.timeout`, `execution.timeout`) | 504 |
| `reply.invalid_header` of what the caller alone said | 400 |
| `resilience.idempotency_conflict` | 409 |
| other `resilience.…` (circuit open, rate limited, bulkhead full), `limit.overload` | 503 |
| `connector.invalid_request` and its like, nothing sent: the input is at fault | 400 |
| the same, of a request that reads neither the input nor another step | 500 |
| the same after something was sent: an upstream's redirect is at fault | 502 |
| other `connector.…` | 502 |
| `expression.…`, other `limit.…`, `internal…`, `reply.…` | 500 |
| any other code: the workflow's own, from a `fail` step | 422 |

`endpoint.status` speaks first. 422 for a workflow's own failure: the request was understood
and the workflow says no; whoever wants another status names the code under `status`.

Rule. A caller learns code, message, step, attempts and place; of an upstream's reply the
      status, never the body, and never the URL that was called: it may hold a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from plait.gateway.message import Reply, error_reply
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject

_INPUT_AT_FAULT: Final = (
    "connector.forbidden_address",
    "connector.invalid_request",
    "expression.not_for_url",
)
_BY_CODE: Final = {
    "execution.cancelled": 503,
    "limit.overload": 503,
    "request.timeout": 504,
    "resilience.idempotency_conflict": 409,
}
_BY_PREFIX: Final = {
    "connector": 502,
    "execution": 500,
    "expression": 500,
    "internal": 500,
    "limit": 500,
    "reply": 500,
    "resilience": 503,
    "step": 500,
}
_OWN_FAILURE: Final = 422
# What was undone is the workflow's own: it says nothing of what upstreams answered.
_CONNECTOR_DETAILS: Final = ("status_code", "compensation")
_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}


def status_for(failure: Failure, own_requests: frozenset[str] = frozenset()) -> int:
    """Return the HTTP status that `failure` has where the document says nothing.

    Args:
        own_requests: Places of the calls whose requests the caller had no hand in.

    >>> [status_for(Failure(code, "…")) for code in ("connector.http.404", "shop.empty")]
    [502, 422]
    """
    if "timeout" in failure.classes:
        return 504
    if failure.code in _INPUT_AT_FAULT and not failure.sent:
        return 500 if _is_own(failure, own_requests) else 400
    if failure.code == "reply.invalid_header" and failure.advice is Advice.FIX_REQUEST:
        return 400
    status = _BY_CODE.get(failure.code)
    if status is not None:
        return status
    return _BY_PREFIX.get(failure.code.split(".", 1)[0], _OWN_FAILURE)


def _is_own(failure: Failure, own_requests: frozenset[str]) -> bool:
    """Tell whether the operator's own words are at fault, and nobody else's."""
    if failure.place is None:
        return False
    # What may not stand in a URL is told at the URL, all else at the step.
    return failure.place.pointer.removesuffix("/request/url") in own_requests


def failure_reply(failure: Failure, status: int) -> Reply:
    """Return the reply that tells the caller of `failure`."""
    told = failure.as_json()
    details = told["details"]
    assert isinstance(details, dict)
    if failure.code.startswith("connector."):
        details = _without(details, failure.details or {}, _CONNECTOR_DETAILS)
    reply = error_reply(
        status, code=failure.code, message=_message(failure), details=details
    )
    if status in (429, 503) and failure.retry_after_ms is not None:
        seconds = max(1, -(-failure.retry_after_ms // 1000))
        reply.headers.append((b"retry-after", b"%d" % seconds))
    return reply


def _message(failure: Failure) -> str:
    number = failure.code.removeprefix("connector.http.")
    if number == failure.code or not number.isdecimal():
        return failure.message
    phrase = _PHRASES.get(int(number), "")
    return f"step '{failure.step}': the upstream answered {number} {phrase}".rstrip()


def _without(details: JsonObject, own: JsonObject, kept: Iterable[str]) -> JsonObject:
    """Return `details` without the failure's own, except those that are `kept`."""
    return {key: value for key, value in details.items() if key not in own or key in kept}

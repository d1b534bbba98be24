"""Statuses: the one table from an error's code to gRPC and to HTTP.

Rule 1. The code decides, never the class: an error that crossed a process keeps its code.
Rule 2. A code with a row has that row; else the row of its longest beginning counts; else
        what is the caller's to mend is 400, and the rest 500.
Rule 3. A row names the gRPC status. HTTP follows from it by HTTP_BY_GRPC, unless the row
        has a finer one.

Not here: how an execution that failed answers an endpoint (plait.gateway.failure_status).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.model.record import record

HTTP_BY_GRPC: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 502,
    "DEADLINE_EXCEEDED": 504,
}
_HTTP_OF_THE_REST: Final = 500


@record
class Status:
    """What an error is on the wire.

    Attributes:
        grpc: The name of a gRPC status code: `NOT_FOUND`.
        http: An HTTP status, 400 to 599.
    """

    grpc: str
    http: int


def http_of(grpc: str) -> int:
    """Return the HTTP status of a gRPC status.

    >>> http_of("NOT_FOUND"), http_of("DATA_LOSS")
    (404, 500)
    """
    return HTTP_BY_GRPC.get(grpc, _HTTP_OF_THE_REST)


def status_of(error: PlaitError) -> Status:
    """Return what `error` is on the wire.

    >>> class Missing(PlaitError):
    ...     code = "deployment.unknown"
    >>> status_of(Missing()).grpc, status_of(Missing()).http
    ('NOT_FOUND', 404)
    """
    row = _row(error.code)
    if row is None:
        is_callers = error.advice is Advice.FIX_REQUEST
        row = _status("INVALID_ARGUMENT" if is_callers else "INTERNAL")
    return row


def details_of(error: PlaitError) -> JsonObject:
    """Return the facts for programs that `error` carries: `error.details` of a reply."""
    details = getattr(error, "details", None)
    return details if isinstance(details, dict) else {}


def error_json(error: PlaitError) -> JsonObject:
    """Return the shape in which every error is told."""
    told: JsonObject = {
        "code": error.code,
        "message": str(error),
        "details": details_of(error),
    }
    return {"error": told}


def _row(code: str) -> Status | None:
    """Return the row of `code`, or of its longest beginning that has one."""
    while code:
        row = _ROWS.get(code)
        if row is not None:
            return row
        code = code.rpartition(".")[0]
    return None


def _status(grpc: str, http: int | None = None) -> Status:
    return Status(grpc, http_of(grpc) if http is None else http)


# 409 is for what stands in the way and may stand otherwise tomorrow, 422 for what is
# understood and refused all the same, as the API has answered since there is one.
_ROWS: Final[Mapping[str, Status]] = {
    "agent.model_refused": _status("UNAVAILABLE"),
    "agent.model_unavailable": _status("UNAVAILABLE"),
    "approval.ambiguous": _status("FAILED_PRECONDITION", 409),
    "approval.not_an_approver": _status("PERMISSION_DENIED"),
    "approval.not_asked": _status("FAILED_PRECONDITION", 409),
    "archive.refused": _status("INVALID_ARGUMENT"),
    "connector": _status("INTERNAL", 502),
    "connector.timeout": _status("DEADLINE_EXCEEDED"),
    "credential.exists": _status("ALREADY_EXISTS"),
    "credential.unknown": _status("NOT_FOUND"),
    "decision.invalid": _status("INVALID_ARGUMENT"),
    "deployment.conflict": _status("ABORTED", 409),
    "deployment.endpoint_taken": _status("ALREADY_EXISTS"),
    "deployment.invalid": _status("INVALID_ARGUMENT", 422),
    "deployment.nothing_before": _status("FAILED_PRECONDITION", 409),
    "deployment.unknown": _status("NOT_FOUND"),
    "deployment.unknown_version": _status("NOT_FOUND"),
    "deployment.unreadable": _status("DATA_LOSS"),
    "document.invalid": _status("INVALID_ARGUMENT", 422),
    "document.unreadable": _status("INVALID_ARGUMENT", 422),
    "execution.begun_anew": _status("FAILED_PRECONDITION", 409),
    "execution.exists": _status("ALREADY_EXISTS"),
    "execution.has_ended": _status("FAILED_PRECONDITION", 409),
    "execution.needs_durable": _status("FAILED_PRECONDITION", 422),
    "execution.never_ran": _status("FAILED_PRECONDITION", 409),
    "execution.no_incident": _status("FAILED_PRECONDITION", 409),
    "execution.not_resumable": _status("FAILED_PRECONDITION", 409),
    "execution.nothing_to_undo": _status("FAILED_PRECONDITION", 409),
    "execution.running": _status("FAILED_PRECONDITION", 409),
    "execution.timeout": _status("DEADLINE_EXCEEDED"),
    "execution.unfit_document": _status("INVALID_ARGUMENT", 422),
    "execution.unknown": _status("NOT_FOUND"),
    "execution.unplaceable": _status("INVALID_ARGUMENT", 422),
    "execution.was_undone": _status("FAILED_PRECONDITION", 409),
    "internal": _status("INTERNAL"),
    "journal.lost_race": _status("ABORTED", 503),
    "journal.hold_lost": _status("ABORTED", 503),
    "key.unknown": _status("NOT_FOUND"),
    "limit.overload": _status("UNAVAILABLE", 503),
    "limit.payload": _status("INVALID_ARGUMENT", 413),
    "plan.refused": _status("INVALID_ARGUMENT", 500),
    "plan.unknown": _status("NOT_FOUND"),
    "record.conflict": _status("ABORTED", 409),
    "request.cut_off": _status("UNAVAILABLE", 503),
    "request.forbidden": _status("PERMISSION_DENIED"),
    "request.headers_too_large": _status("INVALID_ARGUMENT", 431),
    "request.incomplete": _status("INVALID_ARGUMENT", 408),
    "request.invalid": _status("INVALID_ARGUMENT"),
    "request.key_reused": _status("ALREADY_EXISTS", 422),
    "request.malformed": _status("INVALID_ARGUMENT"),
    "request.method_not_allowed": _status("UNIMPLEMENTED", 405),
    "request.not_found": _status("NOT_FOUND"),
    "request.rate_limited": _status("RESOURCE_EXHAUSTED"),
    "request.timeout": _status("DEADLINE_EXCEEDED"),
    "request.too_large": _status("INVALID_ARGUMENT", 413),
    "request.unauthenticated": _status("UNAUTHENTICATED"),
    "request.unsupported_media_type": _status("INVALID_ARGUMENT", 415),
    "resilience": _status("UNAVAILABLE", 503),
    "resilience.idempotency_conflict": _status("ABORTED", 409),
    "service": _status("INTERNAL", 502),
    "service.absent": _status("UNIMPLEMENTED", 501),
    "service.answer_too_large": _status("INTERNAL", 500),
    "service.timeout": _status("DEADLINE_EXCEEDED"),
    "service.too_large": _status("INVALID_ARGUMENT", 413),
    "service.unavailable": _status("UNAVAILABLE"),
    "session.empty": _status("FAILED_PRECONDITION", 409),
    "session.full": _status("RESOURCE_EXHAUSTED", 409),
    "session.too_many": _status("RESOURCE_EXHAUSTED"),
    "session.unknown": _status("NOT_FOUND"),
    "signal.invalid": _status("INVALID_ARGUMENT"),
    "signal.not_taken": _status("FAILED_PRECONDITION", 409),
    "signal.too_many": _status("RESOURCE_EXHAUSTED"),
    "store": _status("INTERNAL"),
    "store.full": _status("RESOURCE_EXHAUSTED", 507),
    "store.locked": _status("UNAVAILABLE", 503),
    "store.read_only": _status("UNAVAILABLE", 503),
    "store.unavailable": _status("UNAVAILABLE", 503),
    "store.unstorable": _status("INVALID_ARGUMENT"),
    "user.exists": _status("ALREADY_EXISTS"),
    "user.unknown": _status("NOT_FOUND"),
    "vault.key_missing": _status("UNAVAILABLE", 503),
    "webhook.secret_missing": _status("UNAVAILABLE", 503),
    "webhook.unknown": _status("NOT_FOUND"),
    "webhook.unverified": _status("UNAUTHENTICATED"),
    "workflow.invalid_input": _status("INVALID_ARGUMENT", 422),
    "workflow.unknown": _status("NOT_FOUND"),
}

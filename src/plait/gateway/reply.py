"""Replies: an execution's result as status, headers and body.

Rule 1. `Plait-Completed` says whether every part of the reply is there; always sent.
Rule 2. Without `partial` a failed step fails the reply, also one that the workflow went on
        without.
Rule 3. What went wrong never looks well by accident: a condition gives a failure a status
        below 400 only where it speaks of `error`.
Rule 4. The body is JSON. Only a text under a `Content-Type` of the document's that is not
        JSON goes out as it is, in UTF-8.
Rule 5. A reply always goes out: what goes wrong while writing it becomes its error.

Not here: which failure has which status (plait.gateway.failure_status).
"""

from __future__ import annotations

from typing import Final

import orjson

from plait.drivers.inline import Result
from plait.expression import ExpressionError, Names, Template
from plait.gateway.failure_status import failure_reply, status_for
from plait.gateway.final_names import final_names
from plait.gateway.message import JSON_TYPE, Reply
from plait.gateway.own_requests import own_requests
from plait.gateway.reply_headers import (
    InvalidHeader,
    ReplyHeaders,
    is_json_type,
    reads_error,
)
from plait.gateway.timing import server_timing
from plait.kernel.backoff import word_matches
from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.plan import Endpoint, Plan

COMPLETED: Final = (b"plait-completed", b"true")
NOT_COMPLETED: Final = (b"plait-completed", b"false")
# Statuses that HTTP gives no body.
_BODILESS: Final = (204, 205, 304)


class ReplyWriter:
    """Writes the replies of one endpoint."""

    def __init__(self, endpoint: Endpoint, plan: Plan) -> None:
        self._own_requests = own_requests(plan)
        self._partial = endpoint.partial
        self._status = endpoint.status
        self._headers = ReplyHeaders(endpoint.headers)
        self._has_conditions = any(isinstance(what, Template) for what, _ in self._status)

    def write(self, result: Result) -> Reply:
        """Return the reply to an execution that ended with `result`."""
        failure = self._failure_of(result)
        reply = self._completed(result) if failure is None else None
        if reply is None or isinstance(reply, Failure):
            reply = self._failed(result, reply or failure or _CANCELLED)
        reply.headers.append((b"plait-execution-id", result.execution_id.encode()))
        reply.headers.append((b"server-timing", server_timing(result.trace).encode()))
        return reply

    def _failure_of(self, result: Result) -> Failure | None:
        if result.status != "completed":
            return result.failure or _CANCELLED
        return None if self._partial else result.passed_over

    def _completed(self, result: Result) -> Reply | Failure:
        status, headers = 200, []
        try:
            if self._needs_names():
                names = final_names(result, None)
                status = self._status_when(names, None) or status
                headers = self._headers.of_completed(names)
            body = _body(result.output, headers)
        except ExpressionError as error:
            return error.failure()
        except InvalidHeader as error:
            return error.as_failure()
        except (TypeError, UnicodeEncodeError) as error:
            return Failure("reply.not_json", f"the output is not JSON: {error}")
        told = NOT_COMPLETED if result.is_degraded else COMPLETED
        if status in _BODILESS:
            return Reply(status, [*headers, told])
        if not any(name == b"content-type" for name, _ in headers):
            headers.append(JSON_TYPE)
        return Reply(status, [*headers, told], body)

    def _failed(self, result: Result, failure: Failure) -> Reply:
        names = final_names(result, failure) if self._needs_names() else {}
        status = self._status_when(names, failure) or status_for(
            failure, self._own_requests
        )
        reply = failure_reply(failure, status)
        reply.headers.append(NOT_COMPLETED)
        reply.headers.extend(self._headers.of_failed(names))
        if status in _BODILESS:
            reply.body = b""
        return reply

    def _needs_names(self) -> bool:
        return self._has_conditions or bool(self._headers)

    def _status_when(self, names: Names, failure: Failure | None) -> int | None:
        """Return the status of the first line of `endpoint.status` that holds."""
        for what, status in self._status:
            if isinstance(what, Template):
                if failure is not None and status < 400 and not reads_error(what):
                    continue
                if self._holds(what, names, failure):
                    return status
            elif failure is not None and word_matches(what, failure):
                return status
        return None

    def _holds(self, condition: Template, names: Names, failure: Failure | None) -> bool:
        try:
            return condition.render_bool(names)
        except ExpressionError:
            # Of a failed execution a condition may read what was never answered, of a
            # completed one what went wrong: then it does not hold. Else it is wrong itself.
            if failure is None and not reads_error(condition):
                raise
            return False


def _body(output: JsonValue, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the body: JSON, or a text as it is under a type that is not JSON."""
    told = next((value for name, value in headers if name == b"content-type"), b"")
    if isinstance(output, str) and told and not is_json_type(told.decode("latin-1")):
        return output.encode()
    return orjson.dumps(output)


_CANCELLED: Final = Failure("execution.cancelled", "the execution was cancelled")

"""One table says what each error is in gRPC and in HTTP."""

from __future__ import annotations

import grpc
import pytest

from plait.model.caller import Caller, Forbidden
from plait.model.errors import Advice, PlaitError
from plait.operations import HasEnded, KeyReused
from plait.ports.journal import StoreFull, StoreUnavailable, UnknownExecution
from plait.ports.records import Conflict
from plait.ports.status import _ROWS, HTTP_BY_GRPC, Status, error_json, http_of, status_of


class _Unheard(PlaitError):
    code = "nobody.knows.this"


class _Unfit(PlaitError):
    code = "nobody.knows.this"
    advice = Advice.FIX_REQUEST


@pytest.mark.parametrize(
    ("error", "grpc_name", "http"),
    [
        (UnknownExecution("e1"), "NOT_FOUND", 404),
        (Forbidden(Caller("user:ann"), "admin"), "PERMISSION_DENIED", 403),
        (HasEnded("e1", "failed"), "FAILED_PRECONDITION", 409),
        (KeyReused("e1"), "ALREADY_EXISTS", 422),
        (Conflict("deployment", "d1"), "ABORTED", 409),
        (StoreFull("no space"), "RESOURCE_EXHAUSTED", 507),
        (StoreUnavailable("gone"), "UNAVAILABLE", 503),
        (_Unheard("?"), "INTERNAL", 500),
        (_Unfit("?"), "INVALID_ARGUMENT", 400),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_has_one_status_on_each_wire(
    error: PlaitError, grpc_name: str, http: int
) -> None:
    assert status_of(error) == Status(grpc_name, http)


def test_a_code_without_a_row_has_that_of_its_beginning() -> None:
    class Upstream(PlaitError):
        code = "connector.http.404"

    assert status_of(Upstream()) == Status("INTERNAL", 502)


def test_the_statuses_of_grpc_map_to_http_as_the_api_promises() -> None:
    promised = {
        "INVALID_ARGUMENT": 400,
        "UNAUTHENTICATED": 401,
        "PERMISSION_DENIED": 403,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "RESOURCE_EXHAUSTED": 429,
        "UNAVAILABLE": 502,
        "DEADLINE_EXCEEDED": 504,
    }
    known = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    assert {name: http_of(name) for name in known} == {
        name: promised.get(name, 500) for name in known
    }
    assert promised == HTTP_BY_GRPC


def test_every_row_names_a_status_of_grpc_and_an_error_of_http() -> None:
    known = {code.name for code in grpc.StatusCode}
    assert {row.grpc for row in _ROWS.values()} <= known
    assert all(400 <= row.http <= 599 for row in _ROWS.values())


def test_an_error_is_told_with_code_message_and_details() -> None:
    told = error_json(KeyReused("e1"))["error"]
    assert isinstance(told, dict)
    assert told["code"] == "request.key_reused"
    assert told["details"] == {"execution_id": "e1"}
    assert error_json(UnknownExecution("e2"))["error"] == {
        "code": "execution.unknown",
        "message": str(UnknownExecution("e2")),
        "details": {},
    }

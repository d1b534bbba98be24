"""The control plane: what it asks of the services, what it replies, what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from plait.gateway.control.asked import Services
from plait.gateway.control.operations import OPERATIONS
from plait.gateway.message import Request
from plait.model.caller import ANYBODY, LOCAL, Forbidden
from plait.model.json import JsonObject
from plait.ports.journal import Search, StoreFull, StoreUnavailable, UnknownExecution
from plait.ports.platform import Delivery, Order, Wanted
from plait.ports.records import Conflict
from tests.unit.gateway.control_scenes import KEYS, ROW, Scripted, control

API = "/api/v1"
DOCUMENT = "name: w\nsteps: []\n"


async def test_the_gateway_starts_and_serves_without_fastapi() -> None:
    program = "import sys, plait.cli.serve; assert not {'fastapi', 'grpc'} & {*sys.modules}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


async def test_a_list_is_searched_by_all_that_was_asked() -> None:
    script = Scripted()
    asked = await control(script).ask(
        f"{API}/executions?workflow=w&status=failed&status=completed&error=e&tag=t&key=k"
        "&text=x&since=2026-01-01T00:00:00Z&before=7&limit=3"
    )
    assert (asked.status, asked.json["executions"]) == (200, [ROW])
    (_, caller, search, page) = script.asked[0]
    assert (caller, page) == (LOCAL, None)
    assert search == Search(
        workflow="w",
        statuses=("failed", "completed"),
        error_code="e",
        tag="t",
        key="k",
        text="x",
        since_ms=1_767_225_600_000,
        before=7,
        limit=3,
    )


@pytest.mark.parametrize(
    ("method", "target", "body", "code", "said"),
    [
        ("GET", "/executions?limti=3", None, "request.invalid", "did you mean 'limit'"),
        ("GET", "/executions?limit=1001", None, "request.invalid", "limit"),
        ("GET", "/executions?limit=x", None, "request.invalid", "limit"),
        ("GET", "/executions?status=gone", None, "request.invalid", "status"),
        ("GET", "/executions?before=-1", None, "request.invalid", "before"),
        ("GET", "/executions?page=0", None, "request.invalid", "page"),
        ("GET", "/executions?page=2&before=7", None, "request.invalid", "two ways"),
        ("GET", "/executions?since=never", None, "request.invalid", "since"),
        ("GET", "/executions/x?wait=long", None, "request.invalid", "wait"),
        ("POST", "/session", {}, "request.invalid", "action: Field required"),
        ("POST", "/session", {"action": "edit"}, "request.invalid", "workflow_id"),
        ("POST", "/session", {"acton": "edit"}, "request.invalid", "'action'"),
        ("POST", "/workflow/execute", {}, "request.invalid", "`workflow`, a name, or"),
        ("POST", "/workflow/execute", {"workflow": 1}, "request.invalid", "workflow"),
        ("POST", "/workflow/execute", [], "request.invalid", "object"),
        ("GET", "/chat/stream?session_id=s", None, "request.invalid", "user_message"),
        (
            "POST",
            "/workflow/deployments/d/rollback",
            {"x": 1},
            "request.invalid",
            "nothing",
        ),
        ("GET", "/workflow/deployments/d/diff?old=a", None, "request.invalid", "new"),
    ],
)
async def test_a_request_that_does_not_fit_is_told_where(
    method: str, target: str, body: Any, code: str, said: str
) -> None:
    script = Scripted()
    asked = await control(script).ask(API + target, method, json=body)
    assert (asked.status, asked.error["code"]) == (400, code)
    assert said in asked.error["message"]
    assert script.asked == []


async def test_every_place_is_named_at_once() -> None:
    body = {"workflow": 7, "wait": "long", "stream": "yes"}
    asked = await control().ask(f"{API}/workflow/execute", "POST", json=body)
    places = [one["path"] for one in asked.error["details"]["violations"]]
    assert places == ["/workflow", "/wait", "/stream"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"workflow": NaN}', 400, "request.malformed"),
        (b'{"workflow": "w", "workflow": "v"}', 400, "request.malformed"),
        (b"[" * 100 + b"]" * 100, 400, "request.malformed"),
        (b'{"workflow": "w', 400, "request.malformed"),
        (b'{"workflow": "\xff"}', 400, "request.malformed"),
        (b'{"workflow": "w", "input": 99999999999999999999}', 400, "request.invalid"),
    ],
)
async def test_json_that_two_readers_would_read_differently_is_refused(
    body: bytes, status: int, code: str
) -> None:
    headers = {b"content-type": b"application/json"}
    request = Request("POST", f"{API}/workflow/execute", "", headers, body)
    reply = await control().gateway.handle(request)
    assert reply.status == status
    assert code.encode() in reply.body


@pytest.mark.parametrize("media_type", ["text/plain", "", "multipart/form-data"])
async def test_a_page_of_another_site_can_post_nothing(media_type: str) -> None:
    script = Scripted()
    asked = await control(script).ask(
        f"{API}/executions/x/cancel", "POST", json={}, headers={"content-type": media_type}
    )
    assert (asked.status, asked.error["code"]) == (415, "request.unsupported_media_type")
    assert script.asked == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnknownExecution("x"), 404, "execution.unknown"),
        (Forbidden(LOCAL, "editor"), 403, "request.forbidden"),
        (Conflict("deployment", "d"), 409, "record.conflict"),
        (StoreUnavailable("away"), 503, "store.unavailable"),
        (StoreFull("full"), 507, "store.full"),
        (RuntimeError("hunter2"), 500, "internal"),
    ],
)
async def test_what_a_service_refuses_is_told_in_the_one_shape(
    error: Exception, status: int, code: str
) -> None:
    scene = control(Scripted(raises=error))
    for target in ("/executions/x", "/executions/x/events"):
        asked = await scene.ask(API + target)
        assert (asked.status, asked.error["code"]) == (status, code)
        assert asked.error.keys() == {"code", "message", "details"}
        assert "hunter2" not in asked.reply.body.decode()


async def test_a_service_that_is_not_there_is_named() -> None:
    asked = await control(services=lambda _: Services()).ask(f"{API}/triggers")
    assert (asked.status, asked.error["code"]) == (501, "service.absent")
    assert asked.error["details"] == {"service": "runtime"}


@pytest.mark.parametrize(
    ("method", "target", "status", "allow"),
    [
        ("GET", "/nothing", 404, None),
        ("GET", "/executions/x/cancel", 405, "OPTIONS, POST"),
        ("PATCH", "/executions/x", 405, "GET, HEAD, OPTIONS"),
        ("OPTIONS", "/workflow/deployments", 204, "GET, HEAD, OPTIONS, POST"),
    ],
)
async def test_routes_that_are_none_are_refused(
    method: str, target: str, status: int, allow: str | None
) -> None:
    asked = await control().ask(API + target, method, json={})
    assert (asked.status, asked.headers.get("allow")) == (status, allow)


async def test_a_path_s_parameter_may_hold_a_slash() -> None:
    script = Scripted()
    await control(script).ask(f"{API}/executions/a%2Fb%20c")
    assert script.asked[0][2] == "a/b c"


@pytest.mark.parametrize("verb", ["cancel", "signals", "decide"])
async def test_a_verb_s_body_goes_to_the_service_as_it_came(verb: str) -> None:
    script, body = Scripted(), {"any": [1, {"x": None}]}
    await control(script).ask(f"{API}/executions/x/{verb}", "POST", json=body)
    assert script.asked == [("change", LOCAL, "x", verb, body)]


async def test_an_order_has_all_that_was_asked() -> None:
    script = Scripted(status="completed")
    body = {"workflow": "w", "input": {"a": 1}, "mode": "durable", "wait": "5s"}
    headers = {"idempotency-key": "k1", "x-request-id": "r1"}
    asked = await control(script).ask(
        f"{API}/workflow/execute", "POST", json=body, headers=headers
    )
    assert (asked.status, asked.json["output"]) == (200, 1)
    (_, _, order) = script.asked[0]
    trace = dict(order.trace)
    assert trace.keys() == {"traceparent", "x-request-id"}
    assert order == Order(
        workflow="w",
        input={"a": 1},
        mode="durable",
        wait_ms=5_000,
        key="k1",
        trace=order.trace,
    )


async def test_what_goes_on_is_answered_with_a_link() -> None:
    body: JsonObject = {"definition": {"name": "w"}, "wait": "0s"}
    script = Scripted()
    asked = await control(script).ask(f"{API}/workflow/execute", "POST", json=body)
    assert (asked.status, asked.headers["location"]) == (202, f"{API}/executions/x")
    assert script.asked[0][2].is_unawaited


async def test_a_deployed_text_is_kept_byte_by_byte() -> None:
    script = Scripted()
    body = {"name": "w", "workflow_definition": DOCUMENT, "triggers": [{"type": "webhook"}]}
    asked = await control(script).ask(f"{API}/workflow/deployments", "POST", json=body)
    assert (asked.status, asked.json["deployment_id"]) == (201, "d")
    wanted = Wanted("w", DOCUMENT, triggers=[{"type": "webhook"}])
    assert script.asked == [("deploy", LOCAL, wanted)]


async def test_a_new_version_keeps_its_deployment_s_name() -> None:
    script = Scripted()
    body: JsonObject = {"workflow_definition": {"name": "w", "steps": []}}
    target = f"{API}/workflow/deployments/d"
    body |= {"expected_version": "v0", "activate": False}
    await control(script).ask(target, "PUT", json=body)
    text = '{\n  "name": "w",\n  "steps": []\n}\n'
    wanted = Wanted("w", text, (), "", "v0", False)
    assert [one[0] for one in script.asked] == ["get", "deploy"]
    assert (script.asked[1][2].triggers, script.asked[1][2].expected) == ([], "v0")
    assert script.asked[1][2].definition == wanted.definition


async def test_a_document_that_indented_would_be_too_long_is_kept_in_one_line() -> None:
    """Indentation makes 270 kB of 32 kB, and the limit is 256 KiB."""
    script = Scripted()
    steps: list[Any] = [{"id": "a", "type": "set", "value": [[[[1] * 2_000]] * 8]}]
    document: JsonObject = {"name": "w", "steps": steps}
    body: JsonObject = {"name": "w", "workflow_definition": document}
    await control(script).ask(f"{API}/workflow/deployments", "POST", json=body)
    text = json.dumps(document, separators=(",", ":"))
    assert script.asked == [("deploy", LOCAL, Wanted("w", f"{text}\n", []))]


async def test_validate_only_deploys_nothing() -> None:
    script = Scripted()
    hook: JsonObject = {"type": "webhook", "path": "/w", "secret": "s"}
    body: JsonObject = {"name": "w", "workflow_definition": DOCUMENT, "triggers": [hook]}
    body |= {"expected_version": "v0", "description": "d", "activate": False}
    target = f"{API}/workflow/deployments?validate_only=true"
    asked = await control(script).ask(target, "POST", json=body)
    assert asked.json["valid"] is True
    wanted = Wanted("w", DOCUMENT, [hook], "d", "v0", False)
    assert script.asked == [("validate", LOCAL, wanted)]


async def test_validate_only_deploys_no_new_version_either() -> None:
    script = Scripted()
    body: JsonObject = {"workflow_definition": DOCUMENT, "expected_version": "v0"}
    target = f"{API}/workflow/deployments/d?validate_only=true"
    asked = await control(script).ask(target, "PUT", json=body)
    assert (asked.status, asked.json["valid"]) == (200, True)
    assert [one[0] for one in script.asked] == ["get", "validate"]
    assert script.asked[1][2:] == (Wanted("w", DOCUMENT, [], expected="v0"),)


@pytest.mark.parametrize(
    ("method", "path", "query", "said"),
    [
        ("PUT", "/d", "validate_onyl=true", "did you mean 'validate_only'?"),
        ("POST", "", "validate_only=true&validate_only=false", "it is given twice"),
        ("POST", "/d/rollback", "validate_only=true", "there is no such parameter"),
        ("DELETE", "/d", "dry_run=1", "there is no such parameter"),
    ],
)
async def test_what_changes_something_is_not_done_with_a_parameter_that_it_does_not_know(
    method: str, path: str, query: str, said: str
) -> None:
    script = Scripted()
    target = f"{API}/workflow/deployments{path}?{query}"
    name = query.partition("=")[0]
    asked = await control(script).ask(target, method, json={})
    assert (asked.status, asked.json["error"]["code"]) == (400, "request.invalid")
    assert said in asked.json["error"]["message"]
    (violation,) = asked.json["error"]["details"]["violations"]
    assert (violation["in"], violation["path"]) == ("query", f"/{name}")
    assert script.asked == []


GETS = [one.template for one in OPERATIONS if one.method == "GET"]


@pytest.mark.parametrize("template", GETS)
async def test_no_question_is_answered_with_a_parameter_that_nobody_knows(
    template: str,
) -> None:
    script = Scripted()
    target = re.sub(r"\{\w+\}", "x", template)
    asked = await control(script).ask(f"{target}?nonsense=1")
    assert (asked.status, asked.json["error"]["code"]) == (400, "request.invalid")
    (violation,) = asked.json["error"]["details"]["violations"]
    assert (violation["in"], violation["path"]) == ("query", "/nonsense")
    assert script.asked == []


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            "/audit?since=yesterday",
            "since: there is no such parameter; did you mean 'since",
        ),
        (
            "/audit?status=foo",
            "status: there is no such parameter; there are 'action', 'before', 'limit', "
            "'outcome', 'since_ms', 'subject', 'until_ms', 'who'",
        ),
        ("/triggers?limit=1", "limit: there is no such parameter; there are none"),
        ("/audit?limit=1&limit=2", "limit: it is given twice"),
        ("/executions?page=1&page=2", "page: it is given twice"),
        ("/executions/e?wait=1s&wait=2s", "wait: it is given twice"),
    ],
)
async def test_a_refusal_of_a_parameter_names_the_right_ones(
    target: str, said: str
) -> None:
    asked = await control().ask(f"{API}{target}")
    assert (asked.status, asked.json["error"]["code"]) == (400, "request.invalid")
    assert asked.json["error"]["message"].startswith(said)


async def test_probes_and_pages_do_not_mind_what_is_added() -> None:
    here = control()
    for path in ("/metrics", "/health", "/health/live", "/docs", "/openapi.json"):
        assert (await here.ask(f"{path}?nonsense=1")).status == 200
    for path in ("/metrics", "/health"):
        assert (await here.ask(f"{API}{path}?nonsense=1")).status == 200


async def test_a_delete_needs_no_content_type_unless_it_has_a_body() -> None:
    script, target = Scripted(), f"{API}/workflow/deployments/d"
    plain = await control(script).ask(target, "DELETE")
    assert plain.status == 200
    form = {"content-type": "text/plain"}
    other = await control(script).ask(target, "DELETE", json={}, headers=form)
    assert (other.status, other.error["code"]) == (415, "request.unsupported_media_type")
    assert script.asked == [("undeploy", LOCAL, "d")]


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/plain"}])
async def test_a_post_without_a_body_says_that_it_is_json(headers: dict[str, str]) -> None:
    script, target = Scripted(), f"{API}/workflow/deployments/d/rollback"
    asked = await control(script).ask(target, "POST", headers=headers)
    assert (asked.status, script.asked) == (415, [])


@pytest.mark.parametrize(
    ("target", "body", "version"),
    [("activate", {"version": "v2"}, "v2"), ("rollback", {}, None)],
)
async def test_versions_are_switched(
    target: str, body: JsonObject, version: str | None
) -> None:
    script = Scripted()
    await control(script).ask(f"{API}/workflow/deployments/d/{target}", "POST", json=body)
    assert script.asked == [("activate", LOCAL, "d", version)]


async def test_a_webhook_goes_to_its_trigger_as_it_came_in_the_trace_of_its_request() -> (
    None
):
    script = Scripted()
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    ids = {b"x-request-id": b"r1", b"traceparent": parent.encode()}
    headers = {b"content-type": b"text/csv", b"webhook-id": b"m1", **ids}
    request = Request("POST", "/webhooks/shop/orders", "a=1", headers, b"\xff,1")
    reply = await control(script).gateway.handle(request)
    assert (reply.status, reply.body) == (202, b'{"status":"accepted","execution_id":"x"}')
    ((verb, delivery),) = script.asked
    trace = delivery.headers.pop("traceparent")
    told = {"content-type": "text/csv", "webhook-id": "m1", "x-request-id": "r1"}
    assert verb == "deliver"
    assert delivery == Delivery("shop/orders", "POST", "a=1", told, b"\xff,1")
    assert trace.startswith(f"00-{'a' * 32}-")
    assert trace != parent
    refused = await control(script).ask("/webhooks/shop/orders")
    assert (refused.status, refused.headers["allow"]) == (405, "OPTIONS, POST")


# -- who asks ------------------------------------------------------------------------


async def test_the_service_hears_who_asks() -> None:
    script = Scripted()
    scene = control(script, authenticates=True)
    await scene.ask(f"{API}/triggers", headers={"authorization": "Bearer viewer"})
    assert script.asked[0][1] is KEYS["Bearer viewer"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
async def test_nobody_unknown_gets_further_than_how_an_execution_ended(
    operation: Any,
) -> None:
    script = Scripted()
    target = operation.template.replace("{", "").replace("}", "")
    for authenticates in (True, False):
        scene = control(script, authenticates=authenticates, is_open=False)
        script.asked.clear()
        asked = await scene.ask(target, operation.method, json={})
        if operation.is_public:
            assert [one[1] for one in script.asked] == [ANYBODY]
            continue
        assert asked.status == (401 if authenticates else 403)
        assert script.asked == []


async def test_a_key_that_counts_for_nothing_is_refused_everywhere() -> None:
    scene = control(authenticates=True)
    headers = {"authorization": "Bearer wrong"}
    asked = await scene.ask(f"{API}/executions/x", headers=headers)
    assert (asked.status, asked.error["code"]) == (401, "request.unauthenticated")
    assert "invalid_token" in asked.headers["www-authenticate"]

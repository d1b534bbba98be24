"""Replies: status, holes, headers and errors of executions, however they ended."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from plait.gateway.failure_status import failure_reply, status_for
from plait.model.failure import Failure
from plait.model.place import Place
from tests.unit.gateway.scenes import HANG, PROFILE, Answer, Seen, error, reply, scene

ALL_WELL = {"user": reply({"id": "7", "vip": True}), "offers": reply([1])}
REFUSED = error("connector.connect", "no connection to users:80: refused")


async def ask(text: str, **script: Answer) -> Seen:
    return await scene(text, script={**ALL_WELL, **script}).ask("/profiles/7")


def with_endpoint(more: str, text: str = PROFILE) -> str:
    return text.replace("partial: true", f"partial: true, {more}")


async def test_a_failed_optional_step_leaves_a_hole_where_that_is_asked_for() -> None:
    seen = await ask(PROFILE, offers=error("connector.http.500"))
    assert (seen.status, seen.json["offers"]) == (200, None)
    assert seen.headers["plait-completed"] == "false"
    assert "offers;start" in seen.headers["server-timing"]


async def test_without_partial_a_failed_optional_step_fails_the_reply() -> None:
    text = PROFILE.replace("partial: true", "partial: false")
    seen = await ask(text, offers=error("connector.http.500"))
    assert (seen.status, seen.error["code"]) == (502, "connector.http.500")
    assert seen.error["details"]["step"] == "offers"
    assert seen.headers["plait-completed"] == "false"


async def test_without_partial_a_whole_reply_is_whole() -> None:
    seen = await ask(PROFILE.replace("partial: true", "partial: false"))
    assert (seen.status, seen.headers["plait-completed"]) == (200, "true")


async def test_a_step_that_answers_by_its_fallback_has_not_failed() -> None:
    text = PROFILE.replace("partial: true", "partial: false").replace(
        "on_error: continue", "fallback: []"
    )
    seen = await ask(text, offers=error("connector.http.500"))
    assert (seen.status, seen.json["offers"]) == (200, [])
    assert "by fallback" in seen.headers["server-timing"]


async def test_a_failed_step_that_is_needed_fails_the_reply() -> None:
    seen = await ask(PROFILE, user=REFUSED)
    assert seen.status == 502
    told = seen.error
    assert told["details"].pop("place")["line"] == 10
    assert told == {
        "code": "connector.connect",
        "message": "no connection to users:80: refused",
        "details": {"step": "user", "attempts": 1},
    }
    assert "user;start" in seen.headers["server-timing"]
    assert seen.headers["plait-execution-id"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("connector.http.404", 502),
        ("connector.unknown_host", 502),
        ("connector.timeout", 504),
        ("resilience.circuit_open", 503),
        ("limit.overload", 503),
        ("limit.steps", 500),
        ("expression.no_such_key", 500),
        ("internal", 500),
        ("shop.empty_cart", 422),
        ("empty", 422),
    ],
)
def test_every_failure_has_its_status(code: str, status: int) -> None:
    failure = error(code).failure
    assert failure is not None
    assert status_for(failure) == status


@pytest.mark.parametrize(
    "code", ["connector.invalid_request", "connector.forbidden_address"]
)
def test_where_an_upstream_s_redirect_leads_is_not_the_caller_s_fault(code: str) -> None:
    assert status_for(Failure(code, "…", sent=False)) == 400
    assert status_for(Failure(code, "the redirect of users: …", sent=True)) == 502


CALLING = """
name: calling
mode: express
endpoint: {{method: GET, path: "/x"}}
input: {{properties: {{a: {{type: string}}}}}}
steps:
  - {{id: first, type: set, value: "${{input.a}}"}}
  - {{id: s, type: http, request: {{url: "{url}", headers: {{X: "{header}"}}}}{more}}}
"""


@pytest.mark.parametrize(
    "code", ["connector.invalid_request", "connector.forbidden_address"]
)
@pytest.mark.parametrize(
    ("header", "more", "status"),
    [
        ("${env.token}", "", 500),
        ("${secrets.token}-${execution.id}", "", 500),
        ("plain", "", 500),
        ("${input.a}", "", 400),
        ("${trigger.path}", "", 400),
        ("${first.response}", "", 400),
        ("plain", ", idempotency_key: '${input.a}'", 400),
    ],
)
async def test_a_caller_is_not_blamed_for_a_request_it_had_no_hand_in(
    code: str, header: str, more: str, status: int
) -> None:
    text = CALLING.format(url="http://h", header=header, more=more)
    refused = replace(error(code), failure=Failure(code, "…", sent=False))
    own = {"token": "x"}
    answering = scene(text, script={"s": refused}, env=own, secrets=own)
    seen = await answering.ask("/x?a=1")
    assert (seen.status, seen.error["code"]) == (status, code)


@pytest.mark.parametrize(("root", "status"), [("env", 500), ("input", 400)])
async def test_what_may_not_stand_in_a_url_is_the_fault_of_whoever_gave_it(
    root: str, status: int
) -> None:
    text = CALLING.format(url=f"http://h/${{{root}.a}}", header="x", more="")
    seen = await scene(text, env={"a": ".."}).ask("/x?a=..")
    assert (seen.status, seen.error["code"]) == (status, "expression.not_for_url")


def test_a_time_out_of_any_kind_is_504() -> None:
    assert status_for(Failure("step.timeout", "…", classes=("timeout",))) == 504


async def test_an_upstream_s_body_and_url_stay_here() -> None:
    details: Any = {"status_code": 404, "url": "http://users/secret-1", "body": "secret-2"}
    failing = error("connector.http.404", "GET http://users/secret-1 …", details=details)
    seen = await ask(PROFILE, user=failing)
    assert seen.error["message"] == "step 'user': the upstream answered 404 Not Found"
    assert seen.error["details"]["status_code"] == 404
    assert "secret" not in seen.reply.body.decode()


def test_a_caller_is_told_what_was_undone() -> None:
    undone: Any = {"outcome": "compensated", "undone": ["order/hold"], "not_undone": []}
    failure = Failure("connector.http.409", "…", {"body": "x", "compensation": undone})
    told = json.loads(failure_reply(failure, 409).body)["error"]
    assert told["details"] == {"compensation": undone}


def test_a_wish_to_wait_is_passed_on_where_it_has_a_meaning() -> None:
    failure = Failure("limit.overload", "…", retry_after_ms=1500)
    assert (b"retry-after", b"2") in failure_reply(failure, 503).headers
    assert all(name != b"retry-after" for name, _ in failure_reply(failure, 502).headers)


def test_a_failure_of_the_workflow_s_own_keeps_its_details() -> None:
    place = Place("/steps/0", 3, 5)
    failure = Failure("shop.empty", "…", {"cart": 1}).at(step="a", attempts=1, place=place)
    assert b'"cart":1' in failure_reply(failure, 422).body


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("status: {connector.connect: 404}", 404),
        ("status: {connect: 403, connector.connect: 404}", 403),
        ("status: {'503': 404, any: 418}", 418),
        ("status: {timeout: 404}", 502),
        ("status: {'${error.code == \"connector.connect\"}': 410}", 410),
        ("status: {'${user.status == \"failed\"}': 411}", 411),
        ("status: {'${offers.status == \"completed\"}': 412}", 502),
        ("status: {'${user.response.id == \"7\"}': 404}", 502),
    ],
)
async def test_the_document_s_word_on_a_failure_comes_first(
    lines: str, status: int
) -> None:
    assert (await ask(with_endpoint(lines), user=REFUSED, offers=HANG)).status == status


@pytest.mark.parametrize(
    ("condition", "given", "status"),
    [
        ("user.status == 'completed'", 201, 422),
        ("user.status == 'completed'", 399, 422),
        ("user.status == 'completed'", 409, 409),
        ("error.code == 'shop.unchanged'", 304, 304),
        ("error == null || user.status == 'completed'", 201, 201),
    ],
)
async def test_a_failure_looks_well_only_by_a_condition_that_speaks_of_it(
    condition: str, given: int, status: int
) -> None:
    text = with_endpoint(f'status: {{"${{{condition}}}": {given}}}').replace(
        "output:",
        "  - {id: no, type: fail, code: shop.unchanged, depends_on: [user]}\noutput:",
    )
    seen = await ask(text)
    assert (seen.status, seen.headers["plait-completed"]) == (status, "false")


async def test_a_condition_may_choose_the_status_of_a_completed_execution() -> None:
    text = with_endpoint("status: {connect: 404, '${user.response.vip}': 201}")
    seen = await ask(text)
    assert (seen.status, seen.json["offers"]) == (201, [1])
    assert (await ask(text, user=reply({"id": "7", "vip": False}))).status == 200


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("error.code == 'SOLD'", 200),
        ("error.details.step == 'user' || user.response.nope", 200),
        ("error == null", 409),
        ("error == null || error.code != 'SOLD'", 409),
    ],
)
async def test_of_a_completed_execution_error_is_null_and_what_needs_one_does_not_hold(
    condition: str, status: int
) -> None:
    seen = await ask(with_endpoint(f'status: {{"${{{condition}}}": 409}}'))
    assert (seen.status, seen.json["offers"]) == (status, [1])


async def test_a_header_that_speaks_of_an_error_is_left_out_where_nothing_failed() -> None:
    lines = (
        'headers: {X-Why: "${error.code}", X-Step: "at ${error.details.step}", '
        'X-Error: "${error}", X-Ok: "${error == null}", X-User: "${user.response.id}"}'
    )
    seen = await ask(with_endpoint(lines))
    told = {
        name: seen.headers.get(f"x-{name}") for name in "why step error ok user".split()
    }
    assert seen.status == 200
    assert {k: v for k, v in told.items() if v is not None} == {"ok": "true", "user": "7"}


async def test_a_status_without_body_has_none() -> None:
    seen = await ask(with_endpoint("status: {'${user.response.vip}': 204}"))
    assert (seen.status, seen.reply.body) == (204, b"")
    assert "content-type" not in seen.headers


async def test_a_condition_that_cannot_be_answered_is_the_document_s_fault() -> None:
    seen = await ask(with_endpoint("status: {'${user.response.nope}': 201}"))
    assert (seen.status, seen.error["code"]) == (500, "expression.no_such_key")


async def test_headers_are_rendered_and_sent() -> None:
    lines = (
        'headers: {X-User: "u-${user.response.id}", Cache-Control: no-store, X-No: null}'
    )
    seen = await ask(with_endpoint(lines))
    assert seen.headers["x-user"] == "u-7"
    assert seen.headers["cache-control"] == "no-store"
    assert "x-no" not in seen.headers


async def test_a_header_that_would_break_the_reply_fails_it() -> None:
    text = with_endpoint('headers: {X-User: "${user.response.id}"}')
    seen = await ask(text, user=reply({"id": "7\r\nSet-Cookie: a"}))
    assert (seen.status, seen.error["code"]) == (500, "reply.invalid_header")


async def test_a_line_end_that_the_caller_put_into_a_header_is_the_caller_s_fault() -> None:
    text = with_endpoint('headers: {X-Note: "${input.note}"}')
    text = text.replace("limit: {type", "note: {type: string}, limit: {type")
    seen = await scene(text, script=ALL_WELL).ask("/profiles/7?note=a%0D%0Ab")
    assert (seen.status, seen.error["code"]) == (400, "reply.invalid_header")


async def test_a_failed_execution_sends_the_headers_that_it_can() -> None:
    known = with_endpoint('headers: {X-Why: "${error.code}"}')
    assert (await ask(known, user=REFUSED)).headers["x-why"] == "connector.connect"
    unknown = with_endpoint('headers: {X-User: "${user.response.id}"}')
    seen = await ask(unknown, user=REFUSED)
    assert seen.error["code"] == "connector.connect"
    assert "x-user" not in seen.headers
    both = with_endpoint('headers: {X-User: "${user.response.id}", X-Why: "${error.code}"}')
    assert (await ask(both, user=REFUSED)).headers["x-why"] == "connector.connect"


async def test_a_content_type_of_its_own_replaces_ours_and_not_the_error_s() -> None:
    text = with_endpoint("headers: {Content-Type: application/hal+json}")
    types = [
        value for name, value in (await ask(text)).reply.headers if name == b"content-type"
    ]
    assert types == [b"application/hal+json"]
    failed = await ask(text, user=REFUSED)
    types = [value for name, value in failed.reply.headers if name == b"content-type"]
    assert types == [b"application/json"]


def with_output(content_type: str, output: str) -> str:
    text = with_endpoint(f'headers: {{Content-Type: "{content_type}"}}')
    return text[: text.index("output:")] + f"output: {output}\n"


@pytest.mark.parametrize(
    ("content_type", "output", "body"),
    [
        ("text/csv", '"id,name\\n7,\\"Ada\\"é\\n"', 'id,name\n7,"Ada"é\n'),
        ("text/csv; charset=utf-8", '"${user.response.id}"', "7"),
        ("${user.response.vip ? 'text/plain' : ''}", "a b", "a b"),
        ("text/csv", "{a: 1}", '{"a":1}'),
        ("application/json", "a b", '"a b"'),
        ("application/problem+json; charset=utf-8", "a b", '"a b"'),
    ],
)
async def test_a_text_is_sent_as_it_is_under_a_type_that_is_not_json(
    content_type: str, output: str, body: str
) -> None:
    seen = await ask(with_output(content_type, output))
    assert (seen.status, seen.reply.body.decode()) == (200, body)


async def test_a_text_that_has_no_bytes_is_an_error() -> None:
    seen = await ask(
        with_output("text/csv", "${user.response.id}"), user=reply({"id": "\ud800"})
    )
    assert (seen.status, seen.error["code"]) == (500, "reply.not_json")


async def test_an_output_that_is_not_json_is_an_error() -> None:
    seen = await ask(PROFILE, user=reply({"id": 2**70}))
    assert (seen.status, seen.error["code"]) == (500, "reply.not_json")


async def test_many_steps_do_not_make_a_header_that_proxies_refuse() -> None:
    steps = "\n".join(
        f"  - {{id: step_with_a_long_name_{n}, type: set, value: 1}}" for n in range(200)
    )
    text = f"name: many\nmode: express\nendpoint: {{path: /profiles/7}}\nsteps:\n{steps}\n"
    timing = (await ask(text)).headers["server-timing"]
    assert len(timing) < 4300
    assert re.search(r'more;desc="\d+ more steps", total;dur=', timing)


async def test_retries_and_nested_steps_are_told_in_the_timing() -> None:
    text = """
name: nested
mode: express
endpoint: {path: /profiles/7}
steps:
  - id: both
    type: parallel
    branches: {left: {steps: [{id: user, type: http, request: {url: "http://u/"},
                               retry: {max_attempts: 2, delay: 1ms}}]}}
"""
    seen = await scene(text, script={"both[left]/user": error("connector.http.503")}).ask(
        "/profiles/7"
    )
    assert seen.error["details"]["attempts"] == 2
    assert "both.left.user;start=" in seen.headers["server-timing"]
    assert 'desc="failed after 2 attempts"' in seen.headers["server-timing"]

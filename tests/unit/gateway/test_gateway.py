"""The gateway without sockets: what a request meets on its way, and what it gets."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from plait.gateway.app import GatewaySettings
from tests.unit.gateway.scenes import ECHO, HANG, PROFILE, error, reply, scene, until

ALL_WELL = {"user": reply({"id": "7"}), "offers": reply([1])}


async def test_a_workflow_answers_with_its_output() -> None:
    seen = await scene(PROFILE, script=ALL_WELL).ask("/profiles/7")
    assert (seen.status, seen.json) == (200, {"user": {"id": "7"}, "offers": [1]})
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["plait-completed"] == "true"
    assert re.fullmatch(r"[0-9a-f]{32}", seen.headers["plait-execution-id"])


async def test_every_step_and_the_total_are_timed() -> None:
    seen = await scene(PROFILE, script=ALL_WELL).ask("/profiles/7")
    entry = r'\w+;start=[\d.]+;dur=[\d.]+;desc="completed"'
    assert re.fullmatch(
        rf"{entry}, {entry}, total;dur=[\d.]+", seen.headers["server-timing"]
    )


async def test_ids_are_told_to_the_caller_and_passed_on_to_every_call() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    here = scene(PROFILE, script=ALL_WELL)
    headers = {"x-request-id": "abc", "traceparent": parent, "tracestate": "a=1"}
    seen = await here.ask("/profiles/7", headers=headers)
    assert seen.headers["x-request-id"] == "abc"
    for call in here.calls.started:
        trace = dict(call.trace)
        assert trace["x-request-id"] == "abc"
        assert trace["traceparent"].split("-")[1] == parent.split("-")[1]
        assert trace["tracestate"] == "a=1"
        assert call.execution_id == seen.headers["plait-execution-id"]


async def test_a_request_that_does_not_fit_starts_nothing() -> None:
    here = scene(PROFILE, script=ALL_WELL)
    seen = await here.ask("/profiles/x?limit=y")
    assert (seen.status, seen.error["code"]) == (400, "request.invalid")
    assert {v["path"] for v in seen.error["details"]["violations"]} == {
        "/user_id",
        "/limit",
    }
    assert seen.headers["plait-completed"] == "false"
    assert seen.headers["x-request-id"]
    assert here.calls.started == []


async def test_unknown_paths_and_methods_have_their_own_replies() -> None:
    here = scene(PROFILE, ECHO)
    assert (await here.ask("/nothing")).error["code"] == "request.not_found"
    seen = await here.ask("/profiles/7", "POST")
    assert (seen.status, seen.error["code"]) == (405, "request.method_not_allowed")
    assert seen.headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await here.ask("/profiles/%ff")).status == 400
    for target in ("/nothing", "/profiles/%ff"):
        seen = await here.ask(target, headers={"x-request-id": "abc"})
        assert seen.headers["x-request-id"] == "abc"


async def test_head_is_answered_by_get_and_options_by_the_methods() -> None:
    here = scene(PROFILE, ECHO, script=ALL_WELL)
    assert (await here.ask("/profiles/7", "HEAD")).status == 200
    seen = await here.ask("/echo", "OPTIONS")
    assert (seen.status, seen.headers["allow"], seen.reply.body) == (
        204,
        "OPTIONS, POST",
        b"",
    )
    assert (await here.ask("*", "OPTIONS")).headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert (await here.ask("/nothing", "OPTIONS")).status == 404


async def test_a_body_of_another_kind_is_refused() -> None:
    seen = await scene(ECHO).ask(
        "/echo", "POST", json={}, headers={"content-type": "text/plain"}
    )
    assert (seen.status, seen.error["code"]) == (415, "request.unsupported_media_type")
    assert "application/json" in seen.headers["accept"]


async def test_a_workflow_without_a_time_of_its_own_gets_the_gateway_s() -> None:
    settings = GatewaySettings(request_timeout_ms=10)
    here = scene(PROFILE, script={"user": HANG, "offers": HANG}, settings=settings)
    seen = await here.ask("/profiles/7")
    assert (seen.status, seen.error["code"]) == (504, "request.timeout")
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert sorted(here.calls.cancelled) == ["offers", "user"]


async def test_a_workflow_with_a_time_of_its_own_keeps_that() -> None:
    settings = GatewaySettings(request_timeout_ms=1)
    text = PROFILE.replace("mode: express", "mode: express\ntimeout: 40ms")
    here = scene(text, script={"user": HANG, "offers": HANG}, settings=settings)
    seen = await here.ask("/profiles/7")
    assert (seen.status, seen.error["code"]) == (504, "execution.timeout")
    assert "user;start=" in seen.headers["server-timing"]


async def test_more_than_may_be_under_way_is_refused_and_room_is_given_back() -> None:
    settings = GatewaySettings(in_flight_max=1)
    here = scene(PROFILE, script={"user": HANG, "offers": HANG}, settings=settings)
    first = asyncio.create_task(here.ask("/profiles/7"))
    await until(lambda: len(here.calls.started) == 2)
    seen = await here.ask("/profiles/8")
    assert (seen.status, seen.error["code"]) == (503, "limit.overload")
    assert seen.headers["retry-after"] == "1"
    first.cancel()
    await asyncio.wait([first])
    here.calls.script = ALL_WELL
    assert (await here.ask("/profiles/7")).status == 200


async def test_a_request_that_is_cancelled_cancels_its_calls() -> None:
    here = scene(PROFILE, script={"user": HANG, "offers": HANG})
    asking = asyncio.create_task(here.ask("/profiles/7"))
    await until(lambda: len(here.calls.started) == 2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert sorted(here.calls.cancelled) == ["offers", "user"]
    assert 'status="499"' in here.gateway.metrics.render().decode()


async def test_what_goes_wrong_inside_is_logged_and_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    here = scene(PROFILE)
    seen = await here.ask("/profiles/7")
    assert (seen.status, seen.error["code"]) == (500, "internal")
    assert seen.error["details"] == {}
    assert "KeyError" not in seen.reply.body.decode()
    assert "KeyError" in caplog.text


async def test_templates_read_how_the_execution_came_to_be() -> None:
    text = ECHO.replace("${input}", "${trigger}")
    seen = await scene(text).ask("/echo?a=1", "POST", headers={"X-A": "b"})
    assert seen.json == {
        "type": "http",
        "method": "POST",
        "path": "/echo",
        "headers": {"x-a": "b"},
    }


CACHED = PROFILE.replace("partial: true", "partial: true, cache: 1h")


async def test_a_complete_reply_is_given_again_to_who_asks_the_same() -> None:
    here = scene(CACHED, script=ALL_WELL)
    first = await here.ask("/profiles/7?limit=1")
    again = await here.ask("/profiles/7?limit=1&utm=x", headers={"x-request-id": "r2"})
    assert first.headers["plait-cache"] == "miss"
    assert again.headers["plait-cache"] == "hit"
    assert again.headers["age"] == "0"
    assert again.headers["cache-control"] == "max-age=3600"
    assert again.headers["x-request-id"] == "r2"
    assert again.json == first.json
    assert again.headers["plait-execution-id"] == first.headers["plait-execution-id"]
    third = await here.ask("/profiles/7?limit=1")
    assert len(third.reply.headers) == len(again.reply.headers)
    assert (await here.ask("/profiles/7?limit=2")).headers["plait-cache"] == "miss"


async def test_only_reads_are_answered_from_memory() -> None:
    here = scene(ECHO.replace("path: /echo", "path: /echo, cache: 1h"))
    for _ in range(2):
        seen = await here.ask("/echo", "POST", json={})
        assert "plait-cache" not in seen.headers


async def test_a_reply_with_a_hole_is_not_given_again() -> None:
    here = scene(CACHED, script={**ALL_WELL, "offers": error("connector.http.500")})
    for _ in range(2):
        seen = await here.ask("/profiles/7")
        assert seen.headers["plait-cache"] == "miss"
        assert "cache-control" not in seen.headers
    assert len(here.calls.started) == 4


async def test_replies_that_depend_on_headers_are_kept_apart() -> None:
    text = CACHED.replace('"${offers.response}"', '"${trigger.headers.who}"')
    here = scene(text, script=ALL_WELL)
    for who in ("a", "b"):
        assert (await here.ask("/profiles/7", headers={"who": who})).json["offers"] == who
    again = await here.ask("/profiles/7", headers={"who": "a", "x-other": "c"})
    assert (again.headers["plait-cache"], again.json["offers"]) == ("hit", "a")
    assert again.headers["cache-control"] == "private, max-age=3600"
    assert again.headers["vary"] == "who"


@pytest.mark.parametrize(
    ("read", "how"),
    [
        ("trigger.type", "hit"),
        ("trigger.path", "hit"),
        ("trigger.method", "hit"),
        ("trigger.headers.who", "hit"),
        ("has(trigger.headers.who)", "hit"),
        ("trigger.headers.?Who.orValue('')", "hit"),
        ("trigger.headers.other", "miss"),
        ("trigger.headers[input.user_id]", None),
        ("'who' in trigger.headers", None),
        ("trigger", None),
    ],
)
async def test_only_what_is_read_of_a_request_tells_kept_replies_apart(
    read: str, how: str | None
) -> None:
    text = CACHED.replace('"${offers.response}"', f'"${{{read}}}"')
    here = scene(text, script=ALL_WELL)
    for other in ("a", "b"):
        headers = {"who": "me", "other": other, "7": "x"}
        seen = await here.ask("/profiles/7", headers=headers)
        assert seen.status == 200
    assert seen.headers.get("plait-cache") == how
    warned = [one.diagnostic.code for one in here.findings]
    assert warned == ([] if how else ["G006"])
    assert (await here.ask("/profiles/7", "HEAD", headers=headers)).status == 200


async def test_a_reply_to_head_is_not_given_to_get_where_the_method_is_read() -> None:
    text = CACHED.replace('"${offers.response}"', '"${trigger.method}"')
    here = scene(text, script=ALL_WELL)
    assert (await here.ask("/profiles/7", "HEAD")).json["offers"] == "HEAD"
    assert (await here.ask("/profiles/7")).json["offers"] == "GET"


async def test_health_tells_alive_from_ready() -> None:
    here = scene(PROFILE)
    for state, ready in (("starting", 503), ("ready", 200), ("draining", 503)):
        if state == "ready":
            here.gateway.begin()
        if state == "draining":
            here.gateway.begin_drain()
        assert (await here.ask("/health")).json["status"] == state
        assert (await here.ask("/health/live")).status == 200
        assert (await here.ask("/health/ready")).status == ready


async def test_health_tells_how_much_is_served_and_what_is_not() -> None:
    here = scene(PROFILE, ECHO, PROFILE)
    told = (await here.ask("/health")).json
    assert (told["endpoints"], told["broken_documents"]) == (2, 1)
    assert here.gateway.refused == ("2.yaml",)


async def test_metrics_count_requests_and_what_nobody_answers() -> None:
    here = scene(PROFILE, script=ALL_WELL)
    await here.ask("/profiles/7")
    await here.ask("/profiles/x")
    await here.ask("/nothing")
    seen = await here.ask("/metrics")
    text = seen.reply.body.decode()
    route = 'method="GET",route="/profiles/{user_id}"'
    assert seen.headers["content-type"].startswith("text/plain; version=")
    assert f'plait_requests_total{{{route},status="200"}} 1.0' in text
    assert f'plait_requests_total{{{route},status="400"}} 1.0' in text
    assert 'plait_requests_total{method="",route="",status="404"} 1.0' in text
    assert f"plait_request_seconds_count{{{route}}} 2.0" in text
    assert "plait_requests_in_flight 0.0" in text


async def test_docs_and_metrics_can_be_left_out() -> None:
    here = scene(settings=GatewaySettings(has_docs=False, has_metrics=False))
    for path in ("/docs", "/openapi.json", "/metrics"):
        assert (await here.ask(path)).status == 404


async def test_closing_lets_go_of_what_calls_hold() -> None:
    here = scene(PROFILE)
    await here.gateway.close()
    assert here.calls.closed


@pytest.mark.parametrize("value", [1.5, [], "text", None, {"deep": [{"a": None}]}])
async def test_any_json_goes_through_as_it_came(value: Any) -> None:
    assert (await scene(ECHO).ask("/echo", "POST", json={"v": value})).json == {"v": value}

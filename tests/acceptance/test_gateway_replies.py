"""The gateway over real sockets: what it answers when its services do as they like."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from plait.testing.upstream import Script, Upstream
from plait.testing.upstream_scripts import (
    after,
    drip,
    endless,
    head,
    raw,
    raw_then_close,
    raw_then_hang,
    raw_then_reset,
    reply,
    reply_bytes,
)
from tests.acceptance.gateways import ROOT, GatewayProcess, ask, request_bytes, serving
from tests.unit.gateway.wires import WAIT_S

LANGUAGE = ROOT / "examples" / "language"
CALL = """
name: call
mode: express
endpoint: {path: "/call", headers: {X-Call: "${upstream.status_code}"}}
steps:
  - id: upstream
    type: http
    request: {url: "http://upstream/x", max_bytes: 10000}
    attempt_timeout: 300ms
output: ${upstream.response}
"""
ECHO = """
name: echo
mode: express
endpoint: {method: POST, path: "/echo/{id}"}
input:
  properties: {id: {type: integer}, tags: {type: array, items: {type: string}}}
steps: [{id: said, type: set, value: "${input}"}]
output: ${said.response}
"""


# One gateway for all: none of these tests changes it, and what one does to it is felt by
# the next.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[Upstream]:
    """A service whose script each test gives."""
    async with Upstream() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> AsyncIterator[GatewayProcess]:
    """A gateway with an endpoint that calls the upstream, and one that calls nobody."""
    folder = tmp_path_factory.mktemp("workflows")
    (folder / "call.yaml").write_text(CALL)
    (folder / "echo.yaml").write_text(ECHO)
    async with serving(folder, upstreams={"upstream": upstream}) as process:
        yield process


async def test_the_profile_of_the_language_page_runs_as_it_stands() -> None:
    both_asked = asyncio.Event()
    user = reply(json={"id": "u-7", "vip": True})
    orders = reply(json={"orders": [{"id": 1}]})
    async with (
        Upstream(after(both_asked, user)) as users,
        Upstream(after(both_asked, orders)) as order_service,
        Upstream(reply(json=["offer"])) as offers,
    ):
        upstreams = {"users": users, "orders": order_service, "offers": offers}
        async with serving(LANGUAGE / "user-profile.yaml", upstreams=upstreams) as gateway:
            asking = asyncio.create_task(gateway.ask("/profiles/a%2Fb"))
            await users.until_requests(1)
            await order_service.until_requests(1)
            both_asked.set()
            answer = await asking
    assert (answer.status, json.loads(answer.body)) == (
        200,
        {"user": {"id": "u-7", "vip": True}, "orders": [{"id": 1}], "offers": ["offer"]},
    )
    assert users.requests[0].target == "/api/users/a%2Fb"
    assert order_service.requests[0].target == "/api/orders?user_id=a%2Fb"
    assert offers.requests[0].target == "/api/u-7"
    assert answer.headers["plait-completed"] == "true"
    assert answer.headers["plait-cache"] == "miss"


async def test_a_profile_with_a_failed_offer_is_partial_and_not_kept() -> None:
    async with (
        Upstream(reply(json={"id": "u-7", "vip": True})) as users,
        Upstream(reply(json={"orders": []})) as orders,
        Upstream(reply(500)) as offers,
    ):
        upstreams = {"users": users, "orders": orders, "offers": offers}
        async with serving(LANGUAGE / "user-profile.yaml", upstreams=upstreams) as gateway:
            answers = [await gateway.ask("/profiles/7") for _ in range(2)]
    for answer in answers:
        assert json.loads(answer.body)["offers"] is None
        assert answer.headers["plait-completed"] == "false"
        assert answer.headers["plait-cache"] == "miss"
    assert len(users.requests) == 2


async def test_a_whole_profile_is_kept_for_its_time() -> None:
    async with (
        Upstream(reply(json={"id": "u-7", "vip": False})) as users,
        Upstream(reply(json={"orders": []})) as orders,
    ):
        upstreams = {"users": users, "orders": orders}
        async with serving(LANGUAGE / "user-profile.yaml", upstreams=upstreams) as gateway:
            first, again = [await gateway.ask("/profiles/7") for _ in range(2)]
    assert (first.headers["plait-cache"], again.headers["plait-cache"]) == ("miss", "hit")
    assert again.body == first.body
    assert again.headers["cache-control"] == "max-age=5"
    assert len(users.requests) == 1


JSON_HEAD = head(headers={"Content-Type": "application/json", "Content-Length": "100"})
NASTY: dict[str, tuple[Script, int, str]] = {
    "wrong status": (reply(503), 502, "connector.http.503"),
    "not found": (reply(404, json={"secret": "x"}), 502, "connector.http.404"),
    "hangs": (raw_then_hang(), 504, "connector.timeout"),
    "hangs after its head": (raw_then_hang(JSON_HEAD), 504, "connector.timeout"),
    "drips": (drip(reply_bytes(json="x" * 200), interval_s=0.05), 504, "connector.timeout"),
    "closes at once": (raw_then_close(), 502, "connector.closed"),
    "promises more than it sends": (
        raw_then_close(JSON_HEAD, b"{"),
        502,
        "connector.closed",
    ),
    "breaks off": (raw_then_reset(JSON_HEAD), 502, "connector.closed"),
    "is not JSON": (
        reply(200, b"<html>", headers={"Content-Type": "application/json"}),
        502,
        "connector.decode",
    ),
    "is too large": (reply(json="x" * 20_000), 502, "connector.too_large"),
    "never ends": (
        endless(head(headers={"Transfer-Encoding": "chunked"}), b"5\r\naaaaa\r\n"),
        502,
        "connector.too_large",
    ),
    "is not HTTP": (raw(b"SSH-2.0-OpenSSH\r\n"), 502, "connector.protocol"),
}


@pytest.mark.parametrize("what", NASTY)
async def test_a_service_that_fails_has_its_own_code_and_the_connection_is_let_go(
    what: str, gateway: GatewayProcess, upstream: Upstream
) -> None:
    script, status, code = NASTY[what]
    upstream.on("/x", script)
    answer = await gateway.ask("/call")
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"]) == (status, code)
    assert error["details"]["step"] == "upstream"
    assert error["details"]["attempts"] == 1
    assert error["details"]["place"]["line"] == 6
    assert b"secret" not in answer.body
    assert answer.headers["plait-completed"] == "false"
    upstream.on("/x", reply(json="well"))
    assert (await gateway.ask("/call")).body == b'"well"'


async def test_an_unknown_host_and_a_refused_connection_have_their_own_codes(
    tmp_path: Path,
) -> None:
    unknown = CALL.replace("upstream/x", "no-such-host.invalid/").replace(
        '"/call"', "/unknown"
    )
    (tmp_path / "unknown.yaml").write_text(unknown.replace("name: call", "name: unknown"))
    (tmp_path / "call.yaml").write_text(CALL)
    async with Upstream() as gone:
        pass
    async with serving(tmp_path, upstreams={"upstream": gone}) as gateway:
        assert (await gateway.ask("/call")).error_code == "connector.connect"
        assert (await gateway.ask("/unknown")).error_code == "connector.unknown_host"


async def test_a_client_that_leaves_ends_the_calls_made_for_it(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    upstream.on("/x", raw_then_hang())
    asked_before = len(upstream.requests)
    async with gateway.client() as client:
        client.send(request_bytes("/call"))
        await upstream.until_requests(asked_before + 1)
        assert upstream.open_count == 1
    async with asyncio.timeout(WAIT_S):
        await upstream.until_open(0)
    upstream.on("/x", reply(json=1))
    assert (await gateway.ask("/call")).status == 200


async def test_ids_travel_from_the_caller_through_the_gateway_to_the_service(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    upstream.on("/x", reply(json=1))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = await gateway.ask("/call", X_Request_Id="r-1", traceparent=parent)
    sent = upstream.requests[-1].headers
    assert answer.headers["x-request-id"] == sent["x-request-id"] == "r-1"
    assert sent["traceparent"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
    assert sent["traceparent"] != parent
    assert answer.headers["x-call"] == "200"


JSON = {"Content_Type": "application/json"}
XML = {"Content_Type": "text/xml"}


@pytest.mark.parametrize(
    ("target", "method", "body", "headers", "status", "code"),
    [
        ("/nothing", "GET", None, {}, 404, "request.not_found"),
        ("/echo/1", "GET", None, {}, 405, "request.method_not_allowed"),
        ("/echo/%ff", "POST", None, {}, 400, "request.malformed"),
        ("/echo/1", "POST", b"{", JSON, 400, "request.malformed"),
        ("/echo/1", "POST", b'{"a":1,"a":2}', JSON, 400, "request.malformed"),
        ("/echo/1", "POST", b"[" * 65 + b"]" * 65, JSON, 400, "request.malformed"),
        ("/echo/x", "POST", {"tags": [1]}, {}, 400, "request.invalid"),
        ("/echo/1", "POST", b"x", XML, 415, "request.unsupported_media_type"),
        ("/echo/1", "POST", b"x" * 1_000_001, {}, 413, "request.too_large"),
        ("/echo/1", "POST", b"{}", {"X": "x" * 33_000}, 431, "request.headers_too_large"),
    ],
)
async def test_a_request_that_cannot_be_answered_gets_its_own_error(
    gateway: GatewayProcess,
    target: str,
    method: str,
    body: Any,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    answer = await gateway.ask(target, method, body=body, **headers)
    assert (answer.status, answer.error_code) == (status, code)


async def test_path_query_and_body_meet_in_the_input(gateway: GatewayProcess) -> None:
    answer = await gateway.ask("/echo/7?tags=a&tags=b+c", "POST", body={"more": {"x": 1}})
    told = {"id": 7, "tags": ["a", "b c"], "more": {"x": 1}}
    assert (answer.status, json.loads(answer.body)) == (200, told)


async def test_a_body_of_one_megabyte_is_taken(gateway: GatewayProcess) -> None:
    body = b'{"more":"' + b"x" * 999_989 + b'"}'
    assert len(body) == 1_000_000
    answer = await gateway.ask(
        "/echo/7", "POST", body=body, Content_Type="application/json"
    )
    assert answer.status == 200


async def test_head_options_and_the_gateway_s_own_pages_answer(
    gateway: GatewayProcess,
) -> None:
    async with gateway.client() as client:
        assert (await ask(client, "/health", "HEAD")).status == 200
        options = await ask(client, "/echo/1", "OPTIONS")
        assert (options.status, options.headers["allow"]) == (204, "OPTIONS, POST")
        assert json.loads((await ask(client, "/health")).body)["status"] == "ready"
        for path in ("/health/live", "/health/ready", "/openapi.json", "/docs", "/metrics"):
            assert (await ask(client, path)).status == 200
        openapi = json.loads((await ask(client, "/openapi.json")).body)
    assert openapi["paths"].keys() == {"/call", "/echo/{id}"}


async def test_rubbish_harms_nobody(gateway: GatewayProcess) -> None:
    rubbish = (
        b"\0" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01",
        b"\r\n" * 500,
        b"{}",
    )
    for data in rubbish:
        async with gateway.client() as client:
            client.send(data)
    assert (await gateway.ask("/echo/1", "POST", body={})).status == 200

"""The gateway over real sockets: what it answers when its services do as they like."""

from __future__ import annotations

import asyncio
import json
import re
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
    attempt_timeout: 1s
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


PAIR = """
name: pair
mode: express
endpoint: {method: GET, path: /pair}
steps:
  - id: g
    type: sequence
    retry: {max_attempts: 2, delay: 1ms, on: [any]}
    steps:
      - {id: a, type: http, on_error: continue, request: {url: "http://upstream/a"}}
      - {id: b, type: http, request: {url: "http://upstream/b"}}
output: ${g.response.a + g.response.b}
"""


def in_turn(*scripts: Script) -> Script:
    """Answer each request by the next of these."""
    left = iter(scripts)
    return lambda peer, request: next(left)(peer, request)


async def test_a_reply_is_whole_when_what_failed_was_made_again(tmp_path: Path) -> None:
    (tmp_path / "pair.yaml").write_text(PAIR)
    upstream = Upstream()
    for name in ("a", "b"):
        upstream.on(f"/{name}", in_turn(reply(503), reply(json=name)))
    async with upstream, serving(tmp_path, upstreams={"upstream": upstream}) as gateway:
        answer = await gateway.ask("/pair")
    assert (answer.status, json.loads(answer.body)) == (200, "ab")
    assert answer.headers["plait-completed"] == "true"


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
    platform = ("/api/v1/", "/webhooks/")
    own = {path for path in openapi["paths"] if not path.startswith(platform)}
    assert own == {"/call", "/echo/{id}"}


EXTRA = {
    "slow": """
name: slow
mode: express
endpoint: {path: /slow}
steps: [{id: upstream, type: http, request: {url: "http://upstream/slow"}}]
output: ${upstream.response}
""",
    "find": """
name: find
mode: express
endpoint: {path: /find}
input: {properties: {what: {type: [string, "null"]}}}
steps: [{id: upstream, type: http, request: {url: "http://upstream/find/${input.what}"}}]
output: ${upstream.response}
""",
    "fetch": """
name: fetch
mode: express
endpoint: {path: /fetch}
input: {properties: {host: {type: string}}}
steps: [{id: upstream, type: http, request: {url: "http://${input.host}/"}}]
output: ${upstream.response}
""",
    "mine": """
name: mine
mode: express
endpoint: {path: /mine, cache: 1h}
steps: [{id: upstream, type: http, request: {url: "http://upstream/mine"}}]
output: ${trigger.headers.authorization} ${upstream.response}
""",
    "all": """
name: all
mode: express
endpoint: {path: /all, cache: 1h}
steps: [{id: upstream, type: http, request: {url: "http://upstream/all"}}]
output: ${trigger.headers.size() > 0} ${upstream.response}
""",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def extra(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> AsyncIterator[GatewayProcess]:
    """A gateway with a short time for each request, and endpoints that keep replies."""
    folder = tmp_path_factory.mktemp("extra")
    for name, text in EXTRA.items():
        (folder / f"{name}.yaml").write_text(text)
    settings = {"PLAIT_GATEWAY_REQUEST_TIMEOUT": "2s"}
    async with serving(
        folder, upstreams={"upstream": upstream}, settings=settings
    ) as process:
        yield process


async def test_the_gateway_s_own_time_limit_has_the_headers_of_every_reply(
    extra: GatewayProcess, upstream: Upstream
) -> None:
    upstream.on("/slow", raw_then_hang())
    answer = await extra.ask("/slow", X_Request_Id="r-2")
    assert (answer.status, answer.error_code) == (504, "request.timeout")
    assert answer.headers["x-request-id"] == "r-2"
    assert answer.headers["plait-completed"] == "false"
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["plait-execution-id"])
    timing = re.fullmatch(r"total;dur=([\d.]+)", answer.headers["server-timing"])
    assert timing is not None
    assert 1_500 < float(timing[1]) < 100_000
    asked = upstream.requests[-1].headers["traceparent"].split("-")[1]
    assert asked == answer.headers["plait-execution-id"]


async def test_a_workflow_that_is_run_over_the_api_has_the_same_time(
    extra: GatewayProcess, upstream: Upstream
) -> None:
    upstream.on("/slow", raw_then_hang())
    body = {"workflow": "slow"}
    answer = await extra.ask("/api/v1/workflow/execute", "POST", body=body)
    assert (answer.status, answer.error_code) == (504, "request.timeout")


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/find?what=..", "expression.not_for_url"),
        ("/find?what=%2e", "expression.not_for_url"),
        ("/fetch?host=127.0.0.1:1", "connector.forbidden_address"),
        ("/fetch?host=169.254.169.254", "connector.forbidden_address"),
        ("/fetch?host=a%20b", None),
    ],
)
async def test_what_the_caller_s_input_makes_impossible_is_the_caller_s_mistake(
    extra: GatewayProcess, upstream: Upstream, target: str, code: str | None
) -> None:
    asked_before = len(upstream.requests)
    answer = await extra.ask(target)
    assert answer.status == 400
    assert code is None or answer.error_code == code
    assert len(upstream.requests) == asked_before


async def test_a_kept_reply_that_depends_on_a_header_is_for_its_own_callers(
    extra: GatewayProcess, upstream: Upstream
) -> None:
    upstream.on("/mine", reply(json="x"))
    told = []
    for who, more in (("a", "1"), ("a", "2"), ("b", "3"), ("a", "4")):
        answer = await extra.ask("/mine", Authorization=who, X_Other=more)
        told.append((answer.body, answer.headers["plait-cache"]))
        assert answer.headers["cache-control"] == "private, max-age=3600"
        assert answer.headers["vary"] == "authorization"
    assert told == [
        (b'"a x"', "miss"), (b'"a x"', "hit"), (b'"b x"', "miss"), (b'"a x"', "hit"),
    ]  # fmt: skip


async def test_a_reply_that_depends_on_all_headers_is_not_kept_and_that_is_told(
    extra: GatewayProcess, upstream: Upstream
) -> None:
    upstream.on("/all", reply(json="x"))
    for _ in range(2):
        answer = await extra.ask("/all")
        assert answer.status == 200
        assert not {"plait-cache", "cache-control"} & answer.headers.keys()
    assert any("all.yaml" in line and "G006" in line for line in extra.lines)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\nHost: x\r\nX-Request-Id: ID\r\n\r\n", 404),
        (b"PUT /slow HTTP/1.1\r\nHost: x\r\nX-Request-Id: ID\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nX-Request-Id: ID\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: ID\r\nA: b\r\nC\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nX-Request-Id: ID\r\n"
            b"Content-Length: 9999999\r\n\r\n",
            413,
        ),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: ID\r\nA: "
            + b"a" * 40_000
            + b"\r\n\r\n",
            431,
        ),
    ],
)
async def test_replies_of_no_endpoint_have_the_request_s_id_or_one_of_their_own(
    extra: GatewayProcess, data: bytes, status: int
) -> None:
    for given, expected in ((b"r-3", "r-3"), (b"not one", "[0-9a-f]{32}")):
        async with extra.client() as client:
            answer = await client.ask(data.replace(b"ID", given))
            assert answer.status == status
            assert re.fullmatch(expected, answer.headers["x-request-id"])


async def test_a_refusal_has_not_the_id_of_the_request_before(
    extra: GatewayProcess,
) -> None:
    async with extra.client() as client:
        assert (await ask(client, "/health", X_Request_Id="r-4")).status == 200
        answer = await client.ask(b"rubbish\r\n\r\n")
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    ("target", "content_type", "status"),
    [
        ("/nothing", "application/json", 404),
        ("/call", "application/json", 405),
        ("/echo/%ff", "application/json", 400),
        ("/echo/1", "text/xml", 415),
        ("/echo/1", "application/json", 100),
    ],
)
async def test_a_body_that_is_held_back_is_asked_for_only_if_it_is_wanted(
    gateway: GatewayProcess, target: str, content_type: str, status: int
) -> None:
    waiting = request_bytes(
        target, "POST", Content_Type=content_type, Content_Length="2", Expect="100-continue"
    )
    async with gateway.client() as client:
        answer = await client.ask(waiting)
        assert answer.status == status
        if status == 100:
            assert (await client.ask(b"{}")).status == 200
        else:
            assert answer.headers["x-request-id"]
            assert await client.closed() == b""


async def test_a_client_that_says_that_it_sends_no_more_gets_its_reply(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    upstream.on("/x", reply(json="well"))
    async with gateway.client() as client:
        client.send(request_bytes("/call"))
        client.writer.write_eof()
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b'"well"', "close")
        assert await client.closed() == b""


async def test_an_integer_that_would_lose_digits_is_refused_with_its_place(
    gateway: GatewayProcess,
) -> None:
    body = b'{"more": [1, 123456789012345678901]}'
    answer = await gateway.ask(
        "/echo/1", "POST", body=body, Content_Type="application/json"
    )
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"]) == (400, "request.invalid")
    assert [found["path"] for found in error["details"]["violations"]] == ["/more/1"]


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

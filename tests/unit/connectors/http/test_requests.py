"""Requests as they arrive at the other side, byte for byte where it matters."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from plait.connectors.http import HttpCalls, HttpSettings
from plait.testing.calls_suite import call_to, outcome_of, reply_of
from plait.testing.upstream import Request, Upstream
from plait.testing.upstream_scripts import reply
from tests.unit.connectors.scenes import http, on_both_loops


async def sent(*, call: dict[str, Any] | None = None, **request: Any) -> Request:
    """Return what a request looks like on arrival."""
    async with Upstream(reply()) as upstream:
        calls = HttpCalls(HttpSettings(resolve={"users": upstream.address}))
        request = {"url": "http://users/p", **request}
        reply_of(await outcome_of(calls, call_to(request, **(call or {}))))
        await calls.close()
        return upstream.requests[0]


@on_both_loops
async def test_a_bare_request_is_get_with_few_headers() -> None:
    assert (await sent()).head == (
        b"GET /p HTTP/1.1\r\n"
        b"Host: users\r\n"
        b"User-Agent: plait/0.1\r\n"
        b"Accept: application/json, */*;q=0.5\r\n"
        b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "post"]
)
@on_both_loops
async def test_every_method_is_sent(method: str) -> None:
    request = await sent(method=method)
    assert request.method == method.upper()
    wants_length = request.method in {"POST", "PUT", "PATCH", "QUERY"}
    assert request.headers.get("content-length") == ("0" if wants_length else None)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://users", "/"),
        ("http://users/", "/"),
        ("http://users?a=1", "/?a=1"),
        ("http://users/a/b?c=d&e=%20f", "/a/b?c=d&e=%20f"),
        ("http://users/a#fragment", "/a"),
        ("http://users#fragment", "/"),
        ("http://users/ü/日本", "/%C3%BC/%E6%97%A5%E6%9C%AC"),
        ('http://users/{a}|"b"<c>^`', "/%7Ba%7D%7C%22b%22%3Cc%3E%5E%60"),
        ("http://users/../a/./b", "/../a/./b"),
        ("HTTP://USERS:80/a", "/a"),
        ("http://users./a", "/a"),
    ],
)
@on_both_loops
async def test_the_target_is_what_the_url_says(url: str, target: str) -> None:
    request = await sent(url=url)
    assert (request.target, request.headers["host"]) == (target, "users")


@pytest.mark.parametrize(
    ("params", "target"),
    [
        ({}, "/p"),
        ({"a": "1"}, "/p?a=1"),
        (
            {"a": 1, "b": 1.5, "c": True, "d": None, "e": False},
            "/p?a=1&b=1.5&c=true&e=false",
        ),
        ({"a": [1, None, "x"]}, "/p?a=1&a=x"),
        ({"a b": "c&d=e#f+g/ü"}, "/p?a%20b=c%26d%3De%23f%2Bg%2F%C3%BC"),
        ({"a": "x\r\ny"}, "/p?a=x%0D%0Ay"),
    ],
)
@on_both_loops
async def test_params_are_encoded(params: dict[str, Any], target: str) -> None:
    assert (await sent(params=params)).target == target


@on_both_loops
async def test_params_join_a_query_that_is_there() -> None:
    assert (await sent(url="http://users/p?a=1", params={"b": 2})).target == "/p?a=1&b=2"


@on_both_loops
async def test_the_port_is_in_the_host_header_unless_it_is_the_schemes_own() -> None:
    async with http(reply()) as scene:
        await scene.reply()
        assert scene.upstream.requests[0].headers["host"] == scene.upstream.address


@on_both_loops
async def test_own_headers_take_the_place_of_defaults() -> None:
    headers = {
        "host": "other.example",
        "USER-AGENT": "mine",
        "Accept": "text/csv",
        "Accept-Encoding": "identity",
        "X-Number": 7,
        "X-List": ["a", None, True],
        "X-None": None,
        "X-Text": "  grüße\t",
    }
    head = (await sent(headers=headers)).head
    assert (
        head
        == (
            "GET /p HTTP/1.1\r\nhost: other.example\r\nUSER-AGENT: mine\r\n"
            "Accept: text/csv\r\n"
            "Accept-Encoding: identity\r\nX-Number: 7\r\nX-List: a\r\nX-List: true\r\n"
            "X-Text: grüße\r\n\r\n"
        ).encode()
    )


@on_both_loops
async def test_key_and_trace_are_sent_unless_the_request_has_its_own() -> None:
    call = {
        "idempotency_key": "key-1",
        "trace": (("traceparent", "00-1-2-01"), ("x-request-id", "r1")),
    }
    request = await sent(method="POST", call=call)
    assert request.headers["idempotency-key"] == "key-1"
    assert request.headers["traceparent"] == "00-1-2-01"
    own = {"Idempotency-Key": "mine", "Traceparent": "own", "X-Request-Id": "r2"}
    request = await sent(method="POST", headers=own, call=call)
    assert request.head.count(b"key-1") == request.head.count(b"r1") == 0
    assert request.headers["traceparent"] == "own"


JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("request_", "body", "content_type"),
    [
        ({"body": {"a": [1, None, "ü"]}}, '{"a":[1,null,"ü"]}', JSON),
        ({"body": []}, "[]", JSON),
        ({"body": "text"}, '"text"', JSON),
        ({"body": 0}, "0", JSON),
        ({"body": False}, "false", JSON),
        ({"body": None}, "", None),
        ({"body": "<a/>", "headers": {"Content-Type": "text/xml"}}, "<a/>", "text/xml"),
        ({"body": [1], "headers": {"Content-Type": "a/b+json"}}, "[1]", "a/b+json"),
        (
            {"form": {"a": "x y", "b": [1, 2], "c": None}},
            "a=x%20y&b=1&b=2",
            "application/x-www-form-urlencoded",
        ),
        ({"text": "grüße"}, "grüße", PLAIN),
        ({"text": ""}, "", PLAIN),
        ({"text": "a,b", "headers": {"content-type": "text/csv"}}, "a,b", "text/csv"),
        (
            {"binary": base64.b64encode(b"bytes").decode()},
            "bytes",
            "application/octet-stream",
        ),
    ],
)
@on_both_loops
async def test_bodies_are_encoded_as_their_field_says(
    request_: dict[str, Any], body: str, content_type: str | None
) -> None:
    request = await sent(method="POST", **request_)
    assert request.body == body.encode()
    assert request.headers.get("content-type") == content_type
    assert request.headers["content-length"] == str(len(body.encode()))
    assert request.head.lower().count(b"content-type") == (content_type is not None)


MULTIPART = {
    "note": "grüße",
    "count": 3,
    "data": {"a": 1},
    "content": {"name": "no part, only content"},
    'f"ile': {"filename": 'a\r\n".txt', "content": "text"},
    "bytes": {"filename": "b.bin", "content_base64": base64.b64encode(b"\0\1").decode()},
    "typed": {"content": "a,b", "content_type": "text/csv"},
}
PARTS = [
    b'Content-Disposition: form-data; name="note"\r\n\r\ngr\xc3\xbc\xc3\x9fe',
    b'Content-Disposition: form-data; name="count"\r\n\r\n3',
    b'Content-Disposition: form-data; name="data"\r\n'
    b'Content-Type: application/json\r\n\r\n{"a":1}',
    b'Content-Disposition: form-data; name="content"\r\n'
    b'Content-Type: application/json\r\n\r\n{"name":"no part, only content"}',
    b'Content-Disposition: form-data; name="f%22ile"; filename="a%0D%0A%22.txt"\r\n'
    b"Content-Type: text/plain; charset=utf-8\r\n\r\ntext",
    b'Content-Disposition: form-data; name="bytes"; filename="b.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\0\1",
    b'Content-Disposition: form-data; name="typed"\r\nContent-Type: text/csv\r\n\r\na,b',
]


@on_both_loops
async def test_multipart_parts_are_written_as_browsers_do() -> None:
    request = await sent(method="POST", multipart=MULTIPART)
    kind, _, boundary = request.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    line = b"--" + boundary.encode()
    expected = b"".join(line + b"\r\n" + part + b"\r\n" for part in PARTS)
    assert request.body == expected + line + b"--\r\n"


@on_both_loops
async def test_multipart_may_be_a_list_and_gives_the_same_bytes_again() -> None:
    parts = [{"name": "a", "content": "1"}, {"name": "a", "content": "2"}, {"name": "b"}]
    first, again = [await sent(method="POST", multipart=parts) for _ in range(2)]
    assert first.body == again.body
    assert first.body.count(b'name="a"') == 2
    assert b'name="b"\r\n\r\n\r\n' in first.body

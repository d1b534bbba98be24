"""What a failure says: code, message, details, advice; and what it never says."""

from __future__ import annotations

import socket
import time
from email.utils import formatdate
from typing import Any

import pytest

from plait.connectors.http import HttpCalls, HttpSettings
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.testing.calls_suite import call_to, failure_of, outcome_of
from plait.testing.upstream_scripts import (
    chunked,
    endless,
    head,
    in_turn,
    raw,
    raw_then_close,
    raw_then_hang,
    reply,
)
from tests.unit.connectors.scenes import http, on_both_loops

JSON = {"Content-Type": "application/json"}


@on_both_loops
async def test_an_unexpected_status_says_who_answered_what() -> None:
    script = reply(503, b'{"why": "busy"}', headers={**JSON, "Retry-After": "3"})
    async with http(script) as scene:
        failure = await scene.failure("/users/1?token=s3cret")
        url = scene.upstream.url("/users/1")
        assert failure == Failure(
            code="connector.http.503",
            message=f"GET {url} answered 503 Service Unavailable",
            details={
                "status_code": 503,
                "url": url,
                "body": {"why": "busy"},
                "body_truncated": False,
            },
            advice=Advice.RETRY,
            retry_after_ms=3000,
        )


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, Advice.FIX_REQUEST),
        (404, Advice.FIX_REQUEST),
        (408, Advice.RETRY),
        (425, Advice.RETRY),
        (429, Advice.RETRY),
        (500, Advice.RETRY),
        (501, Advice.REPORT),
        (502, Advice.RETRY),
        (503, Advice.RETRY),
        (504, Advice.RETRY),
        (599, Advice.REPORT),
    ],
)
@on_both_loops
async def test_the_advice_follows_the_status(status: int, advice: Advice) -> None:
    async with http(reply(status)) as scene:
        failure = await scene.failure()
        assert (failure.code, failure.advice) == (f"connector.http.{status}", advice)


@pytest.mark.parametrize(
    ("body", "content_type", "shown", "is_truncated"),
    [
        (b"x" * 2048, "text/plain", "x" * 2048, False),
        (b"x" * 2049, "text/plain", "x" * 2048, True),
        (b'["' + b"x" * 3000 + b'"]', "application/json", '["' + "x" * 2046, True),
        (b"<not json>", "application/json", "<not json>", False),
        (b"\xff\xfe", "text/plain", "\ufffd\ufffd", False),
        (b"\x89PNG", "image/png", "iVBORw==", False),
        (b"\x89PNG" * 1000, "image/png", None, True),
        (b"", "text/plain", None, False),
    ],
)
@on_both_loops
async def test_the_body_of_an_error_is_shown_up_to_2_kb(
    body: bytes, content_type: str, shown: Any, is_truncated: bool
) -> None:
    async with http(reply(500, body, headers={"Content-Type": content_type})) as scene:
        details = (await scene.failure()).details or {}
        assert (details["body"], details["body_truncated"]) == (shown, is_truncated)


UNREADABLE = {
    "endless": endless(head(500), b"x" * 1000),
    "huge": endless(head(500, {"Content-Length": "10000000000"}), b"x" * 1000),
    "not gzip": reply(500, b"x" * 5000, headers={"Content-Encoding": "gzip"}),
    "stacked": raw(head(500, {"Content-Encoding": "a, b", "Content-Length": "2"}) + b"xx"),
}


@pytest.mark.parametrize("name", list(UNREADABLE))
@on_both_loops
async def test_an_error_with_an_unreadable_body_is_still_that_error(name: str) -> None:
    async with http(UNREADABLE[name]) as scene:
        failure = await scene.failure()
        assert failure.code == "connector.http.500"
        assert (failure.details or {})["body_truncated"] is True


@pytest.mark.parametrize("name", ["endless", "huge"])
@on_both_loops
async def test_an_error_that_does_not_end_is_not_waited_for(name: str) -> None:
    async with http(UNREADABLE[name]) as scene:
        await scene.failure()
        await scene.upstream.until_open(0)


@on_both_loops
async def test_retry_after_may_be_a_date() -> None:
    soon = formatdate(time.time() + 60, usegmt=True)
    past = formatdate(time.time() - 60, usegmt=True)
    far = "Thu, 99999999999999999999 Jan 2026 00:00:00 GMT"
    zone = "Thu, 01 Jan 2026 00:00:00 +99999999999999999999999"
    said = (soon, past, "soon", "-1", far, zone)
    scripts = [reply(429, headers={"Retry-After": value}) for value in said]
    async with http(in_turn(*scripts)) as scene:
        waits = [(await scene.failure()).retry_after_ms for _ in said]
        assert waits[0] is not None
        assert 55_000 < waits[0] <= 60_000
        assert waits[1:] == [0, None, None, None, None]


@on_both_loops
async def test_an_unknown_host_comes_with_the_option_that_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere(*asked: Any, **more: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    calls = HttpCalls()
    url = "http://users.invalid/x"
    failure = failure_of(await outcome_of(calls, call_to({"url": url})))
    assert (failure.code, failure.classes) == ("connector.unknown_host", ("connect",))
    assert (failure.sent, failure.advice) == (False, Advice.RETRY)
    assert "host 'users.invalid' is unknown" in failure.message
    assert "--resolve users.invalid=127.0.0.1:8080" in failure.message
    await calls.close()


@on_both_loops
async def test_a_refused_connection_says_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        calls = HttpCalls(HttpSettings(resolve={"users": f"127.0.0.1:{port}"}))
        failure = failure_of(await outcome_of(calls, call_to({"url": "http://users/x"})))
        assert (failure.code, failure.classes) == ("connector.connect", ("connect",))
        assert failure.message == "no connection to users:80: connection refused"
        assert (failure.sent, failure.advice) == (False, Advice.RETRY)
        await calls.close()


SECRET_REQUEST: dict[str, Any] = {
    "method": "PUT",
    "params": {"token": "s3cret"},
    "headers": {"Authorization": "s3cret", "X-Key": "s3cret"},
    "body": {"password": "s3cret"},
}
FAULTS = {
    "status": reply(500),
    "closed": raw_then_close(),
    "garbage": raw(b"nonsense\r\n\r\n"),
    "too large": reply(200, b"x" * 200),
    "not json": reply(200, b"<", headers=JSON),
    "not gzip": reply(200, b"<", headers={"Content-Encoding": "gzip"}),
    "extra": raw(head(200, {"Transfer-Encoding": "chunked"}) + chunked(b"a") + b"x"),
    "timeout": raw_then_hang(),
    "redirect": reply(302, headers={"Location": "http://10.0.0.1/?s3cret"}),
    "bad redirect": reply(302, headers={"Location": "http://s3cret@h/"}),
}


@pytest.mark.parametrize("name", list(FAULTS))
@on_both_loops
async def test_nothing_that_was_sent_is_in_a_failure(name: str) -> None:
    async with http(FAULTS[name]) as scene:
        limits = {"max_bytes": 100, "redirects": 1, "call": {"timeout_ms": 60}}
        failure = await scene.failure("/p?q=s3cret", **SECRET_REQUEST, **limits)
        assert scene.upstream.requests[0].head.count(b"s3cret") == 4
        assert "s3cret" not in repr(failure)


BAD_REQUESTS: dict[str, dict[str, Any]] = {
    "header value": {"headers": {"X-A": "a\r\nX-B: s3cret"}},
    "bare line feed": {"headers": {"X-A": "a\ns3cret"}},
    "bare carriage return": {"headers": {"X-A": "a\rs3cret"}},
    "nul": {"headers": {"X-A": "a\0s3cret"}},
    "nul in a list": {"headers": {"X-A": ["a", "b\0s3cret"]}},
    "header name": {"headers": {"X-A: s3cret\r\nX-B": "1"}},
    "header name empty": {"headers": {"": "s3cret"}},
    "header name space": {"headers": {"X A": "s3cret"}},
    "header mapping": {"headers": {"X-A": {"b": "s3cret"}}},
    "header nested": {"headers": {"X-A": [["s3cret"]]}},
    "no mapping": {"headers": "s3cret"},
    "surrogate": {"headers": {"X-A": "\ud800s3cret"}},
    "two hosts": {"headers": {"Host": ["a", "s3cret"]}},
    "two hosts, spelled": {"headers": {"Host": "a", "host": "s3cret"}},
    "connection": {"headers": {"Connection": "s3cret"}},
    "length": {"headers": {"content-length": "5"}},
    "transfer": {"headers": {"Transfer-Encoding": "s3cret"}},
    "upgrade": {"headers": {"UPGRADE": "s3cret"}},
    "te": {"headers": {"TE": "trailers"}},
    "expect": {"headers": {"Expect": "100-continue"}},
    "method": {"method": "CONNECT"},
    "method injected": {"method": "GET /s3cret HTTP/1.1\r\n"},
    "method number": {"method": 7},
    "method list": {"method": ["s3cret"]},
    "params list": {"params": ["s3cret"]},
    "params nested": {"params": {"a": {"s3cret": 1}}},
    "params surrogate": {"params": {"a": "\ud800s3cret"}},
    "two bodies": {"method": "POST", "body": {}, "text": "s3cret"},
    "body of head": {"method": "HEAD", "text": "s3cret"},
    "form list": {"method": "POST", "form": ["s3cret"]},
    "text mapping": {"method": "POST", "text": {"s3cret": 1}},
    "text surrogate": {"method": "POST", "text": "\ud800s3cret"},
    "body surrogate": {"method": "POST", "body": {"a": "\ud800s3cret"}},
    "binary": {"method": "POST", "binary": "s3cret!"},
    "multipart text": {"method": "POST", "multipart": "s3cret"},
    "multipart unnamed": {"method": "POST", "multipart": [{"content": "s3cret"}]},
    "multipart base64": {"multipart": {"a": {"content_base64": "s3cret!"}}},
    "multipart type": {"multipart": {"a": {"content": "", "content_type": "a\r\ns3cret"}}},
    "multipart and type": {"multipart": {"a": 1}, "headers": {"Content-Type": "a/b"}},
    "mapping as text": {"body": {"s3cret": 1}, "headers": {"Content-Type": "text/xml"}},
    "expect nonsense": {"expect": "ok"},
    "expect empty": {"expect": []},
    "decode nonsense": {"decode": "s3cret"},
    "redirects": {"redirects": 4},
    "redirects text": {"redirects": "s3cret"},
    "max_bytes": {"max_bytes": -1},
    "tls": {"tls": "s3cret"},
    "tls verify": {"tls": {"verify": "s3cret"}},
    "tls file": {"tls": {"ca_file": 7}},
    "unknown key": {"s3cret": 1},
}


@pytest.mark.parametrize("name", list(BAD_REQUESTS))
@on_both_loops
async def test_a_bad_request_is_refused_before_anything_is_sent(name: str) -> None:
    async with http(reply(json=1)) as scene:
        failure = await scene.failure(**BAD_REQUESTS[name])
        assert (failure.code, failure.sent) == ("connector.invalid_request", False)
        assert failure.advice is Advice.FIX_REQUEST
        assert "s3cret" not in repr(failure)
        assert scene.upstream.connection_count == 0


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/a\nb", "/a\0b", "/a\\b", "/\x85"])
@on_both_loops
async def test_a_path_that_could_split_the_request_is_refused(path: str) -> None:
    async with http(reply(json=1)) as scene:
        assert (await scene.failure(path)).code == "connector.invalid_request"
        await scene.reply("/warm")
        assert (await scene.failure(path)).code == "connector.invalid_request"
        assert len(scene.upstream.requests) == 1


@on_both_loops
async def test_keys_and_trace_headers_are_checked_too() -> None:
    async with http(reply(json=1)) as scene:
        for call in ({"idempotency_key": "a\r\nb"}, {"trace": (("traceparent", "a\nb"),)}):
            failure = await scene.failure(method="POST", call=call)
            assert failure.code == "connector.invalid_request"
        assert scene.upstream.connection_count == 0


@on_both_loops
async def test_a_fault_inside_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with http(reply(json=1)) as scene:
        pools = scene.calls._pools

        def fail(*args: Any, **more: Any) -> None:
            raise KeyError("s3cret")

        monkeypatch.setattr(pools, "open", fail)
        failure = await scene.failure()
        assert (failure.code, failure.sent) == ("connector.failed", False)
        assert failure.message == "the http connector failed inside (KeyError)"


@on_both_loops
async def test_a_fault_while_connecting_is_a_failure_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with http(reply(json=1), connection_count_max=1) as scene:

        async def fail(*args: Any, **more: Any) -> None:
            raise KeyError("s3cret")

        with monkeypatch.context() as patch:
            patch.setattr(scene.calls._egress, "route", fail)
            assert (await scene.failure()).code == "connector.failed"
        assert (await scene.reply()).response == 1

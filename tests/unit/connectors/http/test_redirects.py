"""Redirects: off unless asked for, capped, checked again, and told no secrets."""

from __future__ import annotations

from typing import Any

import pytest

from plait.model.errors import Advice
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import reply, reply_bytes
from tests.unit.connectors.scenes import Scene, http, on_both_loops


async def show(peer: Peer, request: Request) -> None:
    """Answer with what came."""
    seen = {"method": request.method, "target": request.target}
    body = request.body.decode()
    await peer.send(reply_bytes(json={**seen, "body": body, **request.headers}))


def to(location: str, status: int = 302) -> Any:
    return reply(status, b"elsewhere", headers={"Location": location})


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@on_both_loops
async def test_redirects_are_failures_unless_asked_for(status: int) -> None:
    async with http(to("/there", status)) as scene:
        assert (await scene.failure()).code == f"connector.http.{status}"
        assert len(scene.upstream.requests) == 1


@pytest.mark.parametrize("location", ["/b?c=1", "b?c=1", "//{host}/b?c=1", "{url}/b?c=1#d"])
@on_both_loops
async def test_locations_of_every_form_are_followed(location: str) -> None:
    async with http(show) as scene:
        url, host = scene.upstream.url(""), scene.upstream.address
        scene.upstream.on("/a", to(location.format(url=url, host=host)))
        got = await scene.reply("/a", redirects=1)
        assert isinstance(got.response, dict)
        assert got.response["target"] == "/b?c=1"
        assert scene.upstream.connection_count == 1


@pytest.mark.parametrize(
    ("method", "status", "then", "has_body"),
    [
        ("POST", 301, "GET", False),
        ("POST", 302, "GET", False),
        ("POST", 303, "GET", False),
        ("POST", 307, "POST", True),
        ("POST", 308, "POST", True),
        ("PUT", 302, "PUT", True),
        ("PUT", 303, "GET", False),
        ("DELETE", 301, "DELETE", True),
    ],
)
@on_both_loops
async def test_method_and_body_follow_the_status(
    method: str, status: int, then: str, has_body: bool
) -> None:
    async with http(show) as scene:
        scene.upstream.on("/a", to("/b", status))
        got = await scene.reply("/a", method=method, body={"x": 1}, redirects=1)
        assert isinstance(got.response, dict)
        assert got.response["method"] == then
        assert got.response["body"] == ('{"x":1}' if has_body else "")
        assert ("content-type" in got.response) is has_body


@on_both_loops
async def test_head_stays_head_after_303() -> None:
    async with http(reply()) as scene:
        scene.upstream.on("/a", to("/b", 303))
        scene.upstream.on("/a", reply(303, headers={"Location": "/b"}))
        await scene.fetch("/a", method="HEAD", redirects=1)
        assert [r.method for r in scene.upstream.requests] == ["HEAD", "HEAD"]


@on_both_loops
async def test_three_redirects_are_followed_and_not_a_fourth() -> None:
    async with http(show) as scene:
        for number in range(4):
            scene.upstream.on(f"/{number}", to(f"/{number + 1}"))
        assert (await scene.reply("/1", redirects=3)).facts["status_code"] == 200
        failure = await scene.failure("/0", redirects=3)
        assert failure.code == "connector.http.302"
        assert len(scene.upstream.requests) == 8


@on_both_loops
async def test_a_loop_ends_at_the_cap() -> None:
    async with http(to("/")) as scene:
        assert (await scene.failure(redirects=3)).code == "connector.http.302"
        assert len(scene.upstream.requests) == 4


@on_both_loops
async def test_the_deadline_covers_all_hops() -> None:
    async def hop(peer: Peer, request: Request) -> None:
        if request.target == "/":
            await to("/hang")(peer, request)
        else:
            await peer.gone()

    async with http(hop) as scene:
        failure = await scene.failure(redirects=3, call={"timeout_ms": 60})
        assert failure.code == "connector.timeout"
        await scene.upstream.until_open(0)


SECRETS = {
    "Authorization": "Bearer s3cret",
    "Proxy-Authorization": "s3cret",
    "Cookie": "s=s3cret",
    "X-Api-Key": "s3cret",
    "Host": "s3cret.example",
    "Accept-Language": "de",
}


async def follow_elsewhere(scene: Scene, other: Upstream, **more: Any) -> dict[str, Any]:
    scene.upstream.on("/a", to(other.url("/b"), 307))
    call = {"idempotency_key": "key-1", "trace": (("traceparent", "s3cret"),)}
    request = {"method": "DELETE", "headers": SECRETS, "redirects": 1}
    got = await scene.reply("/a", call=call, **{**request, **more})
    assert isinstance(got.response, dict)
    return got.response


@on_both_loops
async def test_another_origin_gets_only_harmless_headers() -> None:
    async with http(allow=("127.0.0.1",)) as scene, Upstream(show) as other:
        seen = await follow_elsewhere(scene, other)
        assert "s3cret" not in str(seen)
        assert (seen["accept-language"], seen["idempotency-key"]) == ("de", "key-1")
        assert seen["host"] == other.address


@on_both_loops
async def test_what_looks_like_a_line_end_in_a_value_is_none_after_a_redirect() -> None:
    odd = "a\u2028accept: s3cret"
    async with http(show, allow=("127.0.0.1",)) as scene, Upstream(show) as other:
        scene.upstream.on("/here", to("/b"))
        headers = {"X-Odd": odd, "X-Next": "1"}
        here = await scene.reply("/here", headers=headers, redirects=1)
        assert isinstance(here.response, dict)
        sent = odd.encode().decode("latin-1")
        assert (here.response["x-odd"], here.response["x-next"]) == (sent, "1")
        seen = await follow_elsewhere(scene, other, headers=headers)
        assert "s3cret" not in str(seen)


@pytest.mark.parametrize("status", [307, 308])
@on_both_loops
async def test_a_body_is_not_taken_to_another_origin(status: int) -> None:
    async with http(allow=("127.0.0.1",)) as scene, Upstream(show) as other:
        scene.upstream.on("/a", to(other.url("/b"), status))
        request = {"method": "POST", "body": {"password": "s3cret"}, "redirects": 1}
        failure = await scene.failure("/a", **request)
        assert failure.code == "connector.invalid_request"
        assert "to another origin" in failure.message
        assert other.connection_count == 0


@on_both_loops
async def test_the_same_origin_gets_all_headers_again() -> None:
    async with http(show) as scene:
        scene.upstream.on("/a", to("/b"))
        got = await scene.reply("/a", headers=SECRETS, redirects=1)
        assert isinstance(got.response, dict)
        assert got.response["authorization"] == "Bearer s3cret"
        assert got.response["host"] == "s3cret.example"


@on_both_loops
async def test_a_redirect_to_another_private_origin_is_refused() -> None:
    async with http() as scene, Upstream(show) as other:
        scene.upstream.on("/a", to(other.url("/b")))
        failure = await scene.failure("/a", redirects=1)
        assert (failure.code, failure.sent) == ("connector.forbidden_address", True)
        assert failure.message.startswith("the redirect of 127.0.0.1: host ")
        assert failure.advice is Advice.REPORT
        assert other.connection_count == 0


@pytest.mark.parametrize(
    "location",
    [
        "ftp://h/x",
        "http://user@h/",
        "http://",
        "http://[::1",
        "/a b",
        "/\\evil",
        "http:///x",
    ],
)
@on_both_loops
async def test_a_location_that_is_no_url_is_refused(location: str) -> None:
    async with http(to(location)) as scene:
        failure = await scene.failure(redirects=1)
        assert (failure.code, failure.sent) == ("connector.invalid_request", True)
        assert failure.message.startswith("the redirect of 127.0.0.1: ")


@on_both_loops
async def test_a_redirect_without_location_is_a_failure() -> None:
    async with http(reply(302)) as scene:
        assert (await scene.failure(redirects=3)).code == "connector.http.302"

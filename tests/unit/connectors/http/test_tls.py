"""TLS: verified by default, by name, and with clear reasons when it fails."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from plait.connectors.egress import Egress
from plait.connectors.http import HttpCalls, HttpSettings
from plait.model.failure import Failure
from plait.ports.calls import Outcome
from plait.testing.calls_suite import call_to, failure_of, outcome_of, reply_of
from plait.testing.upstream import Peer, Request, Script, Upstream
from plait.testing.upstream_scripts import reply
from tests.unit.connectors.scenes import http, on_both_loops


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@asynccontextmanager
async def secure(
    context: ssl.SSLContext, script: Script | None = None
) -> AsyncIterator[Any]:
    """Yield a function that calls `https://api.example/` on a server of ours."""
    async with Upstream(script or reply(json=1), tls=context) as upstream:
        resolve = {"api.example": upstream.address}
        calls = HttpCalls(HttpSettings(resolve=resolve, allow=("127.0.0.1",)))

        async def fetch(**request: Any) -> Outcome:
            request = {"url": "https://api.example/", **request}
            return await outcome_of(calls, call_to(request))

        fetch.upstream = upstream  # type: ignore[attr-defined]
        fetch.calls = calls  # type: ignore[attr-defined]
        try:
            yield fetch
        finally:
            await calls.close()


async def failure_with(fetch: Any, **tls: Any) -> Failure:
    failure = failure_of(await fetch(tls=tls))
    assert (failure.code, failure.classes) == ("connector.tls", ("connect",))
    assert not failure.sent
    return failure


@on_both_loops
async def test_a_certificate_of_a_known_authority_is_accepted(
    authority: trustme.CA, ca_file: str
) -> None:
    async with secure(server_context(authority, "api.example")) as fetch:
        for _ in range(3):
            assert reply_of(await fetch(tls={"ca_file": ca_file})).response == 1
        assert fetch.upstream.connection_count == 1
        assert fetch.upstream.requests[0].headers["host"] == "api.example"


@on_both_loops
async def test_http_1_1_is_agreed_on(authority: trustme.CA, ca_file: str) -> None:
    agreed: list[str | None] = []

    async def script(peer: Peer, request: Request) -> None:
        agreed.append(peer.protocol)
        await reply(json=1)(peer, request)

    async with secure(server_context(authority, "api.example"), script) as fetch:
        await fetch(tls={"ca_file": ca_file})
        assert agreed == ["http/1.1"]


@on_both_loops
async def test_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    async with secure(server_context(authority, "api.example")) as fetch:
        failure = await failure_with(fetch)
        assert "certificate is refused" in failure.message
        assert fetch.upstream.requests == []


@on_both_loops
async def test_a_certificate_for_another_name_is_refused(
    authority: trustme.CA, ca_file: str
) -> None:
    async with secure(server_context(authority, "other.example")) as fetch:
        failure = await failure_with(fetch, ca_file=ca_file)
        assert "certificate is refused" in failure.message


@on_both_loops
async def test_the_name_to_verify_can_be_given(authority: trustme.CA, ca_file: str) -> None:
    async with secure(server_context(authority, "other.example")) as fetch:
        tls = {"ca_file": ca_file, "server_name": "other.example"}
        assert reply_of(await fetch(tls=tls)).response == 1


@pytest.mark.parametrize("name", ["", ".x", "a..b", "a b", "x" * 64, "\u3002"])
@on_both_loops
async def test_a_name_to_verify_that_is_none_is_refused_before_anything_is_sent(
    name: str,
) -> None:
    async with http(reply(json=1)) as scene:
        url = scene.upstream.url().replace("http://", "https://")
        failure = await scene.failure(url=url, tls={"server_name": name})
        assert (failure.code, failure.sent) == ("connector.invalid_request", False)
        assert "`tls.server_name`" in failure.message
        assert scene.upstream.connection_count == 0


@on_both_loops
async def test_verification_can_be_switched_off_and_nothing_is_shared_with_that(
    authority: trustme.CA,
) -> None:
    async with secure(server_context(authority, "other.example")) as fetch:
        assert reply_of(await fetch(tls={"verify": False})).response == 1
        await failure_with(fetch)


@on_both_loops
async def test_a_server_that_breaks_off_the_handshake_is_refused() -> None:
    async def break_off(peer: Peer) -> None:
        peer.reset()

    async with http(greeting=break_off) as scene:
        url = scene.upstream.url().replace("http://", "https://")
        assert (await scene.failure(url=url)).code == "connector.tls"


@on_both_loops
async def test_a_server_that_speaks_plain_text_is_refused() -> None:
    async def plain(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.gone()

    async with http(greeting=plain) as scene:
        url = scene.upstream.url().replace("http://", "https://")
        failure = await scene.failure(url=url)
        assert (failure.code, "version" in failure.message) == ("connector.tls", True)


@on_both_loops
async def test_a_redirect_elsewhere_does_not_take_the_tls_options_along(
    authority: trustme.CA,
) -> None:
    context = server_context(authority, "api.example")
    async with Upstream(reply(json=1), tls=context) as other:
        elsewhere = reply(302, headers={"Location": other.url("/b")})
        async with secure(context, elsewhere) as fetch:
            tls = {"verify": False, "server_name": "api.example"}
            failure = failure_of(await fetch(tls=tls, redirects=1))
            assert failure.code == "connector.tls"
            assert other.requests == []


@on_both_loops
async def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def say_nothing(peer: Peer) -> None:
        await peer.gone()

    server = secure(server_context(authority, "api.example"))
    async with Upstream(greeting=say_nothing) as silent, server as fetch:

        async def both(*host: Any, **trust: Any) -> Any:
            return (("127.0.0.1", silent.port), ("127.0.0.1", fetch.upstream.port))

        monkeypatch.setattr(Egress, "route", both)
        request = {"url": "https://api.example/", "tls": {"ca_file": ca_file}}
        call = call_to(request, timeout_ms=2_000)
        assert reply_of(await outcome_of(fetch.calls, call)).response == 1
        assert silent.connection_count == 1


@on_both_loops
async def test_a_missing_authority_file_is_an_invalid_request(
    authority: trustme.CA,
) -> None:
    async with secure(server_context(authority, "api.example")) as fetch:
        failure = failure_of(await fetch(tls={"ca_file": "nowhere.pem"}))
        assert (failure.code, failure.sent) == ("connector.invalid_request", False)


@on_both_loops
async def test_large_bodies_go_both_ways(authority: trustme.CA, ca_file: str) -> None:
    async def echo(peer: Peer, request: Request) -> None:
        fields = {"Content-Type": "application/json"}
        await reply(200, request.body, headers=fields)(peer, request)

    async with secure(server_context(authority, "api.example"), echo) as fetch:
        body = ["x" * 2_000_000]
        got = reply_of(await fetch(method="PUT", body=body, tls={"ca_file": ca_file}))
        assert got.response == body

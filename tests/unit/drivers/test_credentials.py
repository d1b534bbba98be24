"""Calls with credentials: what each type shows, to whom, and what becomes of the reply."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from plait.assembly import compose
from plait.assembly.settings import EgressSection, Settings
from plait.assembly.sources import Configured
from plait.compile import CompileErrors
from plait.drivers.inline import InlineDriver, Result, Start
from plait.kernel import Kernel
from plait.model.caller import Caller
from plait.security.vault import KeyRing, StoredVault, certificates
from plait.stores.memory.records import MemoryRecords
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import reply
from tests.unit.drivers.policies import plan_of

ADMIN = Caller("ann", "default", "admin")
SECRET = "s3cr3t-0f-th3-sh0p"
REFUSED = ("credential.forbidden", "connector.invalid_request", "expression.not_for_url")


class Bench:
    """A vault, and workflows whose calls use it."""

    def __init__(self, driver: InlineDriver, own: StoredVault) -> None:
        self._driver = driver
        self.vault = own
        self._count = 0

    async def keep(self, type_: str, host: str, **fields: str) -> None:
        wanted = {"name": "shop", "type": type_, "hosts": [host], "fields": fields}
        await self.vault.add(ADMIN, wanted)

    async def run(self, text: str, tenant: str = "default", **given: Any) -> Result:
        self._count += 1
        start = Start(f"e{self._count}", given, tenant=tenant)
        return await self._driver.run(Kernel(plan_of(text)), start)


@asynccontextmanager
async def bench(**settings: Any) -> AsyncIterator[Bench]:
    own = Settings(egress=EgressSection(allow_private=True), **settings)
    ring = KeyRing({"k": os.urandom(32)})
    kept = StoredVault(MemoryRecords(), ring, lambda: 1_000)
    calls = compose.calls(own, credentials=kept)
    try:
        yield Bench(compose.driver(Configured(own, {}), calls), kept)
    finally:
        await calls.close()


def step(url: str, more: str = "", request: str = "") -> str:
    return (
        "name: w\nmode: express\nsteps:\n"
        f"  - {{id: get, type: http, credential: shop, {more}"
        f'request: {{url: "{url}", {request}}}}}\n'
    )


def failed(result: Result) -> tuple[str, str]:
    assert result.failure is not None
    return result.failure.code, result.failure.message


async def echo(peer: Peer, request: Request) -> None:
    """Answer with everything that came."""
    told = {"target": request.target, "headers": request.headers}
    body = json.dumps(told).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    await peer.send(head.encode() + b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    ("type_", "fields", "header", "shown"),
    [
        ("bearer", {"token": SECRET}, "authorization", f"Bearer {SECRET}"),
        (
            "basic",
            {"username": "ann", "password": SECRET},
            "authorization",
            "Basic YW5uOnMzY3IzdC0wZi10aDMtc2gwcA==",
        ),
        ("api_key", {"name": "X-Key", "value": SECRET}, "x-key", SECRET),
        (
            "api_key",
            {"name": "X-Key", "value": SECRET, "prefix": "Key "},
            "x-key",
            f"Key {SECRET}",
        ),
    ],
)
async def test_a_header_is_sent_and_masked_wherever_it_comes_back(
    type_: str, fields: dict[str, str], header: str, shown: str
) -> None:
    async with Upstream(echo) as upstream, bench() as own:
        await own.keep(type_, upstream.url(""), **fields)
        result = await own.run(step(upstream.url("/x")))
        assert upstream.requests[0].headers[header] == shown
        told = json.dumps([result.output, result.trace.as_json()])
    assert result.status == "completed"
    assert SECRET not in told
    assert shown not in told
    assert "***" in told


async def test_a_query_parameter_is_added_and_stands_in_no_failure() -> None:
    async with Upstream(reply(status=404)) as upstream, bench() as own:
        await own.keep(
            "api_key", upstream.url(""), name="key", value=SECRET, **{"in": "query"}
        )
        result = await own.run(step(upstream.url("/x?a=1"), request="params: {b: 2}"))
        assert upstream.requests[0].target == f"/x?a=1&b=2&key={SECRET}"
    assert failed(result)[0] == "connector.http.404"
    assert SECRET not in repr(result.failure)


async def test_a_header_that_the_step_sets_itself_is_not_overwritten() -> None:
    async with Upstream(reply(json=1)) as upstream, bench() as own:
        await own.keep("bearer", upstream.url(""), token=SECRET)
        text = step(upstream.url("/"), request='headers: {authorization: "mine"}')
        assert failed(await own.run(text))[0] == "credential.unusable"
        assert upstream.requests == []


@pytest.mark.parametrize("type_", ["database", "smtp"])
async def test_what_is_for_no_http_step_is_shown_by_none(type_: str) -> None:
    async with Upstream(reply(json=1)) as upstream, bench() as own:
        await own.keep(type_, upstream.url(""), username="u", password=SECRET)
        assert failed(await own.run(step(upstream.url("/"))))[0] == "credential.unusable"
        assert upstream.requests == []


async def test_an_unknown_name_and_another_tenants_fail_before_anything_is_sent() -> None:
    async with Upstream(reply(json=1)) as upstream, bench() as own:
        assert failed(await own.run(step(upstream.url("/"))))[0] == "credential.unknown"
        await own.keep("bearer", upstream.url(""), token=SECRET)
        await own.run(step(upstream.url("/")))  # it is at hand now
        foreign = await own.run(step(upstream.url("/")), tenant="acme")
        assert failed(foreign)[0] == "credential.unknown"
        assert len(upstream.requests) == 1


async def test_a_template_cannot_take_a_credential_to_another_host() -> None:
    async with Upstream(reply(json=1)) as upstream, Upstream(reply(json=1)) as evil:
        async with bench() as own:
            await own.keep("bearer", upstream.url(""), token=SECRET)
            text = step("http://${input.host}/x")
            for host in (evil.address, f"{upstream.address}@{evil.address}"):
                result = await own.run(text, host=host)
                assert failed(result)[0] in REFUSED
            assert (await own.run(text, host=upstream.address)).status == "completed"
        assert evil.requests == []


async def test_only_the_workflows_that_it_is_for_may_show_it() -> None:
    async with Upstream(reply(json=1)) as upstream, bench() as own:
        wanted: dict[str, object] = {"name": "shop", "type": "bearer"}
        wanted |= {"hosts": [upstream.url("")], "workflows": ["orders"]}
        wanted |= {"fields": {"token": SECRET}}
        await own.vault.add(ADMIN, wanted)
        text = step(upstream.url("/"))
        assert failed(await own.run(text))[0] == "credential.forbidden"
        orders = text.replace("name: w", "name: orders")
        assert (await own.run(orders)).status == "completed"


@pytest.mark.parametrize("where", ["header", "query"])
async def test_a_redirect_to_another_origin_is_shown_nothing(where: str) -> None:
    async with Upstream(echo) as there:
        away = reply(status=302, headers={"Location": there.url("/there")})
        async with Upstream(away) as here, bench() as own:
            await own.keep(
                "api_key", here.url(""), name="X-Key", value=SECRET, **{"in": where}
            )
            await own.run(step(here.url("/"), request="redirects: 2"))
            assert SECRET in here.requests[0].head.decode()
            assert len(there.requests) == 1
            assert SECRET not in there.requests[0].head.decode()


@pytest.mark.parametrize("more", ["", ", name: all, key: \"${'k'}\""])
async def test_what_a_credential_was_answered_is_for_the_workflows_that_may_show_it(
    more: str,
) -> None:
    async with Upstream(reply(json=1)) as upstream, bench() as own:
        wanted: dict[str, object] = {"name": "shop", "type": "bearer"}
        wanted |= {"hosts": [upstream.url("")], "workflows": ["orders"]}
        await own.vault.add(ADMIN, {**wanted, "fields": {"token": SECRET}})
        text = step(upstream.url("/"), f"cache: {{ttl: 1m{more}}}, ")
        allowed = await own.run(text.replace("name: w", "name: orders", 1))
        assert allowed.status == "completed"
        assert failed(await own.run(text))[0] == "credential.forbidden"
        assert len(upstream.requests) == 1


async def test_answers_are_cached_for_each_tenant_apart() -> None:
    async with Upstream(echo) as upstream, bench() as own:
        await own.keep("bearer", upstream.url(""), token=SECRET)
        theirs = Caller("bob", "acme", "admin")
        wanted = {"name": "shop", "type": "bearer", "hosts": [upstream.url("")]}
        await own.vault.add(theirs, {**wanted, "fields": {"token": "t" * 20}})
        text = step(upstream.url("/"), "cache: {ttl: 1m}, ")
        for tenant in ("default", "acme", "default", "acme"):
            await own.run(text, tenant=tenant)
        sent = [one.headers["authorization"] for one in upstream.requests]
    assert sent == [f"Bearer {SECRET}", "Bearer " + "t" * 20]


async def test_a_cancelled_call_is_cancelled_while_it_waits_for_its_credential() -> None:
    async with Upstream(reply(json=1)) as upstream, bench() as own:
        await own.keep("bearer", upstream.url(""), token=SECRET)
        running = asyncio.create_task(own.run(step(upstream.url("/"))))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert upstream.requests == []


# -- OAuth 2 ---------------------------------------------------------------------------


class TokenServer:
    """Gives tokens `t1`, `t2`, …; each counts as long as it says."""

    def __init__(self, expires_in: object = 3_600, status: int = 200) -> None:
        self.expires_in = expires_in
        self.status = status
        self.count = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, peer: Peer, request: Request) -> None:
        self.count += 1
        number = self.count
        await self.may_answer.wait()
        told = {"access_token": f"access-t{number}", "token_type": "bearer"}
        said: Any = {**told, "expires_in": self.expires_in}
        if self.status != 200:
            said = {"error": "invalid_client", "error_description": SECRET}
        await reply(status=self.status, json=said)(peer, request)


@asynccontextmanager
async def oauth(server: TokenServer, script: Any) -> AsyncIterator[tuple[Bench, Any, Any]]:
    async with Upstream(server) as tokens, Upstream(script) as upstream, bench() as own:
        await own.keep(
            "oauth2",
            upstream.url(""),
            token_url=tokens.url("/token"),
            client_id="id/1",
            client_secret=SECRET,
            scope="read write",
        )
        yield own, tokens, upstream


async def test_a_token_is_fetched_once_for_all_who_wait_and_used_until_its_end() -> None:
    server = TokenServer()
    server.may_answer.clear()
    async with oauth(server, echo) as (own, tokens, upstream):
        text = step(upstream.url("/"))
        runs = [asyncio.create_task(own.run(text)) for _ in range(5)]
        await tokens.until_requests(1)
        server.may_answer.set()
        results = await asyncio.gather(*runs)
        results.append(await own.run(text))
        assert [one.status for one in results] == ["completed"] * 6
        assert server.count == 1
        asked = tokens.requests[0]
        assert asked.body == b"grant_type=client_credentials&scope=read%20write"
        assert asked.headers["authorization"].startswith("Basic ")
        shown = {one.headers["authorization"] for one in upstream.requests}
        assert shown == {"Bearer access-t1"}
        assert all("access-t1" not in json.dumps(one.output) for one in results)


async def test_a_token_of_a_removed_credential_is_not_shown_for_the_next_of_its_name() -> (
    None
):
    async with oauth(TokenServer(), echo) as (own, tokens, upstream):
        assert (await own.run(step(upstream.url("/")))).status == "completed"
        await own.vault.remove(ADMIN, "shop")
        async with Upstream(echo) as other:
            url = tokens.url("/token")
            fields = {"token_url": url, "client_id": "bob", "client_secret": "b" * 20}
            await own.keep("oauth2", other.url(""), **fields)
            assert (await own.run(step(other.url("/")))).status == "completed"
            (shown,) = [one.headers["authorization"] for one in other.requests]
        assert shown == "Bearer access-t2"
        assert len({one.headers["authorization"] for one in tokens.requests}) == 2


async def test_a_token_near_its_end_is_not_shown_any_more() -> None:
    async with oauth(TokenServer(expires_in=0.000_001), echo) as (own, _, upstream):
        for _ in range(2):
            await own.run(step(upstream.url("/")))
        shown = [one.headers["authorization"] for one in upstream.requests]
        assert shown == ["Bearer access-t1", "Bearer access-t2"]


async def test_a_token_that_was_taken_back_is_replaced_and_the_call_repeated() -> None:
    async def refuses_first(peer: Peer, request: Request) -> None:
        is_old = request.headers["authorization"] == "Bearer access-t1"
        first = is_old and len(upstream.requests) > 1
        await reply(status=401 if first else 200, json=1)(peer, request)

    async with oauth(TokenServer(), refuses_first) as (own, _, upstream):
        text = step(upstream.url("/"))
        results = [await own.run(text) for _ in range(2)]
        assert [one.status for one in results] == ["completed"] * 2
        shown = [one.headers["authorization"][-2:] for one in upstream.requests]
        assert shown == ["t1", "t1", "t2"]


async def test_a_401_to_a_new_token_is_the_answer_and_nothing_is_asked_for_ever() -> None:
    async with oauth(TokenServer(), reply(status=401)) as (own, tokens, upstream):
        for _ in range(2):
            result = await own.run(step(upstream.url("/")))
            assert failed(result)[0] == "connector.http.401"
        assert len(upstream.requests) == 2
        assert len(tokens.requests) == 2


async def test_an_unsafe_call_is_not_made_a_second_time() -> None:
    async def refuses_later(peer: Peer, request: Request) -> None:
        status = 401 if len(upstream.requests) > 1 else 200
        await reply(status=status, json=1)(peer, request)

    async with oauth(TokenServer(), refuses_later) as (own, _, upstream):
        text = step(upstream.url("/"), "effect: unsafe, ", "method: POST")
        assert (await own.run(text)).status == "completed"
        assert failed(await own.run(text))[0] == "connector.http.401"
        assert len(upstream.requests) == 2


async def test_a_refusal_of_the_token_server_is_told_without_its_words() -> None:
    async with oauth(TokenServer(status=401), echo) as (own, _, upstream):
        code, message = failed(await own.run(step(upstream.url("/"))))
        assert code == "credential.token"
        assert "invalid_client" in message
        assert SECRET not in message
        assert upstream.requests == []


@pytest.mark.parametrize(
    "said", [{}, [], {"access_token": "a\nb"}, {"access_token": "t", "token_type": "mac"}]
)
async def test_a_reply_that_is_no_bearer_token_is_refused(said: Any) -> None:
    fields = {"client_id": "c", "client_secret": SECRET, "client": "body"}
    server, here = Upstream(reply(json=said)), Upstream(echo)
    async with server as tokens, here as upstream, bench() as own:
        await own.keep("oauth2", upstream.url(""), token_url=tokens.url("/"), **fields)
        result = await own.run(step(upstream.url("/")))
        assert failed(result)[0] == "credential.token"
        assert f"client_secret={SECRET}".encode() in tokens.requests[0].body
        assert upstream.requests == []


async def test_no_token_is_fetched_for_who_may_not_show_it() -> None:
    async with oauth(TokenServer(), echo) as (own, tokens, _):
        async with Upstream(echo) as other:
            result = await own.run(step(other.url("/")))
            assert failed(result)[0] == "credential.forbidden"
        assert tokens.requests == []


async def test_a_token_server_that_is_not_public_needs_the_operators_word() -> None:
    own = Settings()
    kept = StoredVault(MemoryRecords(), KeyRing({"k": os.urandom(32)}), lambda: 1_000)
    calls = compose.calls(own, credentials=kept)
    made = Bench(compose.driver(Configured(own, {}), calls), kept)
    async with Upstream(TokenServer()) as tokens, Upstream(echo) as upstream:
        await made.keep(
            "oauth2",
            upstream.url(""),
            token_url=tokens.url("/"),
            client_id="c",
            client_secret=SECRET,
        )
        code, message = failed(await made.run(step(upstream.url("/"))))
        assert code == "credential.token"
        assert "connector.forbidden_address" in message
        assert tokens.requests == []
    await calls.close()


# -- mTLS ------------------------------------------------------------------------------


def pem_of(issued: trustme.LeafCert) -> dict[str, str]:
    chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
    return {
        "certificate": chain.decode(),
        "key": issued.private_key_pem.bytes().decode(),
    }


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def demanding(authority: trustme.CA) -> ssl.SSLContext:
    """Return the context of a server that takes no client without a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_a_certificate_is_shown_to_a_server_that_demands_one(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    trusted = authority.cert_pem.bytes().decode()
    fields = pem_of(authority.issue_cert("ann@example.com"))
    async with Upstream(reply(json=1), tls=demanding(authority)) as upstream:
        url = f"https://localhost:{upstream.port}"
        async with bench(resolve={"localhost": "127.0.0.1"}) as own:
            await own.keep("mtls", url, **fields, authority=trusted)
            assert (await own.run(step(f"{url}/x"))).output == {"get": 1}
            bare = step(f"{url}/x").replace("credential: shop, ", "")
            assert failed(await own.run(bare))[0] == "connector.tls"
    assert [*tmp_path.iterdir()] == []


async def test_a_certificate_and_anothers_key_are_refused_without_quoting_them(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One that was kept before what is kept was judged.
    monkeypatch.setattr(certificates, "check_certificate", lambda _: None)
    fields = pem_of(authority.issue_cert("ann@example.com"))
    other = pem_of(authority.issue_cert("bob@example.com"))
    async with Upstream(reply(json=1), tls=demanding(authority)) as upstream:
        url = f"https://localhost:{upstream.port}"
        async with bench(resolve={"localhost": "127.0.0.1"}) as own:
            await own.keep("mtls", url, **{**fields, "key": other["key"]})
            code, message = failed(await own.run(step(f"{url}/x")))
    assert code == "connector.invalid_request"
    assert "BEGIN" not in message


def test_a_document_gives_no_certificate_itself() -> None:
    text = step("https://h/x", request="tls: {client: {key: x}}")
    with pytest.raises(CompileErrors):
        plan_of(text)

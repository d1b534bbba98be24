"""Who may ask which route, and how often: a whole gateway, in the process."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from plait.drivers.inline import InlineDriver
from plait.gateway.access import Doors
from plait.gateway.app import Gateway
from plait.gateway.clients import Proxies
from plait.gateway.control.asked import Services
from plait.gateway.cors import Cors
from plait.gateway.deployment import Deployment
from plait.gateway.guards import Guards
from plait.gateway.identity import Identity
from plait.gateway.incoming import HttpLimits
from plait.gateway.layers import Exchange
from plait.gateway.limits import Limit, OwnCounts
from plait.gateway.message import Reply, Request
from plait.gateway.refusal import Refused
from plait.model.rate import Rate
from plait.ports.journal import StoreUnavailable
from plait.security.anonymous import nobody
from plait.security.authenticator import HeaderAuthenticator
from tests.unit.gateway.control_scenes import Scripted
from tests.unit.gateway.scenes import Scene, ScriptedCalls, Seen, plan_of
from tests.unit.gateway.wires import client_of, listening
from tests.unit.resilience.clocks import HandClock
from tests.unit.security.rooms import SecurityRoom

TENANTS = ("default", "acme")
WHO: dict[str, tuple[str | None, dict[str, str]]] = {
    "viewer": ("viewer", {}),
    "operator": ("operator", {}),
    "admin": ("admin", {}),
    "granted": (None, {"open": "operator", "plain": "operator", "closed": "operator"}),
    "stranger": (None, {"other": "admin"}),
}


def document(name: str, *keys: str, method: str = "POST") -> str:
    told = ", ".join((f"method: {method}", f"path: /{name}", *keys))
    return f"""
name: {name}
mode: express
endpoint: {{{told}}}
steps: [{{id: said, type: set, value: 1}}]
output: ${{said.response}}
"""


class Guarded:
    """A gateway whose callers are known by API keys, and one key for each of WHO."""

    def __init__(self, **doors: Any) -> None:
        self.room = SecurityRoom()
        self.clock = HandClock()
        known_by = HeaderAuthenticator(
            self.room.keys, self.room.verifier.verify, nobody, now_ms=self.room.ms
        )
        self.guards = Guards(
            Doors(authenticator=known_by, **{"is_required": True, **doors})
        )
        self.keys: dict[tuple[str, str], str] = {}

    async def scene(self, *texts: str, tenant: str = "default") -> Scene:
        for tenant_name in TENANTS:
            for name, (role, grants) in WHO.items():
                key, _ = await self.room.keys.create(
                    name, tenant=tenant_name, role=role, grants=grants
                )
                self.keys[tenant_name, name] = key
        calls = ScriptedCalls()
        services = Scripted()
        gateway = Gateway(
            InlineDriver(calls),
            guards=self.guards,
            services=Services(services, services, services, services, services),
        )
        made = [
            Deployment(f"{number}.yaml", plan_of(text), tenant=tenant)
            for number, text in enumerate(texts)
        ]
        return Scene(gateway, calls, gateway.deploy(made))

    async def ask(
        self,
        scene: Scene,
        path: str,
        who: str | None,
        tenant: str = "default",
        method: str = "POST",
    ) -> Seen:
        shown = {} if who is None else {"x-api-key": self.keys[tenant, who]}
        body: Any = {} if method == "POST" else None
        return await scene.ask(path, method, json=body, headers=shown)


@pytest.mark.parametrize(
    ("keys", "statuses"),
    [
        # Nobody, viewer, operator, admin, granted, stranger.
        ('auth: "none"', [200, 200, 200, 200, 200, 200]),
        ("auth: required", [401, 403, 200, 200, 200, 403]),
        ("auth: {role: viewer}", [401, 200, 200, 200, 200, 403]),
        ("auth: {role: admin}", [401, 403, 403, 200, 403, 403]),
        ("", [401, 403, 200, 200, 200, 403]),
    ],
)
async def test_an_endpoint_answers_whom_its_document_lets_in(
    keys: str, statuses: list[int]
) -> None:
    guarded = Guarded()
    scene = await guarded.scene(document("closed", *filter(None, [keys])))
    seen = [(await guarded.ask(scene, "/closed", who)).status for who in (None, *WHO)]
    assert seen == statuses


async def test_another_tenants_endpoint_does_not_exist() -> None:
    guarded = Guarded()
    scene = await guarded.scene(document("closed", "auth: required"))
    for who in WHO:
        assert (await guarded.ask(scene, "/closed", who, "acme")).status == 404
    own = Guarded()
    scene = await own.scene(document("closed", "auth: required"), tenant="acme")
    assert (await own.ask(scene, "/~acme/closed", "admin", "acme")).status == 200
    taken = await own.ask(scene, "/~acme/closed", "admin", "default")
    free = await own.ask(scene, "/~acme/opened", "admin", "default")
    assert taken.status == 404
    assert taken.json == json.loads(json.dumps(free.json).replace("opened", "closed"))
    assert taken.headers.keys() == free.headers.keys()


async def test_where_callers_are_not_required_only_documents_that_ask_for_them_do() -> None:
    guarded = Guarded(is_required=False)
    scene = await guarded.scene(document("plain"), document("closed", "auth: required"))
    assert (await guarded.ask(scene, "/plain", None)).status == 200
    assert (await guarded.ask(scene, "/closed", None)).status == 401
    assert (await guarded.ask(scene, "/closed", "operator")).status == 200


async def test_a_store_that_cannot_say_whose_key_it_is_is_no_fault_inside(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(*_: Any) -> None:
        raise StoreUnavailable("the database cannot be reached: is it running?")

    guarded = Guarded()
    scene = await guarded.scene(document("closed", method="GET"))
    monkeypatch.setattr(guarded.room.records, "get", away)
    for path in ("/closed", "/docs", "/openapi.json", "/metrics", "/api/v1/executions"):
        seen = await guarded.ask(scene, path, "admin", method="GET")
        assert (seen.status, seen.error["code"]) == (503, "store.unavailable"), path
        assert seen.headers["retry-after"] == "1"
        assert seen.headers["plait-completed"] == "false"
    assert caplog.records == []


async def test_a_refusal_says_how_to_show_who_asks_and_not_what_was_wrong() -> None:
    guarded = Guarded()
    scene = await guarded.scene(document("closed"))
    seen = await guarded.ask(scene, "/closed", None)
    assert seen.headers["www-authenticate"] == 'Bearer realm="plait"'
    assert seen.error["code"] == "request.unauthenticated"
    wrong = await scene.ask("/closed", "POST", json={}, headers={"x-api-key": "plait_x"})
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
    assert wrong.status == 401


async def test_metrics_are_for_viewers_of_the_default_tenant_and_health_is_for_all() -> (
    None
):
    guarded = Guarded()
    scene = await guarded.scene()
    for path in ("/metrics", "/api/v1/metrics"):
        assert (await guarded.ask(scene, path, None, method="GET")).status == 401
        assert (await guarded.ask(scene, path, "stranger", method="GET")).status == 403
        assert (await guarded.ask(scene, path, "viewer", method="GET")).status == 200
        other = await guarded.ask(scene, path, "admin", "acme", method="GET")
        assert other.status == 403
        assert "all tenants together" in other.error["message"]
        assert "viewers of the tenant 'default'" in other.error["message"]
    for path in ("/health", "/health/live", "/api/v1/health"):
        assert (await guarded.ask(scene, path, None, method="GET")).status == 200


def endpoints(seen: Seen) -> set[str]:
    return {
        path for path in seen.json["paths"] if not path.startswith(("/api/", "/webhooks/"))
    }


@pytest.mark.parametrize("is_required", [True, False])
async def test_the_apis_description_is_for_all_who_are_known_and_tells_what_they_may_see(
    is_required: bool,
) -> None:
    guarded = Guarded(is_required=is_required)
    scene = await guarded.scene()
    made = [
        Deployment(f"{tenant}-{name}", plan_of(document(name)), tenant=tenant)
        for tenant in TENANTS
        for name in ("open", "secret")
    ]
    assert scene.gateway.deploy(made) == []
    nobody = {"/docs": 401, "/openapi.json": 401} if is_required else {}
    for path in ("/docs", "/openapi.json"):
        seen = await guarded.ask(scene, path, None, method="GET")
        assert seen.status == nobody.get(path, 200)
    for who, told in (
        (("admin", "default"), {"/open", "/secret"}),
        (("viewer", "acme"), {"/~acme/open", "/~acme/secret"}),
        (("granted", "acme"), {"/~acme/open"}),
        (("granted", "default"), {"/open"}),
        (("stranger", "acme"), set()),
        (("admin", "acme"), {"/~acme/open", "/~acme/secret"}),
    ):
        seen = await guarded.ask(scene, "/openapi.json", *who, method="GET")
        assert (seen.status, endpoints(seen)) == (200, told), who
        assert "/api/v1/executions" in seen.json["paths"]
        assert seen.headers["cache-control"] == "no-store"
        page = (await guarded.ask(scene, "/docs", *who, method="GET")).reply.body.decode()
        shown = {one for one in ("/open", "/secret") if f'data-path="{one}"' in page}
        others = {f"/~acme{one}" for one in ("/open", "/secret")}
        shown |= {one for one in others if f'data-path="{one}"' in page}
        assert shown == told, who
    scene.gateway.deploy([])
    seen = await guarded.ask(scene, "/openapi.json", "viewer", "acme", method="GET")
    assert endpoints(seen) == set()


async def test_where_nobody_has_to_be_known_a_wrong_key_reads_what_all_may() -> None:
    guarded = Guarded(is_required=False)
    scene = await guarded.scene(document("open"))
    for headers in ({"x-api-key": "plait_x"}, {"authorization": "Basic eDp5"}):
        seen = await scene.ask("/openapi.json", headers=headers)
        assert (seen.status, endpoints(seen)) == (200, {"/open"})


async def test_a_reply_to_a_caller_is_not_for_shared_caches() -> None:
    guarded = Guarded()
    text = document("plain", "cache: 5s", method="GET")
    scene = await guarded.scene(text)
    seen = await guarded.ask(scene, "/plain", "operator", method="GET")
    assert seen.headers["cache-control"] == "private, max-age=5"


async def test_replies_of_the_api_tell_browsers_to_make_nothing_of_them() -> None:
    guarded = Guarded()
    scene = await guarded.scene()
    seen = await guarded.ask(scene, "/api/v1/executions", "viewer", method="GET")
    headers = seen.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cache-control"] == "no-store"
    assert [name for name, _ in seen.reply.headers].count(b"cache-control") == 1


# -- how often --------------------------------------------------------------------------


async def statuses(guarded: Guarded, scene: Scene, *asks: tuple[str, str | None]) -> Any:
    return [(await guarded.ask(scene, path, who)).status for path, who in asks]


async def test_each_caller_has_a_limit_of_their_own_at_an_endpoint() -> None:
    guarded = Guarded()
    scene = await guarded.scene(document("closed", 'rate_limit: "1/1h"'))
    asks = [("/closed", who) for who in ("operator", "operator", "admin", "admin")]
    assert await statuses(guarded, scene, *asks) == [200, 429, 200, 429]
    seen = await guarded.ask(scene, "/closed", "admin")
    assert seen.headers["retry-after"] == "3600"
    assert seen.headers["ratelimit-policy"] == '"endpoint";q=1;w=3600'


async def test_all_callers_together_can_have_one_limit() -> None:
    guarded = Guarded()
    rate = "rate_limit: {limit: 1, per: 1h, by: all}"
    scene = await guarded.scene(document("closed", rate))
    asks = [("/closed", who) for who in ("operator", "admin")]
    assert await statuses(guarded, scene, *asks) == [200, 429]


async def test_a_limit_stays_when_another_document_changes() -> None:
    guarded = Guarded()
    text = document("closed", 'rate_limit: "1/1h"')
    scene = await guarded.scene(text)
    assert (await guarded.ask(scene, "/closed", "admin")).status == 200
    both = [
        Deployment("0.yaml", plan_of(text)),
        Deployment("1.yaml", plan_of(document("x"))),
    ]
    scene.gateway.deploy(both)
    assert (await guarded.ask(scene, "/closed", "admin")).status == 429


async def test_who_is_refused_uses_up_nothing_of_an_endpoints_limit() -> None:
    guarded = Guarded()
    rate = "rate_limit: {limit: 1, per: 1h, by: all}"
    scene = await guarded.scene(document("closed", rate))
    asks = [("/closed", who) for who in (None, "stranger", "viewer", "admin")]
    assert await statuses(guarded, scene, *asks) == [401, 403, 403, 200]


async def test_an_address_has_one_limit_over_all_routes_but_health() -> None:
    clock = HandClock()
    guarded = Guarded(address=Limit("address", OwnCounts(Rate(2, 60_000), clock)))
    scene = await guarded.scene(document("open", 'auth: "none"'))
    asks: list[tuple[str, str | None]] = [("/open", None), ("/open", None), ("/open", None)]
    assert await statuses(guarded, scene, *asks) == [200, 200, 429]
    metrics = await guarded.ask(scene, "/metrics", "admin", method="GET")
    assert metrics.status == 429
    api = await guarded.ask(scene, "/api/v1/executions", "admin", method="GET")
    assert api.status == 429
    assert (await guarded.ask(scene, "/health", None, method="GET")).status == 200
    clock.advance(30)
    assert (await guarded.ask(scene, "/open", None)).status == 200


async def test_what_nothing_answers_counts_for_its_address_too() -> None:
    guarded = Guarded(address=Limit("address", OwnCounts(Rate(2, 60_000), HandClock())))
    scene = await guarded.scene(document("open", 'auth: "none"'))
    asks: list[tuple[str, str | None]] = [("/nothing", None)] * 3
    assert await statuses(guarded, scene, *asks) == [404, 404, 429]
    assert await statuses(guarded, scene, ("/open", None)) == [429]


async def test_addresses_behind_a_proxy_are_counted_one_by_one() -> None:
    limit = Limit("address", OwnCounts(Rate(1, 60_000), HandClock()))
    guarded = Guarded(address=limit, proxies=Proxies(["10.0.0.0/8"]))
    scene = await guarded.scene(document("open", 'auth: "none"'))

    async def ask(peer: str, client: str) -> int:
        headers = {
            b"content-type": b"application/json",
            b"x-forwarded-for": client.encode(),
        }
        request = Request("POST", "/open", "", headers, b"{}", peer)
        return (await scene.gateway.handle(request)).status

    assert [await ask("10.0.0.1", one) for one in ("1.1.1.1", "2.2.2.2")] == [200, 200]
    assert await ask("10.0.0.2", "1.1.1.1") == 429
    # Who is no listed proxy cannot choose an address.
    assert [await ask("9.9.9.9", one) for one in ("3.3.3.3", "4.4.4.4")] == [200, 429]


async def test_tokens_and_webhooks_are_counted_by_address_and_not_all_together() -> None:
    limit = Limit("route", OwnCounts(Rate(1, 60_000), HandClock()))
    guards = Guards(routes={("POST", "/webhooks/{path}"): limit})
    access = guards.of_public("POST", "/webhooks/{path}")
    assert access is not None

    async def taken(exchange: Exchange) -> Reply:
        return Reply(202, [], b"")

    async def ask(peer: str) -> int:
        request = Request("POST", "/webhooks/x", "", {}, b"{}", peer)
        handle = access.layer(taken)
        try:
            return (await handle(Exchange(request, (), Identity("", "", ())))).status
        except Refused as refused:
            return refused.as_reply().status

    peers = ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2")
    assert [await ask(one) for one in peers] == [202, 202, 429, 429]


async def test_a_caller_has_one_limit_over_all_endpoints() -> None:
    guarded = Guarded(caller=Limit("caller", OwnCounts(Rate(1, 60_000), HandClock())))
    scene = await guarded.scene(document("plain"), document("closed"))
    asks = [("/plain", "admin"), ("/closed", "admin"), ("/closed", "operator")]
    assert await statuses(guarded, scene, *asks) == [200, 429, 200]


async def test_the_api_holds_callers_and_single_routes_to_their_limits() -> None:
    guarded = Guarded(caller=Limit("caller", OwnCounts(Rate(3, 3_600_000), HandClock())))
    limit = Limit("route", OwnCounts(Rate(1, 3_600_000), HandClock()))
    guarded.guards.routes = {("GET", "/api/v1/triggers"): limit}  # type: ignore[misc]
    scene = await guarded.scene()

    async def ask(path: str, who: str) -> Seen:
        return await guarded.ask(scene, f"/api/v1/{path}", who, method="GET")

    first = await ask("triggers", "viewer")
    assert first.status == 200
    told = [value for name, value in first.reply.headers if name == b"ratelimit"]
    assert told == [b'"caller";r=2;t=1200', b'"route";r=0;t=3600']
    assert [(await ask(one, "viewer")).status for one in ("triggers", "executions")] == [
        429,
        200,
    ]
    assert (await ask("executions", "viewer")).status == 429
    assert (await ask("triggers", "admin")).status == 200


# -- before the body --------------------------------------------------------------------

HEAD = "POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{more}\r\n"


async def first_answers(scene: Scene, *heads: str) -> list[int]:
    """Send heads whose bodies never come; return what is answered to each."""
    gateway = scene.gateway
    found: list[int] = []
    async with listening(
        gateway.handle, screen=gateway.screen, refuse=gateway.refuse, admit=gateway.admit
    ) as (_, address):
        for head in heads:
            async with client_of(*address) as client:
                found.append((await client.ask(head.encode())).status)
    return found


async def test_who_shows_no_key_is_refused_before_the_body_is_read() -> None:
    guarded = Guarded()
    scene = await guarded.scene(document("closed"))
    long = "Content-Length: 900000\r\n"
    head = HEAD.format(path="closed", more=long)
    api = HEAD.format(path="api/v1/workflow/execute", more=long)
    awaited = HEAD.format(path="closed", more=long + "Expect: 100-continue\r\n")
    assert await first_answers(scene, head, api, awaited) == [401, 401, 401]


async def test_an_address_that_asks_too_often_is_refused_before_the_body_is_read() -> None:
    guarded = Guarded(address=Limit("address", OwnCounts(Rate(1, 3_600_000), HandClock())))
    scene = await guarded.scene(document("open", 'auth: "none"'))
    whole = HEAD.format(path="open", more="Content-Length: 2\r\n") + "{}"
    half = HEAD.format(path="open", more="Content-Length: 900000\r\n")
    chunks = HEAD.format(path="open", more="Transfer-Encoding: chunked\r\n")
    assert await first_answers(scene, whole, half, chunks) == [200, 429, 429]


async def test_an_endpoints_own_limit_is_kept_before_the_body_is_read() -> None:
    guarded = Guarded(is_required=False)
    scene = await guarded.scene(document("open", 'rate_limit: "1/1h"'))
    whole = HEAD.format(path="open", more="Content-Length: 2\r\n") + "{}"
    half = HEAD.format(path="open", more="Content-Length: 900000\r\n")
    assert await first_answers(scene, whole, half) == [200, 429]


# -- CORS -------------------------------------------------------------------------------


@pytest.fixture
async def with_cors() -> tuple[Guarded, Scene]:
    guarded = Guarded()
    guarded.guards.cors = Cors(["https://app.example.com"])  # type: ignore[misc]
    return guarded, await guarded.scene(document("closed"))


ALLOWED = "access-control-allow-origin"


async def test_the_page_of_a_listed_site_may_read_replies(
    with_cors: tuple[Guarded, Scene],
) -> None:
    _, scene = with_cors
    seen = await scene.ask("/health", headers={"origin": "https://app.example.com"})
    assert seen.headers[ALLOWED] == "https://app.example.com"
    assert "retry-after" in seen.headers["access-control-expose-headers"]
    assert seen.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in seen.headers


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "https://app.example.com.evil.example", "*", ""],
)
async def test_no_other_page_may(with_cors: tuple[Guarded, Scene], origin: str) -> None:
    _, scene = with_cors
    seen = await scene.ask("/health", headers={"origin": origin})
    assert ALLOWED not in seen.headers
    assert seen.headers["vary"] == "origin"


async def test_a_browser_that_asks_first_is_told_methods_and_headers(
    with_cors: tuple[Guarded, Scene],
) -> None:
    _, scene = with_cors
    headers = {
        "origin": "https://app.example.com",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }
    seen = await scene.ask("/closed", "OPTIONS", headers=headers)
    assert seen.status == 204
    assert seen.headers["access-control-allow-methods"] == "OPTIONS, POST"
    assert "authorization" in seen.headers["access-control-allow-headers"]
    api = await scene.ask("/api/v1/workflow/execute", "OPTIONS", headers=headers)
    assert "POST" in api.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (b"content-length: 2\r\n\r\n{}", 401),
        (b"content-length: 2\r\nexpect: 100-continue\r\n\r\n", 401),
        (b"content-length: 9000\r\n\r\n", 413),
        (b"content-length: x\r\n\r\n", 400),
        (b"transfer-encoding: chunked\r\n\r\nnone\r\n", 401),
        (b"a: " + 9_000 * b"b" + b"\r\n\r\n", 431),
        (b"content-length: 2\r\nx-api-key: KEY\r\n\r\n{", 408),
    ],
    ids=["no key", "waits", "too large", "no length", "chunks", "headers", "late"],
)
async def test_the_page_may_read_what_is_refused_from_its_head(
    with_cors: tuple[Guarded, Scene], more: bytes, status: int
) -> None:
    guarded, scene = with_cors
    gateway = scene.gateway
    origin = b"host: x\r\norigin: https://app.example.com\r\n"
    key = guarded.keys["default", "admin"].encode()
    async with (
        listening(
            gateway.handle,
            HttpLimits(head_bytes_max=8_000, body_bytes_max=1_000, body_timeout_ms=100),
            screen=gateway.screen,
            refuse=gateway.refuse,
            admit=gateway.admit,
        ) as (_, address),
        client_of(*address) as client,
    ):
        client.send(b"POST /closed HTTP/1.1\r\n" + origin + more.replace(b"KEY", key))
        answer = await client.answer()
    assert answer.status == status
    assert answer.headers.get(ALLOWED) == "https://app.example.com"
    assert answer.headers["vary"] == "origin"


async def test_without_listed_sites_nothing_is_said() -> None:
    guarded = Guarded()
    scene = await guarded.scene()
    seen = await scene.ask("/health", headers={"origin": "https://app.example.com"})
    assert not {ALLOWED, "vary"} & set(seen.headers)


async def test_requests_at_the_same_time_are_each_counted() -> None:
    guarded = Guarded(address=Limit("address", OwnCounts(Rate(3, 3_600_000), HandClock())))
    scene = await guarded.scene(document("closed"))
    asks = (guarded.ask(scene, "/closed", "admin") for _ in range(10))
    seen = await asyncio.gather(*asks)
    assert sorted(one.status for one in seen) == [200] * 3 + [429] * 7

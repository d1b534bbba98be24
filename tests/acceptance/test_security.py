"""Who may ask a real gateway: the first start, keys, users and tokens."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.cli import plait
from tests.acceptance.gateways import GatewayProcess, serving
from tests.conformance.journal.servers import redis, redis_url
from tests.unit.gateway.wires import client_of

PLAIN = """\
name: plain
mode: express
endpoint: {path: /plain}
steps: [{id: said, type: set, value: hello}]
output: ${said.response}
"""
OPEN = PLAIN.replace("plain", "open").replace("{path", "{auth: none, path")
_KEY = re.compile(r"plait_[a-z2-7]{12}_[a-z2-7]{52}")
NETWORK = ("--host=0.0.0.0",)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "plain.yaml").write_text(PLAIN)
    (folder / "open.yaml").write_text(OPEN)
    return folder


def keys_in(gateway: GatewayProcess) -> list[str]:
    return [found[0] for line in gateway.lines if (found := _KEY.search(line))]


async def status_of(gateway: GatewayProcess, path: str, key: str | None = None) -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return (await gateway.ask(path, **headers)).status


async def token_of(gateway: GatewayProcess, **form: str) -> Any:
    answer = await gateway.ask(
        "/api/v1/auth/token",
        "POST",
        body=urlencode(form).encode(),
        Content_Type="application/x-www-form-urlencoded",
    )
    return answer.status, json.loads(answer.body)


async def test_a_gateway_on_a_network_wants_a_key_everywhere_and_shows_one_once(
    documents: Path,
) -> None:
    closed = ("/plain", "/docs", "/openapi.json", "/metrics", "/api/v1/executions")
    async with serving(documents, arguments=NETWORK) as gateway:
        (key,) = keys_in(gateway)
        for path in closed:
            assert await status_of(gateway, path) == 401, path
            assert await status_of(gateway, path, key) == 200, path
            assert (await gateway.ask(path, X_API_Key=key)).status == 200, path
        assert await status_of(gateway, "/health") == 200
        assert await status_of(gateway, "/open") == 200
        store = f"--store={documents.parent / '.plait' / 'plait.db'}"
        of_acme = ("--tenant=acme", "--role=admin", store)
        other = (await plait("keys", "create", "acme", *of_acme)).out.strip()
        wanted = {"/docs": 200, "/openapi.json": 200, "/metrics": 403, "/plain": 404}
        assert {one: await status_of(gateway, one, other) for one in wanted} == wanted
        told = await gateway.ask("/openapi.json", X_API_Key=other)
        assert "/plain" not in told.json["paths"]
    async with serving(documents, arguments=NETWORK) as gateway:
        assert keys_in(gateway) == []
        assert await status_of(gateway, "/plain", key) == 200


def stored_in(folder: Path) -> dict[str, str]:
    """Return settings whose store is in `folder`."""
    return {"PLAIT_STORE_URL": str(folder / ".plait" / "plait.db")}


async def is_admins(gateway: GatewayProcess, key: str) -> bool:
    return await status_of(gateway, "/api/v1/keys", key) == 200


@pytest.mark.parametrize("arguments", [(), ("--role=gateway",)])
async def test_the_first_start_without_documents_makes_the_store_and_shows_a_key_once(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    place = stored_in(tmp_path)
    async with serving(settings=place, arguments=arguments) as gateway:
        (key,) = keys_in(gateway)
        assert await status_of(gateway, "/api/v1/keys") == 403
        assert await is_admins(gateway, key)
    async with serving(settings=place, arguments=arguments) as gateway:
        assert keys_in(gateway) == []
        assert await is_admins(gateway, key)


async def test_of_gateways_that_start_at_once_on_a_new_store_one_shows_a_key(
    tmp_path: Path,
) -> None:
    place = stored_in(tmp_path)
    async with AsyncExitStack() as stack:
        begun = (stack.enter_async_context(serving(settings=place)) for _ in range(3))
        gateways = await asyncio.gather(*begun)
        (key,) = [key for one in gateways for key in keys_in(one)]
        assert [await is_admins(one, key) for one in gateways] == [True] * 3


async def test_who_serves_express_documents_shows_the_key_when_the_store_is_made(
    documents: Path,
) -> None:
    wish = {"name": "more", "workflow_definition": PLAIN.replace("plain", "more")}
    async with serving(documents) as gateway:
        assert await status_of(gateway, "/plain") == 200
        assert (keys_in(gateway), (documents.parent / ".plait").exists()) == ([], False)
        made = await gateway.ask("/api/v1/workflow/deployments", "POST", body=wish)
        assert made.status == 201
        await gateway.until_said("plait_")
        (key,) = keys_in(gateway)
        assert await is_admins(gateway, key)
        wish["workflow_definition"] += "# again\n"
        await gateway.ask("/api/v1/workflow/deployments", "POST", body=wish)
        assert keys_in(gateway) == [key]
    async with serving(documents) as gateway:
        assert keys_in(gateway) == []


async def test_the_first_durable_start_makes_the_store_and_shows_the_key(
    documents: Path,
) -> None:
    kept = {"name": "kept", "steps": [{"id": "said", "type": "set", "value": 1}]}
    async with serving(documents) as gateway:
        begun = await gateway.ask(
            "/api/v1/workflow/execute", "POST", body={"definition": kept}
        )
        assert begun.status in {200, 202}, begun.body
        await gateway.until_said("plait_")
        (key,) = keys_in(gateway)
        assert await is_admins(gateway, key)


async def test_express_documents_are_served_where_no_store_can_be_made(
    documents: Path,
) -> None:
    (documents.parent / ".plait").write_text("no folder")
    async with serving(documents) as gateway:
        assert await status_of(gateway, "/plain") == 200
        assert not any("admin key" in line for line in gateway.lines)
    async with serving(settings=stored_in(documents.parent)) as gateway:
        assert await status_of(gateway, "/health/ready") == 200
        assert any("no admin key could be made" in line for line in gateway.lines)


async def test_on_its_own_machine_nobody_needs_a_key_and_proxies_pass_nobody_on(
    documents: Path,
) -> None:
    async with serving(documents) as gateway:
        assert await status_of(gateway, "/plain") == 200
        assert await status_of(gateway, "/api/v1/executions") == 200
        for told in ({"X_Forwarded_For": "10.0.0.1"}, {"Host": "rebound.example"}):
            answer = await gateway.ask("/api/v1/executions", **told)
            assert answer.status == 401, told
            assert "www-authenticate" in answer.headers
        assert await status_of(gateway, "/plain", "plait_wrong") == 200
        assert await status_of(gateway, "/api/v1/executions", "plait_wrong") == 401


def as_nginx_passes_on(target: str, method: str, body: bytes = b"") -> bytes:
    """Return a request as nginx sends it behind `proxy_pass` and nothing else."""
    return (
        f"{method} {target} HTTP/1.0\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def test_a_stock_proxy_before_the_default_makes_nobody_of_the_world_its_operator(
    documents: Path,
) -> None:
    wish = b'{"name": "mine", "role": "admin"}'
    store = f"--store={documents.parent / '.plait' / 'plait.db'}"
    key = (await plait("keys", "create", "ci", "--role=admin", store)).out.strip()
    async with serving(documents) as gateway:
        for target, method in (
            ("/api/v1/keys", "POST"),
            ("/api/v1/workflow/deployments", "POST"),
            ("/api/v1/executions", "GET"),
        ):
            async with client_of(*gateway.address) as client:
                answer = await client.ask(as_nginx_passes_on(target, method, wish))
            assert answer.status == 401, (target, answer.body)
        # What a proxy of HTTP/1.1 passes on cannot be told from a program here: it gets
        # nothing that lasts.
        for name, body in (
            ("keys", json.loads(wish)),
            ("users", {"name": "eve", "password": "correct horse battery"}),
            (
                "credentials",
                {"name": "x", "type": "bearer", "hosts": ["a.example"], "fields": {}},
            ),
        ):
            answer = await gateway.ask(f"/api/v1/{name}", "POST", body=body)
            assert (answer.status, answer.error_code) == (403, "request.forbidden")
            assert "show a key that has it" in answer.json["error"]["message"]
        made = await gateway.ask(
            "/api/v1/keys", "POST", body=json.loads(wish), X_API_Key=key
        )
        assert made.status == 201


async def test_where_a_proxy_at_the_own_machine_is_listed_programs_show_a_key_too(
    documents: Path,
) -> None:
    settings = {"PLAIT_SECURITY_TRUSTED_PROXIES": "127.0.0.0/8"}
    async with serving(documents, settings=settings) as gateway:
        assert await status_of(gateway, "/api/v1/executions") == 401
        assert await status_of(gateway, "/plain") == 200


async def test_single_routes_have_limits_that_no_misspelling_loses(
    documents: Path,
) -> None:
    token, hook = "POST /api/v1/auth/token", "POST /webhooks/{path}"
    rates = json.dumps({token: "1/1h", hook: "1/1h"})
    settings = {"PLAIT_SECURITY_ROUTE_RATES": rates}
    async with serving(documents, settings=settings) as gateway:
        for path in ("/api/v1/auth/token", "/webhooks/x"):
            answers = [await gateway.ask(path, "POST", body={"a": []}) for _ in range(2)]
            assert answers[0].status != 429, path
            assert answers[1].status == 429, (path, answers[1].body)
    wrong = {"PLAIT_SECURITY_ROUTE_RATES": json.dumps({token[:-1]: "1/1h"})}
    refused = await plait("serve", documents, "--port=0", env=wrong)
    assert refused.code == 2
    assert f"did you mean '{token}'?" in refused.err


async def test_a_key_that_is_revoked_over_the_api_ends_at_once(documents: Path) -> None:
    async with serving(documents, arguments=NETWORK) as gateway:
        (admin,) = keys_in(gateway)
        wish = {"name": "ci", "role": "operator"}
        made = await gateway.ask("/api/v1/keys", "POST", body=wish, X_API_Key=admin)
        key = made.json["key"]
        assert await status_of(gateway, "/plain", key) == 200
        gone = f"/api/v1/keys/{made.json['id']}"
        assert (await gateway.ask(gone, "DELETE", X_API_Key=admin)).status == 200
        assert await status_of(gateway, "/plain", key) == 401


async def test_a_key_can_be_required_on_the_own_machine_too(documents: Path) -> None:
    settings = {"PLAIT_SECURITY_REQUIRED": "true"}
    async with serving(documents, settings=settings) as gateway:
        (key,) = keys_in(gateway)
        assert await status_of(gateway, "/plain") == 401
        assert await status_of(gateway, "/plain", key) == 200


async def test_a_gateway_whose_store_comes_later_makes_its_first_key_then(
    documents: Path,
) -> None:
    with redis() as server:
        server.stop()
        place = {"PLAIT_STORE_URL": redis_url(server)}
        async with (
            serving(documents, arguments=NETWORK, settings=place) as one,
            serving(arguments=(*NETWORK, "--role=gateway"), settings=place) as other,
        ):
            for gateway in (one, other):
                await gateway.until_said("no admin key could be made")
                assert keys_in(gateway) == []
            await asyncio.to_thread(server.start)
            said = [asyncio.create_task(each.until_said("plait_")) for each in (one, other)]
            await asyncio.wait(said, return_when=asyncio.FIRST_COMPLETED)
            for task in said:
                task.cancel()
            (key,) = keys_in(one) + keys_in(other)
            assert await status_of(one, "/api/v1/keys", key) == 200
            assert await status_of(other, "/api/v1/keys", key) == 200
        async with serving(documents, arguments=NETWORK, settings=place) as gateway:
            assert keys_in(gateway) == []


async def test_keys_and_users_of_the_command_line_count_at_a_running_gateway(
    documents: Path,
) -> None:
    store = f"--store={documents.parent / '.plait' / 'plait.db'}"
    settings = {"PLAIT_SECURITY_KEY_MEMORY": "1ms"}
    async with serving(documents, arguments=NETWORK, settings=settings) as gateway:
        made = await plait("keys", "create", "shop", "--grant", "plain=operator", store)
        key = made.out.strip()
        assert await status_of(gateway, "/plain", key) == 200
        assert await status_of(gateway, "/metrics", key) == 403

        listed = json.loads((await plait("keys", "list", "--json", store)).out)["keys"]
        (own,) = [one for one in listed if one["name"] == "shop"]
        assert (own["grants"], own["used_at_ms"] is not None) == (
            {"plain": "operator"},
            True,
        )
        assert key not in json.dumps(listed)
        await plait("keys", "revoke", own["id"], store)
        assert await status_of(gateway, "/plain", key) == 401

        password = "correct horse battery"
        await plait(
            "users", "add", "ann", "--role=operator", store, stdin=password.encode()
        )
        status, given = await token_of(
            gateway, grant_type="password", username="ann", password=password
        )
        assert status == 200
        assert await status_of(gateway, "/plain", given["access_token"]) == 200
        status, error = await token_of(
            gateway, grant_type="password", username="ann", password="wrong password"
        )
        assert (status, error["error"]["code"]) == (400, "token.refused")
        assert error["error"]["details"] == {"error": "invalid_grant"}
        refresh = given["refresh_token"]
        status, renewed = await token_of(
            gateway, grant_type="refresh_token", refresh_token=refresh
        )
        assert status == 200
        assert await status_of(gateway, "/plain", renewed["access_token"]) == 200


APPROVED = """\
name: approved
endpoint: {path: /approved}
steps: [{id: ok, type: approval, approvers: [ada]}]
output: ${ok.response.by}
"""


async def test_an_operators_key_approves_in_nobodys_name_but_its_own(
    documents: Path,
) -> None:
    (documents / "approved.yaml").write_text(APPROVED)
    store = f"--store={documents.parent / '.plait' / 'plait.db'}"
    key = (await plait("keys", "create", "ci", "--role=operator", store)).out.strip()
    async with serving(documents, arguments=NETWORK) as gateway:
        begun = await gateway.ask("/approved", X_API_Key=key)
        link = begun.headers["location"]
        for body in ({"by": "ada"}, {"roles": ["ada"]}):
            answer = await gateway.ask(f"{link}/approve", "POST", body=body, X_API_Key=key)
            assert (answer.status, answer.error_code) == (403, "request.forbidden"), body
        answer = await gateway.ask(f"{link}/approve", "POST", body={}, X_API_Key=key)
        assert (answer.status, answer.error_code) == (403, "approval.not_an_approver")


async def test_tokens_of_an_issuer_count_whose_keys_are_fetched(
    documents: Path, tmp_path: Path
) -> None:
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
    claims = {
        "iss": "https://login.example.com/",
        "aud": "plait",
        "sub": "ann",
        "exp": int(time.time()) + 60,
        "groups": ["ops"],
    }
    token = jwt.encode(claims, private, "RS256", {"kid": "a"})
    async with Upstream() as upstream:
        upstream.on("/keys", reply(json={"keys": [{**public, "kid": "a"}]}))
        issuer = {
            "issuer": claims["iss"],
            "audience": "plait",
            "jwks": f"http://{upstream.address}/keys",
            "role_claim": "groups",
            "roles": {"ops": "operator"},
        }
        settings = {"PLAIT_SECURITY_ISSUERS": json.dumps({"login": issuer})}
        async with serving(documents, arguments=NETWORK, settings=settings) as gateway:
            assert await status_of(gateway, "/plain", token) == 200
            assert await status_of(gateway, "/plain", token[:-4] + "AAAA") == 401

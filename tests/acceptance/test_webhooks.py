"""Webhooks, for real: signed requests start durable executions, each message one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

from tests.acceptance.cli import plait
from tests.acceptance.gateways import GatewayProcess, serving
from tests.unit.gateway.wires import Answer

KEY = b"0123456789abcdef01234567"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
PAID = """\
name: paid
triggers:
  - {type: webhook, path: /shop/paid, secret: shop}
input:
  type: object
  required: [order]
  properties: {order: {type: integer}, note: {type: string, default: none}}
steps: [{id: seen, type: set, value: {order: "${input.order}", by: "${trigger.id}"}}]
output: {version: 1, seen: "${seen.response}", note: "${input.note}"}
"""
HOOK = "/webhooks/shop/paid"


def signed(
    body: bytes, message_id: str = "msg_1", *, key: bytes = KEY, ago_s: int = 0
) -> dict[str, str]:
    """Return the headers of a message, as its sender makes them."""
    timestamp = str(int(time.time()) - ago_s)
    told = f"{message_id}.{timestamp}.".encode() + body
    made = base64.b64encode(hmac.new(key, told, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1a,other v1,{base64.b64encode(KEY).decode()} v1,{made}",
    }


async def deliver(
    gateway: GatewayProcess, told: Any, message_id: str = "msg_1", **how: Any
) -> Answer:
    body = told if isinstance(told, bytes) else json.dumps(told, indent=1).encode()
    headers = how.pop("headers", None) or signed(body, message_id, **how)
    return await gateway.ask(HOOK, "POST", body=body, **headers)


def code_of(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["error"]["code"]


def place(folder: Path, secret: str | None = SECRET) -> dict[str, str]:
    settings = {"PLAIT_STORE_URL": str(folder / ".plait" / "plait.db")}
    return settings if secret is None else settings | {"PLAIT_SECRET_SHOP": secret}


async def executions(gateway: GatewayProcess) -> list[Any]:
    told = json.loads((await gateway.ask("/api/v1/executions?workflow=paid")).body)
    found: list[Any] = told["executions"]
    return found


async def test_a_signed_message_starts_one_execution_however_often_it_comes(
    tmp_path: Path,
) -> None:
    (tmp_path / "paid.yaml").write_text(PAID)
    assert (await plait("deploy", "paid.yaml", cwd=tmp_path)).code == 0
    async with serving(settings=place(tmp_path)) as gateway:
        many = await asyncio.gather(*(deliver(gateway, {"order": 7}) for _ in range(6)))
        assert {answer.status for answer in many} == {202}
        (execution_id,) = {json.loads(one.body)["execution_id"] for one in many}
        link = f"/api/v1/executions/{execution_id}?wait=20s"
        told = json.loads((await gateway.ask(link)).body)
        seen = {"order": 7, "by": "msg_1"}
        assert told["output"] == {"version": 1, "seen": seen, "note": "none"}
        # Another version is active, the gateway is another, and the message comes again.
        (tmp_path / "paid.yaml").write_text(PAID.replace("version: 1", "version: 2"))
        assert (await plait("deploy", "paid.yaml", cwd=tmp_path)).code == 0
    async with serving(settings=place(tmp_path)) as gateway:
        again = await deliver(gateway, {"order": 7})
        assert json.loads(again.body)["execution_id"] == execution_id
        other = await deliver(gateway, {"order": 8}, "msg_2")
        assert json.loads(other.body)["execution_id"] != execution_id
        assert len(await executions(gateway)) == 2
        listed = json.loads((await gateway.ask("/api/v1/triggers")).body)["triggers"]
        assert [(one["webhook_url"], one["has_secret"]) for one in listed] == [(HOOK, True)]
        assert SECRET not in json.dumps(listed)


async def test_what_is_not_signed_with_the_secret_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "paid.yaml").write_text(PAID)
    async with serving(tmp_path / "paid.yaml", settings=place(tmp_path)) as gateway:
        unsigned = await gateway.ask(HOOK, "POST", body={"order": 1})
        assert code_of(unsigned) == (401, "webhook.unverified")
        body = b'{"order": 1}'
        wrong = [
            signed(body, key=b"x" * 24),
            signed(body, ago_s=310),
            signed(body, ago_s=-310),
            signed(b'{"order": 2}'),
            signed(body) | {"webhook-id": "msg_2"},
            signed(body) | {"webhook-timestamp": "1"},
            signed(body) | {"webhook-timestamp": "now"},
            signed(body) | {"webhook-signature": "v1,"},
            signed(body) | {"webhook-signature": "v1,\xe4"},
        ]
        for headers in wrong:
            answer = await deliver(gateway, body, headers=headers)
            assert code_of(answer) == (401, "webhook.unverified"), headers
        nowhere = await gateway.ask("/webhooks/shop", "POST", body=body, **signed(body))
        assert code_of(nowhere) == (404, "webhook.unknown")
        unfit = await deliver(gateway, {"order": "x"})
        assert code_of(unfit) == (422, "workflow.invalid_input")
        # As the API refuses it: other readers would read another number, or another key.
        for unread in (b"{", b'{"order":1,"order":2}', b'{"order":99999999999999999999}'):
            answer = await deliver(gateway, unread)
            assert code_of(answer) == (400, "request.invalid"), unread
        assert (await gateway.ask(HOOK)).status == 405
        assert await executions(gateway) == []
        # What was refused is taken when it is right.
        assert (await deliver(gateway, {"order": 1})).status == 202


async def test_without_the_secret_nothing_is_taken(tmp_path: Path) -> None:
    (tmp_path / "paid.yaml").write_text(PAID)
    short = "whsec_" + base64.b64encode(b"short").decode()
    for secret, key in ((None, b""), ("", b""), (short, b"short"), ("no base64!", KEY)):
        settings = place(tmp_path, secret)
        async with serving(tmp_path / "paid.yaml", settings=settings) as gateway:
            answer = await deliver(gateway, {"order": 1}, key=key)
            assert code_of(answer) == (503, "webhook.secret_missing")
            assert await executions(gateway) == []

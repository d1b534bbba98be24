"""The choices of `examples/choices`, run as a user runs them; and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.cli import ROOT, Done, plait

CHOICES = ROOT / "examples" / "choices"
MODES = pytest.mark.parametrize("mode", [(), ("--durable",)], ids=["express", "durable"])


async def run(
    document: str, service: Upstream, given: Any, mode: tuple[str, ...], folder: Path
) -> Done:
    hosts = ("crm", "desk", "stock", "orders")
    where = [one for host in hosts for one in ("--resolve", f"{host}={service.address}")]
    text = orjson.dumps(given).decode()
    return await plait(
        "run", CHOICES / document, *where, "--input", text, *mode, cwd=folder
    )


@MODES
@pytest.mark.parametrize(
    ("is_vip", "topic", "to"),
    [
        (False, "billing", "billing"),
        (False, "other", "default"),
        (True, "billing", "vip"),
    ],
)
async def test_a_request_goes_to_where_it_belongs(
    is_vip: bool, topic: str, to: str, mode: tuple[str, ...], tmp_path: Path
) -> None:
    desks = {"billing": "billing", "vip": "account-manager", "default": "inbox"}
    async with Upstream() as service:
        service.on("/customers/7", reply(json={"vip": is_vip}))
        service.on(f"/{desks[to]}", reply(201, json={"id": "T1"}))
        given = {"customer": "7", "topic": topic}
        done = await run("routing.yaml", service, given, mode, tmp_path)
        assert orjson.loads(done.out) == {"to": to, "ticket": "T1"}, done.err


@MODES
async def test_a_case_goes_through_levels_and_back_to_where_it_belongs(
    mode: tuple[str, ...], tmp_path: Path
) -> None:
    async with Upstream() as service:
        service.on("/topics", reply(json={"topic": "technical"}))
        service.on("/orders/o1/device", reply(json={"sku": "s", "is_unpaid": True}))
        invoice: Any = {"id": "i1", "amount_cents": 900, "is_paid": True}
        service.on("/orders/o1/invoice", reply(json=invoice))
        service.on("/invoices/i1/refund", reply(201, json={"id": "r1"}))
        done = await plait(
            "run",
            CHOICES / "triage.yaml",
            *("--resolve", f"language={service.address}"),
            *("--resolve", f"shop={service.address}"),
            *("--input", '{"order": "o1", "text": "it broke"}', *mode),
            cwd=tmp_path,
        )
        assert orjson.loads(done.out) == {
            "by": "refunds",
            "path": ["triage", "technical", "billing", "refunds"],
            "answer": "r1 is on its way.",
        }, done.err
    drawn = await plait("graph", CHOICES / "triage.yaml")
    assert "triage: then billing, technical" in drawn.out
    assert "10 hops at most" in drawn.out


@MODES
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (201, {"status": "placed", "order": {"placed": {"id": 1}}}),
        (409, {"status": "waiting", "order": {"listed": {"place": 4}}}),
        (500, None),
    ],
)
async def test_an_order_is_placed_or_listed_and_its_hold_is_given_back(
    status: int, expected: Any, mode: tuple[str, ...], tmp_path: Path
) -> None:
    async with Upstream() as service:
        service.on("/holds", reply(201, json={"id": "h1"}))
        service.on("/orders", reply(status, json={"id": 1}))
        service.on("/waiting-list", reply(201, json={"place": 4}))
        service.on("/holds/h1", reply(204))
        done = await run("order.yaml", service, {"sku": "s"}, mode, tmp_path)
        assert service.requests[-1].target == "/holds/h1"
        if expected is None:
            assert (done.code, done.error["code"]) == (1, "connector.http.500")
            assert done.error["details"]["step"] == "order/placed"
        else:
            assert orjson.loads(done.out) == expected, done.err


async def test_each_case_is_drawn_with_its_condition() -> None:
    done = await plait("graph", CHOICES / "routing.yaml")
    assert "vip: customer.response.vip" in done.out
    assert "default" in done.out
    done = await plait("graph", CHOICES / "order.yaml")
    assert "finally" in done.out

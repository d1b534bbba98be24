"""`examples/patterns/order_states`: an order led by events; its workers are killed."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import after, reply
from tests.acceptance.cli import ROOT, finish, plait, start
from tests.acceptance.gateways import GatewayProcess, serving
from tests.acceptance.test_cli_durable import announced
from tests.unit.gateway.wires import WAIT_S, Answer

ORDER = ROOT / "examples" / "patterns" / "order_states" / "workflow.yaml"
PLACED = {"order": "A-1", "total": 40}
PAY = {"method": "card-7", "amount": 40}


def payments() -> Upstream:
    service = Upstream()
    service.on("/charges", reply(201, json={"id": "ch-1"}))
    service.on("/refunds", reply(201, json={"id": "re-1"}))
    return service


def gateway(
    folder: Path, pay: Upstream, stock: Upstream
) -> AbstractAsyncContextManager[GatewayProcess]:
    store = f"--store={folder / 'plait.db'}"
    return serving(
        ORDER, upstreams={"payments": pay, "warehouse": stock}, arguments=[store]
    )


async def send(
    process: GatewayProcess, link: str, name: str, payload: Any = None
) -> Answer:
    body = {"name": name, "payload": payload}
    return await process.ask(f"{link}/signals", "POST", body=body)


async def until_in(process: GatewayProcess, link: str, state: str) -> dict[str, Any]:
    """Return the execution when it waits for events in this state."""
    async with asyncio.timeout(WAIT_S):
        while True:
            shown: dict[str, Any] = json.loads((await process.ask(link)).body)
            if any(wait.get("state") == state for wait in shown["waits"]):
                return shown


async def test_an_order_goes_its_way_through_the_gateway_and_outlives_it(
    tmp_path: Path,
) -> None:
    charged = asyncio.Event()
    async with AsyncExitStack() as stack:
        pay = await stack.enter_async_context(payments())
        stock = Upstream(reply(201, json={"is_complete": True}))
        await stack.enter_async_context(stock)
        pay.on("/charges", after(charged, reply(201, json={"id": "ch-1"})))
        async with gateway(tmp_path, pay, stock) as process:
            placed = await process.ask("/orders", "POST", body=PLACED)
            link = placed.headers["location"]
            assert placed.status == 202
            early = await send(process, link, "ship")
            assert (early.status, early.error_code) == (409, "signal.not_taken")
            told = json.loads(early.body)["error"]["details"]
            assert told == {"state": "created", "events": ["cancel", "pay"]}
            little = await send(process, link, "pay", {**PAY, "amount": 39})
            assert (little.status, little.error_code) == (409, "signal.not_taken")
            assert (await send(process, link, "pay", PAY)).status == 200
            async with asyncio.timeout(WAIT_S):
                await pay.until_requests(1)
            # While the charge is under way: kept for its turn, also when the worker dies.
            assert (await send(process, link, "process")).status == 200
            process.process.kill()
        charged.set()
        async with gateway(tmp_path, pay, stock) as process:
            await until_in(process, link, "processing")
            assert (await send(process, link, "ship")).status == 200
            await until_in(process, link, "shipped")
            assert (await send(process, link, "cancel")).status == 409
            process.process.kill()
        async with gateway(tmp_path, pay, stock) as process:
            assert (await send(process, link, "deliver")).status == 200
            shown = await until_in(process, link, "delivered")
            assert [wait["for"] for wait in shown["waits"]] == ["event", "time"]
            late = await send(process, link, "refund", {"reason": "lost"})
            assert late.status == 409
            assert (await send(process, link, "refund", {"reason": "broken"})).status == 200
            ended = json.loads((await process.ask(f"{link}?wait=20s")).body)
    assert ended["output"] == {"order": "A-1", "state": "refunded", "charge": "ch-1"}
    assert [(one["state"], one["cause"]) for one in ended["states"]] == [
        ("created", None),
        ("paid", "pay"),
        ("processing", "process"),
        ("shipped", "ship"),
        ("delivered", "deliver"),
        ("refunded", "refund"),
    ]
    refused = [(one["name"], one["reason"]) for one in ended["refused"]]
    # One that another worker records stands where that worker heard of it.
    wanted = ["cancel", "pay", "refund", "ship"]
    assert sorted(refused) == [(name, "signal.not_taken") for name in wanted]
    charges = [one for one in pay.requests if one.target == "/charges"]
    assert len({one.headers["idempotency-key"] for one in charges}) == 1
    (back,) = [one for one in pay.requests if one.target == "/refunds"]
    assert json.loads(back.body) == {"charge": "ch-1", "amount": 40}


async def test_a_process_killed_in_an_action_goes_on_where_it_was(tmp_path: Path) -> None:
    charged = asyncio.Event()
    given = ("--input", orjson.dumps(PLACED).decode(), "--durable", "--key", "k")
    async with payments() as pay:
        pay.on("/charges", after(charged, reply(201, json={"id": "ch-1"})))
        command = ("run", ORDER, "--resolve", f"payments={pay.address}", *given)
        process = await start(*command, cwd=tmp_path)
        execution = await announced(process)

        async def sent(name: str, payload: Any = None) -> tuple[int, str]:
            text = orjson.dumps(payload).decode()
            told = ("executions", "signal", execution, name, "--payload", text)
            done = await plait(*told, cwd=tmp_path)
            return done.code, done.err

        code, said = await sent("deliver")
        assert code == 2
        assert "signal.not_taken" in said
        assert "in state 'created'" in said
        assert "it takes cancel, pay" in said
        assert (await sent("pay", PAY))[0] == 0
        async with asyncio.timeout(WAIT_S):
            await pay.until_requests(1)
        process.kill()
        await finish(process)
        assert (await sent("cancel"))[0] == 0
        charged.set()
        done = await plait(*command, cwd=tmp_path)
        output = {"order": "A-1", "state": "refunded", "charge": "ch-1"}
        assert (done.code, orjson.loads(done.out)) == (0, output)
        shown = await plait("executions", "show", execution, cwd=tmp_path)
        assert "states[paid][entry][0]/charge" in shown.err
        assert "  paid, by pay\n" in shown.out
        assert "  deliver: signal.not_taken\n" in shown.out


async def test_a_charge_that_is_refused_cancels_the_order(tmp_path: Path) -> None:
    async with payments() as pay, Upstream() as stock:
        pay.on("/charges", reply(402, json={"why": "no money"}))
        async with gateway(tmp_path, pay, stock) as process:
            placed = await process.ask("/orders", "POST", body=PLACED)
            link = placed.headers["location"]
            await send(process, link, "pay", PAY)
            ended = json.loads((await process.ask(f"{link}?wait=20s")).body)
    assert ended["status"] == "completed", ended
    assert ended["output"] == {"order": "A-1", "state": "cancelled", "charge": None}


@pytest.mark.parametrize("format_", ["mermaid", "dot", "svg", "json"])
async def test_its_picture_and_its_explanation_come_from_the_same_table(
    format_: str,
) -> None:
    drawn = await plait("graph", ORDER, "--format", format_)
    assert (drawn.code, "processing" in drawn.out) == (0, True)
    explained = await plait("explain", ORDER)
    assert "states[paid][entry][*]/charge" in explained.out


DOOR = """\
name: door
mode: express
endpoint: {method: POST, path: /door, wait: 200ms, headers: {x-state: "${state}"}}
input: {type: object, properties: {open: {type: boolean}}}
initial: shut
states:
  shut:
    entry: [{id: seen, type: set, value: "${input.open}"}]
    on: {open: gone}
    after: {0s: {target: gone, guard: "${seen.response}"}}
  gone: {final: true}
"""


async def test_an_express_machine_is_answered_at_once_or_goes_on_in_the_store(
    tmp_path: Path,
) -> None:
    (tmp_path / "door.yaml").write_text(DOOR)
    store = f"--store={tmp_path / 'plait.db'}"
    async with serving(tmp_path / "door.yaml", arguments=[store]) as process:
        at_once = await process.ask("/door", "POST", body={"open": True})
        output = {"state": "gone", "context": {"seen": True}}
        assert (at_once.status, json.loads(at_once.body)) == (200, output)
        assert at_once.headers["x-state"] == "gone"
        later = await process.ask("/door", "POST", body={"open": False})
        assert later.status == 202
        link = later.headers["location"]
        assert (await send(process, link, "open")).status == 200
        ended = json.loads((await process.ask(f"{link}?wait=20s")).body)
    assert ended["output"] == {"state": "gone", "context": {"seen": False}}

"""Large answers, in one process and in four: what one answers, four answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.gateways import request_bytes
from tests.acceptance.test_roles import role, shaped, streamed

# 20 MB: a piece of 10 kB, doubled eleven times.
DOUBLINGS = 11
PIECE = "0123456789" * 1_000


def doubling(name: str, mode: str, **more: Any) -> dict[str, Any]:
    """Return a workflow whose output is large, and its input small."""
    steps = [{"id": "s0", "type": "set", "value": "${input.piece}"}]
    steps += [
        {"id": f"s{n}", "type": "set", "value": f"${{s{n - 1}.response}}" * 2}
        for n in range(1, DOUBLINGS + 1)
    ]
    schema = {"type": "object", "properties": {"piece": {"type": "string"}}}
    output = f"${{s{DOUBLINGS}.response}}"
    return {
        "name": name,
        "mode": mode,
        "input": schema,
        "steps": steps,
        "output": output,
        **more,
    }


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["one process", "four processes"])
async def test_an_answer_of_20_mb_is_answered_in_either_shape(
    shape: str, tmp_path: Path
) -> None:
    given, whole = {"piece": PIECE}, PIECE * 2**DOUBLINGS
    endpoint = {"method": "POST", "path": "/large"}
    async with shaped(shape, tmp_path) as gateway:
        wish: Any = {
            "name": "express",
            "workflow_definition": doubling("express", "express", endpoint=endpoint),
        }
        made = await gateway.ask("/api/v1/workflow/deployments", "POST", body=wish)
        assert made.status == 201, made.body
        assert (await gateway.ask("/large", "POST", body=given)).json == whole

        execute = "/api/v1/workflow/execute"
        for mode in ("express", "durable"):
            order: Any = {"definition": doubling("large", mode), "input": given}
            order |= {"wait": "60s"} if mode == "durable" else {}
            ran = await gateway.ask(execute, "POST", body=order)
            assert (ran.status, ran.json["output"] == whole) == (200, True), mode
            told = await streamed(gateway, execute, "POST", {**order, "stream": True})
            assert b"event: result" in told, mode
        kept = f"/api/v1/executions/{ran.json['execution_id']}"
        found = await gateway.ask(kept)
        assert (found.status, found.json["output"] == whole) == (200, True)
        events = await streamed(gateway, f"{kept}/events")
        assert b"event: end" in events
        assert b"event: error" not in events


@pytest.mark.slow
async def test_an_answer_above_an_operator_s_limit_is_told_with_its_execution(
    tmp_path: Path,
) -> None:
    store, few = tmp_path / "plait.db", {"PLAIT_SERVICES_MESSAGE_BYTES_MAX": "1000000"}
    execute = "/api/v1/workflow/execute"
    async with (
        role("engine", store=store, more=few) as (one, engine),
        role("runtime", store=store, more=few) as (other, runtime),
        role("gateway", store=store, engine=engine, runtime=runtime, more=few) as (
            gateway,
            _,
        ),
    ):
        order: Any = {"definition": doubling("large", "durable"), "wait": "60s"}
        order["input"] = {"piece": PIECE}
        refused = await gateway.ask(execute, "POST", body=order)
        assert (refused.status, refused.error_code) == (500, "service.answer_too_large")
        error = refused.json["error"]
        assert "services.message_bytes_max" in error["message"]
        kept = f"/api/v1/executions/{error['details']['execution_id']}"
        found = await gateway.ask(kept)
        assert (found.status, found.error_code) == (500, "service.answer_too_large")
        listed = await gateway.ask("/api/v1/executions")
        assert [row["status"] for row in listed.json["executions"]] == ["completed"]
        for target, method, body in (
            (f"{kept}/events", "GET", None),
            (execute, "POST", {**order, "stream": True}),
        ):
            async with gateway.client() as client:
                wish = request_bytes(target, method, body=body, connection="close")
                client.send(wish)
                told = await client.closed()
            # What is wrong with the first event is the reply, and no stream.
            last = told.rpartition(b"event: ")[2]
            assert told.startswith(b"HTTP/1.1 500 ") or last.startswith(b"error"), target
            assert b'"service.answer_too_large"' in last, target
        said = "\n".join([*gateway.lines, *one.lines, *other.lines])
        assert "Traceback" not in said
        assert "ExecuteBatch" not in said

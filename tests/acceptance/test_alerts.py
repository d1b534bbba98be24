"""Alerts of a served platform: told over a real socket and by a real execution."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.cli import plait
from tests.acceptance.gateways import serving
from tests.unit.gateway.wires import WAIT_S

FAILING = """
name: pay
mode: express
endpoint: {method: POST, path: /pay}
steps: [{id: charge, type: fail, code: card.refused, message: "no"}]
"""
PAGE = """
name: page
input: {type: object, properties: {alert: {type: string}, state: {type: string}}}
steps: [{id: told, type: set, value: "${input.alert} ${input.state}"}]
output: ${told.response}
"""
ALERT = """
alert: payments_fail
description: Payments fail.
when: ${failed >= 3}
window: 1h
workflow: pay
notify:
  - webhook: {url: "http://pager/hook", authorization: pager}
  - workflow: page
"""
SETTINGS = {"PLAIT_TELEMETRY_ALERTS_EVERY": "50ms", "PLAIT_SECRET_PAGER": "Bearer s3cr3t-x"}


async def test_an_alert_calls_a_webhook_and_starts_a_workflow_once_across_a_restart(
    tmp_path: Path,
) -> None:
    paths = []
    for name, text in (("pay", FAILING), ("page", PAGE), ("alert", ALERT)):
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_text(text)
    async with Upstream(reply(json={})) as pager:
        told = {"upstreams": {"pager": pager}, "settings": SETTINGS}
        for _ in range(2):
            async with serving(*paths, **told) as gateway:  # type: ignore[arg-type]
                for _ in range(4):
                    assert (await gateway.ask("/pay", "POST", body={})).status == 422
                await pager.until_requests(1)
                state = 'plait_alerts{alert="payments_fail",state="firing"} 1.0'
                listed = "/api/v1/executions?workflow=page&status=completed"
                found, metrics = 0, ""
                while not found or state not in metrics:
                    body = json.loads((await gateway.ask(listed)).body)
                    found = len(body["executions"])
                    metrics = (await gateway.ask("/metrics")).body.decode()
                assert found == 1
                gateway.stop()
                assert await gateway.ended() == 0
                assert not any("s3cr3t-x" in line for line in gateway.lines)
        (request,) = pager.requests
    body = json.loads(request.body)
    assert (body["alert"], body["state"], body["workflow"]) == (
        "payments_fail",
        "firing",
        "pay",
    )
    assert body["values"]["failed"] >= 3
    assert request.headers["authorization"] == "Bearer s3cr3t-x"
    assert body["id"] in request.headers["idempotency-key"]


async def test_edited_alerts_are_watched_at_once_and_a_broken_one_stays_as_it_was(
    tmp_path: Path,
) -> None:
    (tmp_path / "pay.yaml").write_text(FAILING)
    (tmp_path / "page.yaml").write_text(PAGE)
    path = tmp_path / "alert.yaml"
    async with Upstream(reply(json={})) as pager:
        async with serving(
            tmp_path, upstreams={"pager": pager}, settings=SETTINGS, arguments=["--reload"]
        ) as gateway:

            async def until_told(text: str, *, is_there: bool = True) -> str:
                async with asyncio.timeout(WAIT_S):
                    while True:
                        told = (await gateway.ask("/metrics")).body.decode()
                        if (text in told) is is_there:
                            return told

            path.write_text(ALERT)
            await until_told('plait_alerts{alert="payments_fail",state="inactive"} 1.0')
            for _ in range(3):
                assert (await gateway.ask("/pay", "POST", body={})).status == 422
            await pager.until_requests(1)
            firing = 'plait_alerts{alert="payments_fail",state="firing"} 1.0'
            await until_told(firing)

            path.write_text(ALERT.replace("failed >= 3", "failde >= 3"))
            await gateway.until_said("failde")
            await until_told(firing)

            path.write_text(ALERT.replace("authorization: pager", "authorization: nobody"))
            await gateway.until_said("alerts stay as they were")
            await gateway.until_said("there is no secret 'nobody'")
            await until_told(firing)

            path.write_text(ALERT.replace("payments_fail", "others_fail"))
            told = await until_told('plait_alerts{alert="others_fail"')
            assert "payments_fail" not in told

            path.unlink()
            await until_told("plait_alerts{", is_there=False)
            gateway.stop()
            assert await gateway.ended() == 0
        ids = [json.loads(request.body)["alert"] for request in pager.requests]
    assert ids[0] == "payments_fail"
    assert ids.count("payments_fail") == 1


KEPT = """
name: kept
endpoint: {method: POST, path: /kept, wait: 20s}
steps: [{id: charge, type: fail, code: card.refused, message: "no"}]
"""


@pytest.mark.slow
async def test_a_service_watches_what_it_counts_and_the_gateway_cannot_see(
    tmp_path: Path,
) -> None:
    workflows, store = tmp_path / "workflows", tmp_path / "plait.db"
    workflows.mkdir()
    (workflows / "kept.yaml").write_text(KEPT)
    (workflows / "page.yaml").write_text(PAGE)
    (workflows / "alert.yaml").write_text(ALERT.replace("workflow: pay", "workflow: kept"))
    settings = {**SETTINGS, "PLAIT_STORE_URL": str(store)}
    async with Upstream(reply(json={})) as pager:
        pagers = {"pager": pager}
        own = {**settings, "PLAIT_SERVICES_LISTEN": "127.0.0.1:0"}
        async with serving(
            workflows, upstreams=pagers, settings=own, arguments=["--role=runtime"]
        ) as runtime:
            address = runtime.lines[-1].rpartition(" ")[2]
            own = {**settings, "PLAIT_SERVICES_RUNTIME": address}
            async with serving(
                workflows, upstreams=pagers, settings=own, arguments=["--role=gateway"]
            ) as gateway:
                for _ in range(3):
                    assert (await gateway.ask("/kept", "POST", body={})).status == 422
                await pager.until_requests(1)
                listed = "/api/v1/executions?workflow=page&status=completed"
                async with asyncio.timeout(WAIT_S):
                    while not (await gateway.ask(listed)).json["executions"]:
                        pass
                gateway.stop()
                assert await gateway.ended() == 0
            runtime.stop()
            assert await runtime.ended() == 0
        (request,) = pager.requests
    assert json.loads(request.body)["workflow"] == "kept"
    assert any("alert payments_fail is firing" in line for line in runtime.lines)


async def test_validate_tells_what_is_wrong_with_an_alert_and_where(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text('alert: x\nwhen: "${failure_rte > 0.1}"\nnotify: [{workflow: a b}]\n')
    done = await plait("validate", str(path))
    assert done.code == 2
    assert f"{path}:2:7: P001 an alert has no 'failure_rte' to read" in done.out
    assert f"{path}:3:21: D103 'workflow'" in done.out


@pytest.mark.parametrize("command", ["run", "explain"])
async def test_an_alert_is_no_workflow(tmp_path: Path, command: str) -> None:
    path = tmp_path / "alert.yaml"
    path.write_text(ALERT)
    done = await plait(command, str(path))
    assert done.code == 2
    assert "is an alert, no workflow" in done.err

"""What the platform records: each change once, and none that it cannot record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from plait.gateway.app import Gateway
from plait.gateway.control.operations import OPERATIONS
from plait.gateway.message import Request
from plait.ports.journal import StoreUnavailable
from plait.ports.records import Change
from plait.security.audit.log import OPEN
from plait.stores.sqlite.records import SqliteRecords
from tests.conformance.platform.test_roles_over_http import (
    BODIES,
    CREDENTIAL,
    ORDER,
    VERBS,
    Known,
)
from tests.conformance.platform.whole import whole

HOOK = {"type": "webhook", "path": "/beside", "secret": "s"}
SECRET = "s3cr3t-0f-th3-sh0p"
# They begin executions, and conversations, which have histories of their own.
UNRECORDED = {"execute_workflow", "create_session"}


class Asking:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def ask(
        self, method: str, path: str, body: Any = None, role: str = "admin", **headers: str
    ) -> tuple[int, Any]:
        own = {b"authorization": f"Bearer {role} default".encode()}
        own[b"content-type"] = b"application/json"
        own |= {
            name.replace("_", "-").encode(): text.encode() for name, text in headers.items()
        }
        path, _, query = path.partition("?")
        data = b"" if body is None else orjson.dumps(body)
        request = Request(method, f"/api/v1{path}", query, own, data, "10.0.0.7")
        reply = await self._gateway.handle(request)
        return reply.status, orjson.loads(reply.body)

    async def entries(self) -> list[Any]:
        status, told = await self.ask("GET", "/audit?limit=500")
        assert status == 200
        found: list[Any] = told["entries"]
        return found


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[Asking]:
    async with whole(folder, Known()) as gateway:
        yield Asking(gateway)


def test_every_operation_that_changes_something_is_recorded() -> None:
    changing = {one.name for one in OPERATIONS if one.method != "GET"}
    recorded = {one.name for one in OPERATIONS if one.action}
    assert recorded == changing - UNRECORDED


async def test_each_change_is_one_entry_with_who_what_when_and_whence(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path) as own:
        wanted = {"name": "order", "workflow_definition": ORDER}
        await own.ask("POST", "/workflow/deployments", wanted, x_request_id="r-1")
        started = {"workflow": "order", "wait": "0s"}
        _, told = await own.ask("POST", "/workflow/execute", started)
        execution = told["execution_id"]
        for name, body in VERBS.items():
            verb = name.removesuffix("_execution") + ("s" if "signal" in name else "")
            await own.ask("POST", f"/executions/{execution}/{verb}", body)
        kept = {**CREDENTIAL, "fields": {"token": SECRET}}
        await own.ask("POST", "/credentials", {"name": "shop", **kept})
        await own.ask("PUT", "/credentials/shop", kept)
        await own.ask("DELETE", "/credentials/shop", {})
        await own.ask("DELETE", "/workflow/deployments/order", {})
        entries = list(reversed(await own.entries()))
        assert [one["action"] for one in entries] == [
            "deployment.deploy",
            *(f"execution.{name.removesuffix('_execution')}" for name in VERBS),
            *("credential.add", "credential.replace", "credential.remove"),
            "deployment.remove",
        ]
        first, cancel, *_ = entries
        assert first["who"] == "user:admin"
        assert first["request_id"] == "r-1"
        assert first["peer"] == "10.0.0.7"
        assert (first["subject"], first["outcome"]) == ("order", "done")
        assert cancel["subject"] == execution
        assert SECRET not in repr(entries)


async def test_what_was_refused_is_recorded_with_the_reason(tmp_path: Path) -> None:
    async with asking(tmp_path) as own:
        wanted = {"name": "shop", **CREDENTIAL}
        assert (await own.ask("POST", "/credentials", wanted, "viewer"))[0] == 403
        wrong = {**wanted, "fields": {"password": SECRET}}
        status, told = await own.ask("POST", "/credentials", wrong)
        assert (status, told["error"]["code"]) == (400, "credential.invalid")
        assert SECRET not in repr(told)
        codes = [(one["outcome"], one["code"]) for one in await own.entries()]
        assert codes == [
            ("refused", "credential.invalid"),
            ("refused", "request.forbidden"),
        ]


async def test_what_only_looks_is_not_recorded(tmp_path: Path) -> None:
    async with asking(tmp_path) as own:
        wanted = {"name": "order", "workflow_definition": ORDER}
        status, told = await own.ask(
            "POST", "/workflow/deployments?validate_only=true", wanted
        )
        assert (status, told["valid"]) == (200, True)
        await own.ask("GET", "/credentials")
        assert await own.entries() == []


async def test_a_new_version_that_is_only_validated_is_neither_deployed_nor_recorded(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path) as own:
        wanted = {"name": "order", "workflow_definition": ORDER}
        await own.ask("POST", "/workflow/deployments", wanted)
        _, before = await own.ask("GET", "/workflow/deployments/order")
        target = "/workflow/deployments/order?validate_only=true"
        for document, valid in (
            (ORDER.replace("paid", "sold"), True),
            ("name: order", False),
        ):
            told = await own.ask("PUT", target, {"workflow_definition": document})
            assert (told[0], told[1]["valid"]) == (200, valid)
        other = {"workflow_definition": ORDER.replace("name: order", "name: other")}
        status, refusal = await own.ask("PUT", target, other)
        assert (status, refusal["error"]["code"]) == (400, "deployment.refused")
        assert (await own.ask("GET", "/workflow/deployments/order"))[1] == before
        assert [one["action"] for one in await own.entries()] == ["deployment.deploy"]


async def test_what_would_be_refused_is_refused_alike_when_it_is_only_validated(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path) as own:
        wanted = {"name": "order", "workflow_definition": ORDER}
        await own.ask("POST", "/workflow/deployments", wanted)
        before = await own.entries()
        told = []
        for more, status, code in (
            ({"expected_version": "0" * 64}, 409, "deployment.conflict"),
            ({"triggers": [{"type": "nothing"}]}, 400, "deployment.refused"),
            ({"triggers": [HOOK, HOOK]}, 400, "deployment.refused"),
            ({"description": "x" * 10_001}, 400, "deployment.refused"),
        ):
            for method, path in (("POST", ""), ("PUT", "/order")):
                body = wanted if method == "POST" else {"workflow_definition": ORDER}
                target = f"/workflow/deployments{path}"
                changed = {**body, "workflow_definition": ORDER + "# other\n", **more}
                tried = await own.ask(method, f"{target}?validate_only=true", changed)
                assert (tried[0], tried[1]["error"]["code"]) == (status, code)
                told.append((tried, await own.ask(method, target, changed)))
        assert all(tried == done for tried, done in told)
        entries = await own.entries()
        assert len(entries) - len(before) == len(told)


@pytest.mark.parametrize("again", ["", "&validate_only="])
async def test_no_parameter_keeps_a_change_out_of_the_log(
    tmp_path: Path, again: str
) -> None:
    ids = {"execution_id": "e-1", "deployment_id": "w1", "name": "shop"}
    ids |= {"key_id": "k1", "user": "ann"}
    recorded = [one for one in OPERATIONS if one.action]
    actions = []
    async with asking(tmp_path) as own:
        for one in recorded:
            path = f"{one.path.format(**ids)}?validate_only=true{again}"
            status, told = await own.ask(one.method, path, BODIES[one.name] or {})
            if one.has_trial and status in (200, 404) and not again:
                assert "valid" in told or status == 404
            else:
                actions.append(one.action)
        entries = list(reversed(await own.entries()))
        assert [one["action"] for one in entries] == actions
        assert (await own.ask("GET", "/workflow/deployments"))[1]["deployments"] == []


async def test_where_nothing_can_be_recorded_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asking(tmp_path) as own:
        wanted = {"name": "order", "workflow_definition": ORDER}
        assert (await own.ask("POST", "/workflow/deployments", wanted))[0] == 201
        change = SqliteRecords.change

        async def full(self: Any, changes: Sequence[Change], at_ms: int) -> list[int]:
            if any(one.kind == OPEN and one.value is not None for one in changes):
                raise StoreUnavailable("the log is full")
            return await change(self, changes, at_ms)

        with monkeypatch.context() as broken:
            broken.setattr(SqliteRecords, "change", full)
            for method, path, body in (
                ("DELETE", "/workflow/deployments/order", {}),
                ("POST", "/credentials", {"name": "shop", **CREDENTIAL}),
            ):
                status, told = await own.ask(method, path, body)
                assert (status, told["error"]["code"]) == (503, "store.unavailable")
        _, told = await own.ask("GET", "/workflow/deployments/order")
        assert told["status"] == "active"
        assert (await own.ask("GET", "/credentials/shop"))[0] == 404


async def test_a_change_whose_end_cannot_be_recorded_was_done_and_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asking(tmp_path) as own:
        change = SqliteRecords.change

        async def breaks(self: Any, changes: Sequence[Change], at_ms: int) -> list[int]:
            if any(one.kind == OPEN and one.value is None for one in changes):
                raise StoreUnavailable("gone")
            return await change(self, changes, at_ms)

        with monkeypatch.context() as broken:
            broken.setattr(SqliteRecords, "change", breaks)
            status, _ = await own.ask(
                "POST", "/credentials", {"name": "shop", **CREDENTIAL}
            )
        assert status == 201
        assert (await own.ask("GET", "/credentials/shop"))[0] == 200
        assert await own.entries() == []  # until it counts as lost

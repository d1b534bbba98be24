"""What an execution may use because of whose it is: secrets, and credentials."""

from __future__ import annotations

import os
from typing import Any

import pytest

from plait.assembly import compose
from plait.assembly.deploying import deployments
from plait.assembly.settings import EgressSection, Settings
from plait.assembly.sources import Configured
from plait.drivers.inline import Start as InlineStart
from plait.drivers.journal import Start
from plait.kernel import Kernel
from plait.model.caller import Caller
from plait.operations.deploying.errors import DefinitionInvalid
from plait.ports.platform import Wanted
from plait.security.vault import KeyRing, StoredVault
from plait.stores.memory import MemoryStore
from plait.stores.memory.records import MemoryRecords
from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.unit.drivers.policies import plan_of

TENANTS = ("default", "acme")
SETTINGS = Settings(egress=EgressSection(allow_private=True))


def reading(url: str) -> str:
    return (
        "name: w\nmode: express\nsteps:\n"
        f"  - {{id: get, type: http, request: {{url: {url}, "
        'headers: {X-Token: "${secrets.token}"}}}\n'
    )


def showing(url: str, name: str = "w") -> str:
    return (
        f"name: {name}\nmode: durable\nsteps:\n"
        f"  - {{id: get, type: http, credential: shop, request: {{url: {url}}}}}\n"
    )


async def test_the_operators_secrets_are_for_the_default_tenant_in_both_modes() -> None:
    configured = Configured(SETTINGS, {"token": "s3cr3t"})
    async with Upstream(reply(json=1)) as upstream:
        calls = compose.calls(SETTINGS)
        plan, store = plan_of(reading(upstream.url())), MemoryStore()
        express = compose.driver(configured, calls)
        durable = compose.journal_driver(configured, store, calls, worker_id="w")
        await durable.open()
        codes: list[Any] = []
        for tenant in TENANTS:
            start = InlineStart(f"e-{tenant}", {}, tenant=tenant)
            ended = await express.run(Kernel(plan), start)
            codes.append(ended.failure and ended.failure.code)
            await durable.start(plan, Start(f"d-{tenant}", {}, tenant=tenant))
            codes.append((await durable.ended(f"d-{tenant}")).standing.error_code)
        assert codes == [None, None, *["expression.no_such_key"] * 2]
        assert len(upstream.requests) == 2
        await durable.close()
        await calls.close()


async def test_a_durable_call_shows_its_own_tenants_credential_also_after_a_crash() -> None:
    own = StoredVault(MemoryRecords(), KeyRing({"k": os.urandom(32)}), lambda: 1_000)
    configured, store = Configured(SETTINGS, {}), MemoryStore()
    async with Upstream(reply(json=1)) as upstream:
        for tenant in TENANTS:
            wanted = {"name": "shop", "type": "bearer", "hosts": [upstream.url("")]}
            caller = Caller("ann", tenant, "admin")
            await own.add(caller, {**wanted, "fields": {"token": f"of-{tenant}"}})
        calls = compose.calls(SETTINGS, credentials=own)
        text = showing(upstream.url())
        waits = text.replace(
            "steps:\n", "order: sequence\nsteps:\n  - {id: nap, type: wait, for: 1ms}\n"
        )
        for tenant in TENANTS:
            one = compose.journal_driver(configured, store, calls, worker_id=f"1{tenant}")
            await one.open()
            await one.start(plan_of(waits), Start(tenant, {}, tenant=tenant))
            await one.perish()
        other = compose.journal_driver(configured, store, calls, worker_id="2")
        await other.open()
        for tenant in TENANTS:
            assert (await other.ended(tenant)).standing.status == "completed"
        shown = sorted({one.headers["authorization"] for one in upstream.requests})
        assert shown == ["Bearer of-acme", "Bearer of-default"]
        for tenant in TENANTS:
            history = await store.read(tenant)
            assert not any(b"of-" in entry.body for entry in history.entries)
        await other.close()
        await calls.close()


async def test_what_a_tenant_may_not_have_is_found_when_it_is_deployed() -> None:
    records = MemoryRecords()
    own = StoredVault(records, KeyRing({"k": os.urandom(32)}), lambda: 1_000)
    wanted: dict[str, Any] = {"name": "shop", "type": "bearer", "hosts": ["http://shop"]}
    wanted["fields"] = {"token": "t"}
    await own.add(Caller("ann", "default", "admin"), wanted)
    stored = deployments(SETTINGS, records)

    async def codes(tenant: str, text: str) -> list[str]:
        editor = Caller("ed", tenant, "editor")
        told = await stored.validate(editor, Wanted("", text))
        try:
            await stored.deploy(editor, Wanted("", text))
        except DefinitionInvalid as error:
            assert told["valid"] is False
            return [one.code for one in error.diagnostics]
        assert told["valid"] is True
        return []

    assert await codes("default", reading("http://shop/x")) == []
    assert await codes("acme", reading("http://shop/x")) == ["S003"]
    assert await codes("default", showing("http://shop/x", "a")) == []
    assert await codes("acme", showing("http://shop/x", "a")) == ["S001"]
    assert await codes("default", showing("http://evil/x", "b")) == ["S002"]
    template = '"http://${input.host}/x"'  # decided when the call is made
    assert await codes("default", showing(template, "c")) == []


async def test_a_version_whose_credential_was_removed_is_not_activated_again() -> None:
    records, admin = MemoryRecords(), Caller("ann", "default", "admin")
    own = StoredVault(records, KeyRing({"k": os.urandom(32)}), lambda: 1_000)
    wanted: dict[str, Any] = {"name": "shop", "type": "bearer", "hosts": ["http://shop"]}
    await own.add(admin, {**wanted, "fields": {"token": "t"}})
    stored = deployments(SETTINGS, records)
    await stored.deploy(admin, Wanted("", showing("http://shop/x")))
    plain = showing("http://shop/x").replace("credential: shop, ", "")
    await stored.deploy(admin, Wanted("", plain))
    await own.remove(admin, "shop")
    with pytest.raises(DefinitionInvalid):
        await stored.activate(admin, "w", None)
    assert (await stored.get(admin, "w"))["definition"] == plain

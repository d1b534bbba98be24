"""The part of the stores' contract that says who or what started an execution.

It stands in the first entry of the history, which a driver writes and anybody reads.

Not here: what starts executions, and what that is called (plait.operations.starters).
"""

from __future__ import annotations

import time
from typing import Final

from plait.compile import compile_text
from plait.document import Catalog
from plait.drivers.journal import JournalDriver, Start, Store
from plait.kernel import Kernel
from plait.model.json import JsonObject, JsonValue
from plait.operations import Fork, Hand, fork, restart, show, started_by
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, Done
from plait.ports.journal import Search
from plait.testing.store_suite import OpenStore

_CHILD: Final = compile_text(
    b'name: child\nsteps: [{id: a, type: set, value: "${trigger.type}"}]\n',
    name="child.yaml",
    catalog=Catalog(),
).plan
_PARENT: Final = compile_text(
    b"name: parent\nsteps: [{id: call, type: workflow, request: {name: child}}]\n",
    name="parent.yaml",
    catalog=Catalog(),
).plan
_BY: Final = "user:Zoë \U0001f388"
_TRIGGERS: Final[dict[str, JsonObject]] = {
    "http": {"type": "http", "by": _BY, "method": "POST", "path": "/ä/'x'"},
    "webhook": {"type": "webhook", "path": "/paid", "id": "msg_7"},
    "cli": {"type": "cli", "by": "cli:ann"},
}


class StartersSuite:
    """Executions that a driver has begun, read through another opening of the store."""

    async def test_who_or_what_started_an_execution_is_read_back(
        self, stores: OpenStore
    ) -> None:
        written, read = await stores(), await stores()
        driver = _driver(written)
        await driver.open()
        for name, trigger in _TRIGGERS.items():
            more: JsonObject = {**trigger, "headers": {"x": "1"}}
            await driver.start(_CHILD, Start(name, {}, more))
            assert await _starter(read, name) == trigger
        await driver.start(_CHILD, Start("nobody", {}))
        await driver.start(_PARENT, Start("parent", {}, _TRIGGERS["cli"]))
        await driver.ended("parent")
        # What has ended keeps it.
        assert await _starter(read, "parent") == _TRIGGERS["cli"]
        assert await _starter(read, "nobody") is None
        by_step = {"type": "workflow", "step": "call", "execution_id": "parent"}
        assert await _starter(read, await _child_of(read, "parent")) == by_step
        await driver.close()

    async def test_who_began_an_execution_again_is_read_back(
        self, stores: OpenStore
    ) -> None:
        written, read = await stores(), await stores()
        driver = _driver(written)
        await driver.open()
        await driver.start(_CHILD, Start("x", {}, _TRIGGERS["http"]))
        await driver.ended("x")
        await driver.close()
        hand = Hand(written, Kernel, "hand", int(time.time() * 1000), {}, by=_BY)
        await restart(hand, "x", "restarted")
        await fork(hand, Fork("x", "a"), "forked")
        for verb in ("restart", "fork"):
            again = {"type": verb, "by": _BY, "execution_id": "x"}
            assert await _starter(read, f"{verb}ed") == again
        assert await _starter(read, "x") == _TRIGGERS["http"]


class _NoCalls:
    """Nobody is called."""

    def start(self, call: Call, done: Done) -> CallHandle:
        raise AssertionError(f"{call.step} calls somebody")

    async def close(self) -> None:
        """Nothing to close."""


def _driver(store: Store) -> JournalDriver:
    def workflows(tenant: str, name: str) -> Plan | None:
        del tenant
        return _CHILD if name == "child" else None

    return JournalDriver(
        store, _NoCalls(), Kernel, worker_id="starter", workflows=workflows
    )


async def _starter(store: Store, execution_id: str) -> JsonValue:
    history = await store.read(execution_id)
    return started_by(show(history, 0).started.trigger)


async def _child_of(store: Store, parent: str) -> str:
    found = await store.find(Search(parent=parent))
    (child,) = [one.new.execution_id for one in found]
    return child

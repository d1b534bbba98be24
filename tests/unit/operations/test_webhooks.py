"""Webhooks whose workflow changes between two deliveries of one message."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from plait.compile import compile_text
from plait.drivers.inputs import InvalidInput
from plait.drivers.journal import Unplaceable
from plait.gateway.deployment import Deployment
from plait.kernel import Kernel
from plait.operations.keeper import Keeper, Kept
from plait.operations.webhooks import LocalTriggers, signature
from plait.ports.journal import Search
from plait.ports.platform import Delivery
from plait.ports.status import details_of
from plait.stores.memory import MemoryStore
from tests.unit.gateway.scenes import CATALOG
from tests.unit.stores.histories import running

KEY = b"0123456789abcdef01234567"
AT_S = 1_700_000_000
FIRST: Any = {
    "name": "paid",
    "triggers": [{"type": "webhook", "path": "/paid", "secret": "shop"}],
    "steps": [{"id": "seen", "type": "set", "value": "${input.order}"}],
}
STRICTER: Any = {**FIRST, "input": {"type": "object", "required": ["order", "by"]}}
ELSEWHERE: Any = {**FIRST, "concurrency": {"key": "${input.shop.name}", "max": 1}}


def served(document: Any) -> Deployment:
    """Return a document as it is served."""
    plan = compile_text(orjson.dumps(document), name="a.json", catalog=CATALOG).plan
    return Deployment("paid", plan)


def message(message_id: str, body: bytes = b'{"order":7}') -> Delivery:
    """Return what a sender sends, signed."""
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(AT_S),
        "webhook-signature": signature(KEY, message_id, str(AT_S), body),
    }
    return Delivery("/paid", "POST", headers=headers, body=body)


@dataclass
class Scene:
    """A webhook's workflow, which may become another, and the store of its executions."""

    store: MemoryStore
    triggers: LocalTriggers
    active: list[Deployment]


@asynccontextmanager
async def scene(document: Any) -> AsyncIterator[Scene]:
    store, active = MemoryStore(), [served(document)]
    async with running(store) as driver:
        kept = Kept(driver, store, Kernel, store.close)

        async def open_() -> Kept:
            return kept

        secrets = {"shop": base64.b64encode(KEY).decode()}
        keeper = Keeper(open_)
        triggers = LocalTriggers(keeper, lambda: [*active], secrets, now_s=lambda: AT_S)
        yield Scene(store, triggers, active)


@pytest.mark.parametrize(
    ("second", "refusal"),
    [(STRICTER, InvalidInput), (ELSEWHERE, Unplaceable)],
    ids=["a stricter schema", "a lane that needs more"],
)
async def test_what_was_accepted_is_accepted_again_whatever_the_workflow_became(
    second: Any, refusal: type[Exception]
) -> None:
    async with scene(FIRST) as case:
        first = await case.triggers.deliver(message("msg_1"))
        case.active[:] = [served(second)]
        assert await case.triggers.deliver(message("msg_1")) == first
        with pytest.raises(refusal):
            await case.triggers.deliver(message("msg_2"))
        assert len(await case.store.find(Search())) == 1


async def test_a_message_that_does_not_fit_is_told_where() -> None:
    async with scene(STRICTER) as case:
        with pytest.raises(InvalidInput) as caught:
            await case.triggers.deliver(message("msg_1"))
        missing = {"path": "/by", "message": '"by" is a required property'}
        assert details_of(caught.value) == {"violations": [missing]}

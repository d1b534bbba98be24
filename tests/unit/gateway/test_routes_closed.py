"""Every route of the OpenAPI document, asked by somebody who shows nothing."""

from __future__ import annotations

import re

from tests.unit.gateway.test_access import Guarded

# What answers who shows nothing, and why. Whatever else the document has is closed.
OPEN = {
    "health": "it says how the gateway is",
    "health_ready": "it says how the gateway is",
    "get_execution": "who knows its id learns how it ended",
    "follow_execution": "who knows its id learns how it ended",
    "deliver_webhook": "its trigger checks the signature",
}


async def test_every_route_of_the_document_is_closed_but_for_those_that_are_listed() -> (
    None
):
    guarded = Guarded()
    scene = await guarded.scene()
    document = (await guarded.ask(scene, "/openapi.json", "admin", method="GET")).json
    found: dict[str, int] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            target = re.sub(r"\{\w+\}", "x", path)
            seen = await scene.ask(target, method.upper(), json={})
            found[operation["operationId"]] = seen.status
    assert len(found) > 25
    assert {name for name, status in found.items() if status != 401} == set(OPEN)

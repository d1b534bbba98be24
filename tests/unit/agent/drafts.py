"""What the tests of the agent draft from: a shop's OpenAPI document, and workflows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from plait.agent import (
    EmbeddedDrafter,
    Knowledge,
    KnownWorkflow,
    Made,
    NotMade,
    Progress,
    Task,
    read_openapi,
)
from plait.assembly.compose import catalog
from plait.document.source import read_source

ROOT = Path(__file__).resolve().parents[3]
SHOP = read_openapi((ROOT / "examples/agent/shop.yaml").read_bytes(), "shop")
CATALOG = catalog()
SETTLE = KnownWorkflow(
    "settle-accounts",
    "Settles the accounts of a month",
    {"type": "object", "required": ["month"], "properties": {"month": {"type": "string"}}},
)


def knowledge() -> Knowledge:
    """Return what is known of the shop, new."""
    return Knowledge(SHOP, [SETTLE])


async def drafted(
    *said: str, base: str | None = None, known: Knowledge | None = None
) -> tuple[list[Progress], Made | NotMade]:
    """Return what happened on the way, and what came of it."""
    task = Task(said, base, known or knowledge())
    way: list[Progress] = []
    async for one in EmbeddedDrafter(CATALOG).draft(task):
        if isinstance(one, Progress):
            way.append(one)
        else:
            return way, one
    raise AssertionError("the drafter came to no end")


def draft_now(*said: str, base: str | None = None, known: Knowledge | None = None) -> Any:
    """Return the values of a draft; the test fails when there is none."""
    _, ended = asyncio.run(drafted(*said, base=base, known=known))
    assert isinstance(ended, Made), ended
    return values(ended.text)


def values(text: str) -> Any:
    """Return what a document's text means."""
    return read_source(text.encode(), name="draft.yaml").value


def steps_of(document: Any) -> dict[str, Any]:
    """Return every step at any depth, by its id."""
    found: dict[str, Any] = {}
    if isinstance(document, list):
        for inner in document:
            found |= steps_of(inner)
    elif isinstance(document, dict):
        if "id" in document and "type" in document:
            found[document["id"]] = document
        for inner in document.values():
            found |= steps_of(inner)
    return found

"""Deployments over records in memory: documents are short, and their clock is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from plait.compile import Compiled, compile_text
from plait.connectors.http.step import HttpStep
from plait.document import Catalog
from plait.model.caller import LOCAL, Caller
from plait.operations.deploying import ActiveDeployments, StoredDeployments
from plait.ports.platform import Wanted
from plait.ports.records import Change, Record
from plait.stores.memory.records import MemoryRecords

CATALOG = Catalog([HttpStep])
KINDS = ("deployment", "deployment.version", "deployment.claim")


class Interleaved(MemoryRecords):
    """Records that let others get on whenever they are asked, as those of a server do."""

    async def get(self, kind: str, tenant: str, key: str) -> Record | None:
        """See plait.ports.records.Records."""
        await asyncio.sleep(0)
        return await super().get(kind, tenant, key)

    async def change(self, changes: Sequence[Change], at_ms: int) -> list[int]:
        """See plait.ports.records.Records."""
        await asyncio.sleep(0)
        return await super().change(changes, at_ms)


def text(name: str = "hello", value: str = "1", path: str | None = None) -> str:
    """Return a document that answers with `value`."""
    endpoint = f"endpoint: {{path: {path}}}\n" if path else ""
    return (
        f"name: {name}\nmode: express\n{endpoint}"
        f"steps:\n  - {{id: said, type: set, value: {value}}}\n"
    )


async def compiles(name: str, definition: str) -> Compiled:
    """Compile a document."""
    return compile_text(definition.encode(), name=name, catalog=CATALOG)


def service(
    records: MemoryRecords,
    clock: Iterator[int] | None = None,
    *,
    is_operators: bool = False,
) -> StoredDeployments:
    """Return deployments whose moments are 0, 1000, 2000 ms."""
    moments = clock or count(0, 1000)
    return StoredDeployments(
        records, compiles, now_ms=lambda: next(moments), is_operators=is_operators
    )


def active(records: MemoryRecords) -> ActiveDeployments:
    """Return what is active in `records`."""
    return ActiveDeployments(records, compiles)


async def everything(records: MemoryRecords) -> list[Any]:
    """Return all that deployments have kept."""
    return [one for kind in KINDS for one in await records.find(kind, None)]


async def deploy(
    made: StoredDeployments, definition: str, caller: Caller = LOCAL, **more: Any
) -> Any:
    """Deploy a document under its own name."""
    return await made.deploy(caller, Wanted("", definition, **more))

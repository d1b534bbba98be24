"""The whole platform inside this process, where a proof can look at what it does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from plait.assembly import serving
from plait.assembly.compose import catalog
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured
from plait.compile import compile_text
from plait.gateway.app import Gateway
from plait.gateway.deployment import Deployment
from tests.unit.gateway.wires import listening


@asynccontextmanager
async def platform(
    folder: Path,
    documents: Sequence[str],
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[Gateway, tuple[str, int]]]:
    """Serve `documents`, as files of the operator, from a store in `folder`.

    Yields:
        The gateway, and the address on which it listens.
    """
    told = {"store": {"url": str(folder / "plait.db")}, **(settings or {})}
    configured = Configured(Settings.model_validate(told), secrets or {})
    gateway = serving.gateway(configured)
    known = catalog()
    gateway.deploy(
        [
            Deployment(
                f"{number}.yaml",
                compile_text(one.encode(), name=f"{number}.yaml", catalog=known).plan,
            )
            for number, one in enumerate(documents)
        ]
    )
    await gateway.prepare()
    options: dict[str, Any] = {
        "limits": serving.connection_limits(configured.settings),
        "screen": gateway.screen,
        "refuse": gateway.refuse,
        "admit": gateway.admit,
    }
    try:
        gateway.begin()
        async with listening(gateway.handle, **options) as (_, address):
            yield gateway, address
            gateway.begin_drain()
    finally:
        await gateway.close()

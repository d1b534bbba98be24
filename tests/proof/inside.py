"""The whole platform inside this process, where a proof can look at what it does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from plait.assembly import roles, serving
from plait.assembly.compose import catalog
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured
from plait.compile import compile_text
from plait.gateway.app import Gateway
from plait.gateway.deployment import Deployment
from plait.services.server import ServiceServer
from tests.unit.gateway.wires import listening


@asynccontextmanager
async def platform(
    folder: Path,
    documents: Sequence[str],
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    vault_keys: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[Gateway, tuple[str, int]]]:
    """Serve `documents`, as files of the operator, from a store in `folder`.

    Yields:
        The gateway, and the address on which it listens.
    """
    told = {"store": {"url": str(folder / "plait.db")}, **(settings or {})}
    own = Settings.model_validate(told)
    configured = Configured(own, secrets or {}, vault_keys or {})
    gateway = serving.gateway(configured)
    async with _served(gateway, documents, own) as address:
        yield gateway, address


@asynccontextmanager
async def split_platform(
    folder: Path, documents: Sequence[str], settings: Mapping[str, Any]
) -> AsyncIterator[tuple[Gateway, tuple[str, int]]]:
    """Serve as `platform` does, by a gateway and services that speak gRPC to each other."""
    told = {"store": {"url": str(folder / "plait.db")}, **settings}
    configured = Configured(Settings.model_validate(told), {})
    async with AsyncExitStack() as stack:
        address = await serve_roles(stack, configured)
        services = dict.fromkeys(roles.SERVICES, address)
        own = Settings.model_validate({**told, "services": services})
        gateway = roles.gateway(Configured(own, {}))
        yield gateway, await stack.enter_async_context(_served(gateway, documents, own))


async def serve_roles(stack: AsyncExitStack, configured: Configured) -> str:
    """Serve all services on one free port until `stack` ends; return the address."""
    made = {}
    for role, build in roles.BUILDERS.items():
        made[role] = build(configured, None, [])
        stack.push_async_callback(made[role].close)
        await made[role].prepare()
    server = ServiceServer({role: one.servicer for role, one in made.items()})
    port = await server.listen("127.0.0.1:0")
    stack.push_async_callback(server.drain, 0.0)
    await server.tell(is_ready=True)
    return f"127.0.0.1:{port}"


@asynccontextmanager
async def _served(
    gateway: Gateway, documents: Sequence[str], settings: Settings
) -> AsyncIterator[tuple[str, int]]:
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
        "limits": serving.connection_limits(settings),
        "screen": gateway.screen,
        "refuse": gateway.refuse,
        "admit": gateway.admit,
    }
    try:
        gateway.begin()
        async with listening(gateway.handle, **options) as (_, address):
            yield address
            gateway.begin_drain()
    finally:
        await gateway.close()

"""The gateway, put together from settings, and what it is given to serve."""

from __future__ import annotations

import asyncio
import secrets
from asyncio import Future
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_address

from plait.assembly import compose
from plait.assembly.connectors import Connector
from plait.assembly.deployed import loaded
from plait.assembly.deploying import deploying
from plait.assembly.documents import LoadedFile
from plait.assembly.settings import GatewaySection, Settings
from plait.assembly.sources import Configured
from plait.assembly.stores import is_there, open_store
from plait.drivers.children import Workflows
from plait.gateway.app import Gateway, GatewaySettings
from plait.gateway.control.asked import Services
from plait.gateway.deployment import Loaded
from plait.gateway.http1 import HttpLimits
from plait.operations.executing import LocalExecutions
from plait.operations.keeper import Keeper, Kept
from plait.plan import Plan
from plait.ports.calls import Calls


def gateway(
    configured: Configured, connectors: Iterable[Connector] | None = None
) -> Gateway:
    """Return a gateway that serves nothing yet (`deploy`). Call it inside the event loop.

    Args:
        connectors: Which calls it can make; None: all installed.
    """
    own = configured.settings.gateway
    performer = compose.calls(configured.settings, connectors, configured.secrets)

    def workflows(name: str) -> Plan | None:
        return made.plan_named(name)

    keeper = Keeper(
        partial(_open, configured, performer, workflows),
        is_there=is_there(configured.settings.store.url),
        secrets=configured.secrets,
    )
    stored = deploying(configured.settings, connectors)
    made = Gateway(
        compose.driver(configured, performer, workflows),
        settings=GatewaySettings(
            request_timeout_ms=own.request_timeout,
            in_flight_max=own.in_flight_max,
            json_depth_max=own.json_depth_max,
            cache_bytes_max=own.cache_bytes_max,
            has_docs=own.docs,
            has_metrics=own.metrics,
            has_open_api=_is_open(own),
        ),
        kernel_for=partial(compose.kernel, configured.settings),
        keeper=keeper,
        follower=stored.follower,
        on_close=performer.close,
        policies=performer.snapshot,
        services=Services(
            executions=LocalExecutions(keeper), deployments=stored.deployments
        ),
    )
    return made


async def _open(configured: Configured, performer: Calls, workflows: Workflows) -> Kept:
    """Open the store of the settings, with a worker that runs what is in it."""
    settings = configured.settings
    store = await open_store(settings.store.url)
    worker_id = secrets.token_hex(8)
    driver = compose.journal_driver(
        configured, store, performer, worker_id=worker_id, workflows=workflows
    )

    sweeper, sweeping = compose.sweeper(settings, store, worker_id), list[Future[None]]()

    async def close() -> None:
        for task in sweeping:
            task.cancel()
        await asyncio.gather(*sweeping, return_exceptions=True)
        await driver.close()
        await store.close()

    try:
        await driver.open()
    except BaseException:
        await close()
        raise
    if sweeper is not None:
        sweeping.append(asyncio.ensure_future(sweeper.run()))
    return Kept(driver, store, partial(compose.kernel, settings), close)


def _is_open(own: GatewaySection) -> bool:
    """Tell whether whoever reaches the gateway is taken for its operator."""
    if own.open_api is not None:
        return own.open_api
    with suppress(ValueError):
        return ip_address(own.host).is_loopback
    return own.host == "localhost"


def connection_limits(settings: Settings) -> HttpLimits:
    """Return what a connection to the gateway may cost."""
    own = settings.gateway
    return HttpLimits(
        head_bytes_max=own.head_bytes_max,
        body_bytes_max=own.body_bytes_max,
        head_timeout_ms=own.head_timeout,
        body_timeout_ms=own.body_timeout,
        idle_timeout_ms=own.idle_timeout,
        write_timeout_ms=own.write_timeout,
        held_bytes_max=own.held_bytes_max,
    )


def deployments(files: Sequence[LoadedFile]) -> list[Loaded]:
    """Return what the gateway takes for each of `files`."""
    return [loaded(file) for file in files]

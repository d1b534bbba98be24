"""What runs executions in this process: their calls, their store, and who hears of them.

Not here: what is served with it (plait.assembly.serving), and what each service of a split
platform has of it (plait.assembly.roles).
"""

from __future__ import annotations

import asyncio
import secrets
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from plait.assembly import compose
from plait.assembly.connectors import Available
from plait.assembly.deploying import Deploying, deploying
from plait.assembly.sources import Configured
from plait.assembly.stores import is_there, open_store
from plait.assembly.telemetry import Telemetry, telemetry
from plait.assembly.vaults import vault
from plait.drivers.children import Workflows
from plait.drivers.clock import now_ms
from plait.drivers.closing import close_all
from plait.drivers.inline import InlineDriver
from plait.drivers.policies import PolicedCalls
from plait.model.record import record
from plait.operations.definitions import compiles
from plait.operations.engine import LocalEngine
from plait.operations.keeper import Keeper, Kept
from plait.plan import Plan
from plait.ports.calls import Calls
from plait.security.vault import StoredVault


@record
class Executing:
    """What runs executions, and what they need.

    Attributes:
        told: Hears of requests and executions.
        stored: What is deployed in the store, and all its records.
        vault: The credentials of the store.
        performer: Makes calls, and shows credentials in them.
        keeper: Opens the store when somebody needs it, with a worker.
    """

    told: Telemetry
    stored: Deploying
    vault: StoredVault
    performer: PolicedCalls
    keeper: Keeper

    @property
    def trouble(self) -> str | None:
        """Why the store cannot be worked with now, as a code; None: it can.

        The keeper opens it when somebody needs it; the follower looks all the time.
        """
        return self.keeper.trouble or self.stored.follower.trouble

    async def close(self) -> None:
        """Give back what is under way, and let go of everything."""
        self.keeper.begin_drain()
        await close_all(
            self.keeper.close,
            self.stored.follower.close,
            self.performer.close,
            self.told.close,
        )


def executing(
    configured: Configured, connectors: Iterable[Available] | None, workflows: Workflows
) -> Executing:
    """Return what runs executions. Opens nothing yet; call it inside the event loop.

    Args:
        connectors: Which calls it can make; None: all installed.
        workflows: Finds the workflows that `workflow` steps name.

    Raises:
        SettingsInvalid: Two settings contradict each other.
    """
    settings, told = configured.settings, telemetry(configured)
    stored = deploying(settings, connectors)
    own_vault = vault(configured, stored.records)
    performer = compose.calls(settings, connectors, configured.secrets, own_vault)
    keeper = Keeper(
        partial(open_kept, configured, performer, workflows, told),
        is_there=is_there(settings.store.url),
        secrets=configured.secrets,
    )
    return Executing(told, stored, own_vault, performer, keeper)


def local_engine(
    configured: Configured,
    connectors: Iterable[Available] | None,
    driver: InlineDriver,
    keeper: Keeper,
    find: Callable[[str, str], Awaitable[Plan | None]],
) -> LocalEngine:
    """Return the engine in this process.

    Args:
        find: Returns the plan of a tenant's workflow by its name.
    """
    settings = configured.settings
    return LocalEngine(
        driver,
        partial(compose.kernel, settings),
        keeper,
        find=find,
        compile_=compiles(compose.catalog(connectors), compose.source_limits(settings)),
        request_timeout_ms=settings.gateway.request_timeout,
    )


async def open_kept(
    configured: Configured,
    performer: Calls,
    workflows: Workflows,
    told: Telemetry | None = None,
) -> Kept:
    """Open the store of the settings, with a worker that runs what is in it.

    Args:
        told: Hears of what it runs; None: nobody does.
    """
    settings = configured.settings
    if told is not None:
        told.stock.begin()
    store = await open_store(settings.store.url)
    worker_id = secrets.token_hex(8)
    driver = compose.journal_driver(
        configured,
        store,
        performer,
        worker_id=worker_id,
        workflows=workflows,
        telemetry=told,
    )

    sweeper, sweeping = compose.sweeper(settings, store, worker_id), list[Future[None]]()

    async def close() -> None:
        for task in sweeping:
            task.cancel()
        await asyncio.gather(*sweeping, return_exceptions=True)
        await close_all(driver.close, store.close)

    try:
        await driver.open()
    except BaseException:
        await close()
        raise
    if sweeper is not None:
        sweeping.append(asyncio.ensure_future(sweeper.run()))
    if told is not None:
        told.stock.watch(lambda: driver.room.acting, lambda: driver.room.waiting)
        looking = told.stock.run(store, now_ms)
        sweeping.append(asyncio.ensure_future(looking))
    return Kept(driver, store, partial(compose.kernel, settings), close)

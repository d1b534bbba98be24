"""A gateway with every service in this process, over one store: the whole platform."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from plait.assembly import agents, compose, executing
from plait.assembly.deploying import deploying
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured
from plait.assembly.vaults import accounts, audit_log, vault
from plait.gateway.app import Gateway, GatewaySettings
from plait.gateway.control.asked import Services
from plait.gateway.parts import Running
from plait.operations.executing import LocalExecutions
from plait.operations.keeper import Keeper
from plait.operations.webhooks import LocalTriggers
from plait.plan import Plan
from plait.ports.identity import Authenticator


@asynccontextmanager
async def whole(
    folder: Path, authenticator: Authenticator | None = None
) -> AsyncIterator[Gateway]:
    """Serve from a store in `folder`; without an authenticator whoever asks may all."""
    settings = Settings.model_validate({"store": {"url": str(folder / "plait.db")}})
    configured = Configured(settings, {}, {"key": "00" * 32})
    stored = deploying(settings)
    own_vault = vault(configured, stored.records)
    performer = compose.calls(settings, credentials=own_vault)

    async def find(tenant: str, name: str) -> Plan | None:
        return gateway.plan_named(tenant, name)

    def workflows(tenant: str, name: str) -> Plan | None:
        return gateway.plan_named(tenant, name)

    keeper = Keeper(partial(executing.open_kept, configured, performer, workflows))
    driver = compose.driver(configured, performer)
    gateway = Gateway(
        driver,
        running=Running(
            kernel_for=partial(compose.kernel, settings),
            keeper=keeper,
            follower=stored.follower,
        ),
        on_close=performer.close,
        services=Services(
            executions=LocalExecutions(keeper),
            engine=executing.local_engine(configured, None, driver, keeper, find),
            deployments=stored.deployments,
            triggers=LocalTriggers(
                keeper, lambda: gateway.snapshot.deployments, {}, now_s=time.time
            ),
            agent=agents.agent(
                configured, compose.catalog(), stored.records, stored.deployments
            ),
            vault=own_vault,
            audit=audit_log(stored.records),
            accounts=accounts(stored.records),
        ),
        settings=GatewaySettings(has_open_api=authenticator is None),
        authenticator=authenticator,
    )
    await gateway.prepare()
    try:
        gateway.begin()
        yield gateway
    finally:
        gateway.begin_drain()
        await gateway.close()

"""The gateway, put together from settings, and what it is given to serve."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from plait.assembly import compose
from plait.assembly.brought import brought_to_gateway
from plait.assembly.connectors import Available
from plait.assembly.deployed import loaded
from plait.assembly.deploying import Deploying
from plait.assembly.documents import LoadedFile
from plait.assembly.executing import executing, local_engine
from plait.assembly.late import LateAgent
from plait.assembly.security import guarded
from plait.assembly.settings import GatewaySection, Settings
from plait.assembly.sources import Configured
from plait.assembly.vaults import accounts, audit_log, with_checked_keys
from plait.drivers.closing import close_all
from plait.gateway.app import Gateway, GatewaySettings
from plait.gateway.control.asked import Services
from plait.gateway.deployment import Deployment, Loaded
from plait.gateway.http1 import HttpLimits
from plait.gateway.parts import Running, Telling
from plait.operations.executing import LocalExecutions
from plait.operations.webhooks import LocalTriggers
from plait.plan import Plan


def gateway(
    configured: Configured,
    connectors: Iterable[Available] | None = None,
    tell_key: Callable[[str], None] | None = None,
) -> Gateway:
    """Return a gateway that serves nothing yet (`deploy`). Call it inside the event loop.

    Args:
        connectors: Which calls it can make; None: all installed.
        tell_key: Hears the first admin key of the store, once; None: none is made.

    Raises:
        SettingsInvalid: Two settings contradict each other.
    """

    def workflows(tenant: str, name: str) -> Plan | None:
        return made.plan_named(tenant, name)

    async def find(tenant: str, name: str) -> Plan | None:
        return workflows(tenant, name)

    def served() -> Sequence[Deployment]:
        return made.snapshot.deployments

    own, settings = executing(configured, connectors, workflows), configured.settings
    told, stored, performer, keeper = own.told, own.stored, own.performer, own.keeper
    driver = compose.driver(configured, performer, workflows, told)
    agent = _late_agent(configured, connectors, stored)
    brought = brought_to_gateway(configured)
    guards, first_start = guarded(
        configured, stored.records, performer, tell_key, brought, lambda: made.needs_store
    )

    made = Gateway(
        driver,
        settings=gateway_settings(settings.gateway),
        running=Running(
            kernel_for=partial(compose.kernel, settings),
            keeper=keeper,
            follower=stored.follower,
            policies=performer.snapshot,
        ),
        services=Services(
            executions=LocalExecutions(keeper),
            engine=local_engine(configured, connectors, driver, keeper, find),
            deployments=stored.deployments,
            triggers=LocalTriggers(keeper, served, configured.secrets, now_s=time.time),
            agent=agent,
            vault=own.vault,
            audit=audit_log(stored.records),
            accounts=accounts(stored.records, guards.forget),
        ),
        guards=guards,
        middleware=brought.layers,
        telling=Telling(told.watch, told.is_drawn, told.registry),
        on_prepare=with_checked_keys(own.vault, first_start),
        on_close=partial(
            close_all, brought.close, agent.close, performer.close, told.close
        ),
    )
    return made


def _late_agent(
    configured: Configured, connectors: Iterable[Available] | None, stored: Deploying
) -> LateAgent:
    """Return the agent in this process, made when somebody asks it."""
    return LateAgent(
        lambda agents: agents.agent(
            configured, compose.catalog(connectors), stored.records, stored.deployments
        )
    )


def gateway_settings(own: GatewaySection) -> GatewaySettings:
    """Return the limits and switches of a gateway."""
    return GatewaySettings(
        request_timeout_ms=own.request_timeout,
        in_flight_max=own.in_flight_max,
        queue_timeout_ms=own.queue_timeout,
        json_depth_max=own.json_depth_max,
        cache_bytes_max=own.cache_bytes_max,
        has_docs=own.docs,
        has_metrics=own.metrics,
    )


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
    return [loaded(file) for file in files if file.alert is None]

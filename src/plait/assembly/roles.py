"""The platform as processes of their own: what each of `plait serve --role` runs.

| role | in it | asks |
|---|---|---|
| `gateway` | HTTP: endpoints and control plane | engine, runtime, agent |
| `engine` | express executions, and the starts of durable ones | the store |
| `runtime` | deployments, executions, triggers; a worker | the store |
| `agent` | conversations | the store |

Imported only when a role is asked for: gRPC takes 0.2 s to import.

Not here: everything in one process (plait.assembly.serving), what the roles do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from plait.assembly import agents, compose
from plait.assembly.alerts import StartWorkflow, Watching, watch_alerts
from plait.assembly.brought import brought_to_gateway
from plait.assembly.connectors import Available
from plait.assembly.deploying import deploying, waiting_for
from plait.assembly.door import Door, token_of
from plait.assembly.executing import executing, local_engine
from plait.assembly.security import guarded
from plait.assembly.serving import gateway_settings
from plait.assembly.settings import ServicesSection, Settings
from plait.assembly.sources import Configured, SettingsInvalid
from plait.assembly.telemetry import Telemetry, telemetry
from plait.assembly.vaults import accounts, audit_log, checked_keys, vault
from plait.compile import Alert
from plait.drivers.closing import close_all
from plait.drivers.inline import Result, Start
from plait.gateway.app import Gateway
from plait.gateway.control.asked import Services
from plait.gateway.deployment import Deployment, Finding, Loaded
from plait.gateway.listener import url_of
from plait.gateway.parts import Running, Telling
from plait.gateway.policy_metrics import PolicyMetrics
from plait.gateway.serving import Stop, new_loop
from plait.kernel import Kernel
from plait.model.record import record
from plait.operations.engine import start_named
from plait.operations.executing import LocalExecutions
from plait.operations.runs import Express, LocalRunner, LocalRuns
from plait.operations.webhooks import LocalTriggers
from plait.plan import Plan
from plait.ports.observer import EXPRESS, About
from plait.services.agent import AgentServicer
from plait.services.call_metrics import CallMetrics
from plait.services.channel import Security, Sizes, security_of
from plait.services.engine import EngineServicer
from plait.services.links import LinkMetrics
from plait.services.remote import (
    Link,
    LinkTimes,
    RemoteAgent,
    RemoteDeployments,
    RemoteDriver,
    RemoteEngine,
    RemoteExecutions,
    RemoteRuns,
    RemoteTriggers,
)
from plait.services.runtime import RuntimeServicer
from plait.services.server import ServiceServer
from plait.telemetry.metrics import ExecutionMetrics
from plait.telemetry.spans import Draw

logger = logging.getLogger("plait.services")

SERVICES: Final = ("engine", "runtime", "agent")
_LOOK_S: Final = 1.0
# What was cut off is told in the next turns of the loop, and over the network.
_LAST_WORD_S: Final = 0.25


@record
class Service:
    """One service, put together.

    Attributes:
        servicer: What answers for it.
        prepare: Opens what it needs.
        trouble: Why it cannot do its work now, as a code; None: it can.
        close: Lets go of everything.
        told: Where its metrics and spans are.
        start: Starts a durable execution by its workflow's name; None: it has none.
        cut: Ends what runs for who listens alone, and tells them; None: nothing does.
        follows: Awaited before each call with the revision of the store that who calls
            knows; None: it looks into the store whenever it is asked.
    """

    servicer: object
    prepare: Callable[[], Awaitable[None]]
    trouble: Callable[[], str | None]
    close: Callable[[], Awaitable[None]]
    told: Telemetry
    start: StartWorkflow | None = None
    cut: Callable[[], None] | None = None
    follows: Callable[[int], Awaitable[None]] | None = None


class Counted:
    """Runs express executions elsewhere, and counts them here."""

    def __init__(self, driver: Express, counts: ExecutionMetrics) -> None:
        self._driver = driver
        self._counts = counts

    async def run(self, kernel: Kernel, start: Start) -> Result:
        """See plait.operations.runs.Express."""
        result = await self._driver.run(kernel, start)
        trace, name = result.trace, kernel.plan.name
        about = About(start.execution_id, name, start.tenant, EXPRESS, (), 0.0)
        took_s, lines = trace.ended_s - trace.started_s, trace.steps.values()
        self._counts.ran(about, result.status, result.failure, took_s, lines, 0.0)
        return result


class Known:
    """The workflows that a service knows: files, and what is deployed in the store.

    Attributes:
        served: All of them, the files first; another sequence when they are others.
    """

    def __init__(self, files: Iterable[Loaded]) -> None:
        self._files = tuple(one for one in files if isinstance(one, Deployment))
        self.served: Sequence[Deployment] = self._files

    def serve(self, loaded: Sequence[Loaded]) -> list[Finding]:
        """Take what is deployed from now on."""
        stored = (one for one in loaded if isinstance(one, Deployment))
        self.served = (*self._files, *stored)
        return []

    def find(self, tenant: str, name: str) -> Plan | None:
        """Return the plan of a tenant's workflow; of two, a file's."""
        for one in self.served:
            if one.plan.name == name and one.tenant == tenant:
                return one.plan
        return None


# -- the gateway -----------------------------------------------------------------------


def gateway(
    configured: Configured,
    connectors: Iterable[Available] | None = None,
    tell_key: Callable[[str], None] | None = None,
) -> Gateway:
    """Return a gateway that runs nothing itself. Call it inside the event loop.

    Args:
        tell_key: Hears the first admin key of the store, once; None: none is made.

    Raises:
        SettingsInvalid: A certificate, key or token cannot be used.
    """
    settings, own = configured.settings, configured.settings.services
    told = telemetry(configured)
    security, links = _security(own), dict[str, Link]()
    wait_ms = settings.gateway.request_timeout
    stored = deploying(settings, connectors)
    follower = stored.follower
    for role in SERVICES:
        links[role] = _link(role, own, security, told.draw, lambda: follower.revision)

    def deployed(tenant: str) -> list[Plan]:
        return [one.plan for one in made.snapshot.deployments if one.tenant == tenant]

    def named(tenant: str, name: str) -> Plan | None:
        return made.plan_named(tenant, name)

    # It makes no calls of workflows; the keys of issuers are fetched through it.
    performer = compose.calls(settings, connectors, configured.secrets)
    brought = brought_to_gateway(configured)
    guards, first_start = guarded(
        configured, stored.records, performer, tell_key, brought, lambda: made.needs_store
    )

    made = Gateway(
        Counted(
            RemoteDriver(links["engine"], deployed, wait_ms=wait_ms),
            told.counts,
        ),
        settings=gateway_settings(settings.gateway),
        running=Running(
            kernel_for=partial(compose.kernel, settings),
            elsewhere=RemoteRuns(links["runtime"]),
            follower=follower,
        ),
        guards=guards,
        middleware=brought.layers,
        telling=Telling(told.watch, told.is_drawn, told.registry),
        on_prepare=first_start,
        on_close=partial(
            close_all,
            brought.close,
            performer.close,
            *(link.close for link in links.values()),
            told.close,
        ),
        services=Services(
            executions=RemoteExecutions(links["runtime"]),
            engine=RemoteEngine(links["engine"], wait_ms, named),
            deployments=RemoteDeployments(links["runtime"], follower.look),
            triggers=RemoteTriggers(links["runtime"]),
            agent=RemoteAgent(links["agent"]),
            vault=vault(configured, stored.records),
            audit=audit_log(stored.records),
            accounts=accounts(stored.records, guards.forget),
        ),
    )
    made.metrics.registry.register(LinkMetrics([*links.values()]))
    return made


def _link(
    role: str,
    own: ServicesSection,
    security: Security,
    draw: Draw | None,
    knows: Callable[[], int],
) -> Link:
    times = LinkTimes(deadline_ms=own.deadline, retries_max=own.retries_max)
    address: str = getattr(own, role)
    return Link(
        role,
        address,
        security=security,
        sizes=_sizes(own),
        times=times,
        draw=draw,
        knows=knows,
    )


def _sizes(own: ServicesSection) -> Sizes:
    return Sizes(own.message_bytes_max, own.keep_alive, own.connection_age)


def _listens_at(own: ServicesSection, role: str) -> str:
    address: str = own.listen or getattr(own, role)
    if "," in address:
        reason = f"services.{role} has several addresses: say in services.listen which"
        raise SettingsInvalid([f"{reason} is this process's own"])
    return address


def _security(own: ServicesSection) -> Security:
    try:
        return security_of(
            certificate=own.tls_certificate,
            key=own.tls_key,
            authority=own.tls_authority,
            token=own.token_file,
        )
    except OSError as error:
        reason = f"services: {error.filename} cannot be read: {error.strerror}"
        raise SettingsInvalid([reason]) from error
    except ValueError as error:
        raise SettingsInvalid([f"services: {error}"]) from error


# -- engine and runtime ----------------------------------------------------------------


def engine(
    configured: Configured, connectors: Iterable[Available] | None, files: Iterable[Loaded]
) -> Service:
    """Return the engine. Call it inside the event loop.

    Args:
        files: Workflows that it knows beside those that are deployed.
    """
    known = Known(files)
    own = executing(configured, connectors, known.find)
    follower, keeper = own.stored.follower, own.keeper
    driver = compose.driver(configured, own.performer, known.find, own.told)
    runner = LocalRunner(
        partial(compose.driver, configured, own.performer, telemetry=own.told),
        partial(compose.kernel, configured.settings),
    )

    async def find(tenant: str, name: str) -> Plan | None:
        plan = known.find(tenant, name)
        if plan is None:  # it may have been deployed since the last look
            await follower.look()
            plan = known.find(tenant, name)
        return plan

    made = local_engine(configured, connectors, driver, keeper, find)

    async def prepare() -> None:
        await checked_keys(own.vault)
        await follower.begin(known.serve, is_needed=False)

    own.told.registry.register(PolicyMetrics(own.performer.snapshot))
    servicer = EngineServicer(made, runner)
    start = partial(start_named, LocalRuns(keeper), known.find)
    return Service(
        servicer,
        prepare,
        lambda: own.trouble,
        own.close,
        own.told,
        start=start,
        cut=made.cut,
        follows=follower.at_least,
    )


def runtime(
    configured: Configured, connectors: Iterable[Available] | None, files: Iterable[Loaded]
) -> Service:
    """Return the runtime. Call it inside the event loop."""
    known = Known(files)
    own = executing(configured, connectors, known.find)
    stored, follower, keeper = own.stored, own.stored.follower, own.keeper
    triggers = LocalTriggers(
        keeper, lambda: known.served, configured.secrets, now_s=time.time
    )
    runs = LocalRuns(keeper)
    executions = LocalExecutions(keeper)
    servicer = RuntimeServicer(stored.deployments, executions, triggers, runs)

    async def prepare() -> None:
        await checked_keys(own.vault)
        await follower.begin(known.serve, is_needed=True)
        await keeper.keep()

    own.told.registry.register(PolicyMetrics(own.performer.snapshot))
    start = partial(start_named, runs, known.find)
    return Service(
        servicer,
        prepare,
        lambda: own.trouble,
        own.close,
        own.told,
        start=start,
        follows=follower.at_least,
    )


def agent(
    configured: Configured, connectors: Iterable[Available] | None, files: Iterable[Loaded]
) -> Service:
    """Return the agent. Call it inside the event loop.

    Raises:
        OpenapiUnusable: A file of `agent.openapi` is no OpenAPI document.
    """
    del files  # it drafts from what is deployed, which it can change by no means
    stored, told = deploying(configured.settings, connectors), telemetry(configured)
    catalog = compose.catalog(connectors)
    made = agents.agent(configured, catalog, stored.records, stored.deployments)

    watched = waiting_for(stored.records)

    async def prepare() -> None:
        await watched.begin(lambda _: [], is_needed=True)

    close = partial(close_all, made.close, watched.close, told.close)
    return Service(AgentServicer(made), prepare, lambda: watched.trouble, close, told)


BUILDERS: Final[
    Mapping[
        str, Callable[[Configured, Iterable[Available] | None, Iterable[Loaded]], Service]
    ]
] = {"engine": engine, "runtime": runtime, "agent": agent}


# -- life ------------------------------------------------------------------------------


def serve_role(
    role: str,
    configured: Configured,
    connectors: Iterable[Available] | None,
    files: Iterable[Loaded],
    alerts: Sequence[Alert],
    announce: Callable[[str], None],
) -> None:
    """Run a service until SIGTERM or SIGINT.

    Args:
        alerts: What it watches of what it counts; the agent watches none.
        announce: Hears `ROLE listening on HOST:PORT` once it takes calls.

    Raises:
        OpenService: It would be open to the network.
        OSError: The address cannot be listened on.
        SettingsInvalid: A certificate, key or token cannot be used.
        PlaitError: The store's address is none.
    """
    main = _serve(role, configured, connectors, files, alerts, announce)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main)


async def _serve(
    role: str,
    configured: Configured,
    connectors: Iterable[Available] | None,
    files: Iterable[Loaded],
    alerts: Sequence[Alert],
    announce: Callable[[str], None],
) -> None:
    settings, own = configured.settings, configured.settings.services
    stop = Stop.on_signals(asyncio.get_running_loop())
    security, token = _security(own), token_of(configured)
    service = BUILDERS[role](configured, connectors, files)
    watching = _watching(configured, connectors, service, alerts)
    door = Door(role, service.told.registry, service.trouble, token)
    address = _listens_at(own, role)
    server = ServiceServer(
        {role: service.servicer},
        security=security,
        sizes=_sizes(own),
        draw=service.told.draw,
        calls=_call_metrics(settings, service.told),
        follows=service.follows,
    )
    looking: asyncio.Task[None] | None = None
    try:
        at = await _opened(door, settings.telemetry.metrics_listen)
        await service.prepare()
        if watching is not None:
            await watching.begin()
        port = await server.listen(address)
        looking = asyncio.create_task(_tell_health(server, service))
        door.state = "ready"
        announce(f"{role} listening on {address.rpartition(':')[0]}:{port}")
        if at is not None:
            announce(f"{role} answers at {at}/metrics")
        await stop.asked.wait()
        door.state = "draining"
        await _drained(server, service, stop, settings.gateway.drain_timeout / 1000)
    finally:
        if looking is not None:
            looking.cancel()
        first = () if watching is None else (watching.close,)
        await close_all(partial(server.drain, 0.0), door.close, *first, service.close)


async def _drained(
    server: ServiceServer, service: Service, stop: Stop, patience_s: float
) -> None:
    """Take no more calls, and let those under way end as long as nobody insists.

    Whoever listens to what is cut off after that has a moment to hear so.
    """
    last_word_s = 0.0 if service.cut is None else _LAST_WORD_S
    draining = asyncio.create_task(server.drain(patience_s + last_word_s))
    insisted = asyncio.create_task(stop.insisted.wait())
    ends, first = (insisted, draining), asyncio.FIRST_COMPLETED
    await asyncio.wait(ends, timeout=patience_s, return_when=first)
    insisted.cancel()
    if service.cut is not None:
        service.cut()
        await asyncio.wait((draining,), timeout=_LAST_WORD_S)


def _watching(
    configured: Configured,
    connectors: Iterable[Available] | None,
    service: Service,
    alerts: Sequence[Alert],
) -> Watching | None:
    """Return what watches alerts; None: there are none, or nobody who could."""
    if not alerts or service.start is None:
        return None
    registry = service.told.registry
    return watch_alerts(configured, connectors, registry, service.start, alerts)


def _call_metrics(settings: Settings, told: Telemetry) -> CallMetrics | None:
    """Return what counts calls; None: nobody could read it."""
    own = settings.telemetry
    is_read = own.metrics_listen is not None or own.metrics_endpoint is not None
    return CallMetrics(told.registry) if is_read else None


async def _opened(door: Door, address: str | None) -> str | None:
    """Open the door at this address, if there is one; return its URL."""
    return None if address is None else url_of(*await door.listen(address))


async def _tell_health(server: ServiceServer, service: Service) -> None:
    """Tell health whether the service can do its work, whenever that changes."""
    told: bool | None = None
    while True:
        is_ready = service.trouble() is None
        if is_ready is not told:
            await server.tell(is_ready=is_ready)
            told = is_ready
        await asyncio.sleep(_LOOK_S)

"""The composition root: how what runs a workflow is put together from settings.

Read it from the bottom: a driver makes calls, calls go to connectors, connectors ask the
egress rules, and each is made here and nowhere else.

Not here: the gateway around it (plait.assembly.serving).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from plait.assembly.archives import archive_of_today
from plait.assembly.connectors import (
    Available,
    Brought,
    context_of,
    installed_connectors,
    ways,
)
from plait.assembly.policies import policed
from plait.assembly.routing import CallsByKind
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured
from plait.assembly.stores import paths_of
from plait.connectors.egress import Egress, EgressPolicy, ResolveMap
from plait.connectors.egress.resolver import Resolver
from plait.document import Catalog
from plait.document.source import SourceLimits
from plait.drivers.children import Workflows
from plait.drivers.clock import now_ms
from plait.drivers.credentials import CredentialedCalls, NoCredentials
from plait.drivers.inline import InlineDriver, WithInlineChildren
from plait.drivers.journal import JournalDriver, Store
from plait.drivers.policies import PolicedCalls
from plait.kernel import Kernel, Limits
from plait.operations import Keeping, Sweeper
from plait.plan import Plan
from plait.ports.calls import Call, Calls
from plait.ports.credentials import Credentials

if TYPE_CHECKING:  # commands that run nothing need no metrics: 0.05 s to import
    from plait.assembly.telemetry import Telemetry


def catalog(connectors: Iterable[Available] | None = None) -> Catalog:
    """Return every step type: built in, and of `connectors` (None: all installed)."""
    chosen = list(installed_connectors() if connectors is None else connectors)
    return Catalog(
        (one.step for one in chosen if not isinstance(one, Brought)),
        {one.name: partial(getattr, one, "step") for one in chosen if _is_late(one)},
    )


def egress(settings: Settings) -> Egress:
    """Return what turns hosts into addresses, by the operator's rules."""
    policy = EgressPolicy(
        allow_private=settings.egress.allow_private, allow=settings.egress.allow
    )
    resolver = Resolver(ttl_s=settings.http.name_ttl / 1000)
    return Egress(policy, ResolveMap(settings.resolve), resolver)


def calls(
    settings: Settings,
    connectors: Iterable[Available] | None = None,
    secrets: Mapping[str, str] | None = None,
    credentials: Credentials | None = None,
    on_close: Callable[[], Awaitable[None]] | None = None,
) -> PolicedCalls:
    """Return what performs the calls of every kind, under their policies.

    It holds the policies of the process. Close it when done.

    Args:
        secrets: What is masked in answers that other processes are given.
        credentials: What calls show; None: those that shall show one fail.
        on_close: Awaited when no call is under way any more.
    """
    chosen = installed_connectors() if connectors is None else connectors
    made: dict[str, Calls] = {}
    late: dict[str, Callable[[], Calls]] = {}
    upstreams: dict[str, Callable[[Mapping[str, object]], str]] = {}
    for connector in chosen:
        name = connector.name
        if connector.upstream is not None:
            upstreams[name] = connector.upstream
        context = context_of(connector, settings, egress(settings), secrets or {})
        if _is_late(connector) and name not in settings.connectors:
            late[name] = partial(connector.calls, context)
        else:  # what the settings speak of is wrong now, or never
            made[name] = connector.calls(context)

    def upstream_of(call: Call) -> str:
        own = upstreams.get(call.kind)
        return call.kind if own is None else own(call.request)

    shown = credentials or NoCredentials()
    inner = CredentialedCalls(CallsByKind(made, late), shown, ways(chosen), on_close)
    return policed(settings, inner, upstream_of, secrets)


def _is_late(connector: Available) -> bool:
    """Tell whether a connector is imported when it is used, and not before."""
    return isinstance(connector, Brought)


def source_limits(settings: Settings) -> SourceLimits:
    """Return how large a document's text may be."""
    own = settings.document
    return SourceLimits(
        bytes_max=own.bytes_max, depth_max=own.depth_max, nodes_max=own.nodes_max
    )


def kernel(settings: Settings, plan: Plan) -> Kernel:
    """Return what decides the executions of `plan`."""
    own = settings.execution
    limits = Limits(
        events_max=own.events_max,
        events_kept=own.events_kept,
        pending_max=own.pending_max,
    )
    return Kernel(plan, limits=limits)


def journal_driver(
    configured: Configured,
    store: Store,
    performer: Calls,
    *,
    worker_id: str,
    workflows: Workflows | None = None,
    telemetry: Telemetry | None = None,
) -> JournalDriver:
    """Return what runs durable executions. Call it inside the event loop.

    Args:
        workflows: Finds the plans of `workflow` steps.
        telemetry: Hears of them; None: nobody does.
    """
    return JournalDriver(
        store,
        performer if telemetry is None else telemetry.traced(performer),
        partial(kernel, configured.settings),
        worker_id=worker_id,
        env=configured.settings.env,
        secrets=configured.secrets,
        workflows=workflows,
        payload_bytes_max=configured.settings.execution.payload_bytes_max,
        history_bytes_max=configured.settings.execution.history_bytes_max,
        deaths_max=configured.settings.execution.deaths_max,
        held_max=configured.settings.execution.held_max,
        backlog_max=configured.settings.execution.backlog_max,
        observer=None if telemetry is None else telemetry.observer,
    )


def sweeper(settings: Settings, store: Store, worker_id: str) -> Sweeper | None:
    """Return what removes executions whose retention is over; None: all are kept."""
    own = settings.store
    if own.retention is None:
        return None
    archive = None
    if own.archive is not None:
        archive = partial(archive_of_today, own.archive, paths_of(own.url))
    return Sweeper(
        store,
        worker_id,
        Keeping(own.retention, archive),
        now_ms=now_ms,
    )


def driver(
    configured: Configured,
    performer: Calls,
    workflows: Workflows | None = None,
    telemetry: Telemetry | None = None,
) -> InlineDriver:
    """Return what runs executions; its calls go through `performer`.

    Args:
        workflows: Finds the plans of `workflow` steps.
        telemetry: Hears of executions; None: nobody does.
    """
    settings = configured.settings
    if telemetry is not None:
        performer = telemetry.traced(performer)
    found = workflows or (lambda *_: None)
    calls = WithInlineChildren(performer, found, partial(kernel, settings))
    calls.driver = InlineDriver(
        calls,
        env=settings.env,
        secrets=configured.secrets,
        observer=None if telemetry is None else telemetry.observer,
    )
    return calls.driver

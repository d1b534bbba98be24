"""The pipeline: everything between a route and its workflow, in order.

Read `build_pipeline` from top to bottom: the first layer is the innermost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from plait.gateway.access import Access, Doors
from plait.gateway.binding import METHODS_WITH_BODY, Binder
from plait.gateway.cache import ReplyCache
from plait.gateway.contract import InputContract
from plait.gateway.deadlines import Deadlines
from plait.gateway.durable import run_durable, with_backlog, with_store_errors
from plait.gateway.identity import IdentitySource
from plait.gateway.layers import (
    Handler,
    Room,
    cache_key,
    run_workflow,
    with_cache,
    with_deadline,
    with_error_reply,
    with_identity,
    with_input,
    with_metrics,
    with_room,
    with_turn,
)
from plait.gateway.metrics import Metrics
from plait.gateway.reply import ReplyWriter
from plait.gateway.routes import parameter_names
from plait.gateway.trigger import trigger_reads
from plait.gateway.watching import with_watch
from plait.kernel import Kernel
from plait.model.record import record
from plait.operations.runs import Durable, Express
from plait.plan import Endpoint, Plan
from plait.ports.observer import Watch


@record
class Shared:
    """What all routes of a gateway have in common.

    Attributes:
        durable: Starts what is kept; None: this gateway serves express workflows only.
        doors: Who callers are, and how often they may ask.
        watch: Hears of every request that was answered; None: nobody does.
    """

    driver: Express
    durable: Durable | None
    kernel_for: Callable[[Plan], Kernel]
    cache: ReplyCache
    deadlines: Deadlines
    identities: IdentitySource
    metrics: Metrics
    room: Room
    json_depth_max: int
    doors: Doors = field(default_factory=Doors)
    watch: Watch | None = None


def _express(
    plan: Plan,
    endpoint: Endpoint,
    shared: Shared,
    writer: ReplyWriter,
    tenant: str,
) -> Handler:
    """Return what runs a tenant's `plan` within the request."""
    handler = run_workflow(
        shared.driver,
        shared.kernel_for(plan),
        writer,
        reads_trigger="trigger" in plan.roots,
        tenant=tenant,
    )
    if plan.timeout_ms is None:  # else the kernel keeps the workflow's own time
        handler = with_deadline(handler, shared.deadlines)
    if endpoint.cache_ms and endpoint.method == "GET":
        reads = trigger_reads(plan)
        if not reads.all_headers:  # no two requests have the same
            # Of two tenants with one document, each calls with credentials of its own.
            key = cache_key(f"{tenant} {plan.content_hash}", reads)
            handler = with_cache(
                handler, shared.cache, endpoint, key, varies_by=reads.headers
            )
    return handler


def build_pipeline(
    plan: Plan,
    endpoint: Endpoint,
    shared: Shared,
    tenant: str,
    access: Access | None = None,
) -> Handler:
    """Return the handler for a tenant's `plan` behind `endpoint`. Innermost layer first."""
    writer = ReplyWriter(endpoint, plan)
    binder = Binder(
        InputContract(plan.input_schema),
        parameter_names(endpoint.path),
        takes_body=endpoint.method in METHODS_WITH_BODY,
        json_depth_max=shared.json_depth_max,
    )
    metrics = shared.metrics.for_route(endpoint.method, endpoint.path)
    durable = shared.durable
    if durable is not None and (plan.mode == "durable" or endpoint.wait_ms is not None):
        handler = with_input(run_durable(durable, plan, writer, tenant), binder)
        if plan.mode == "durable":
            handler = with_backlog(handler, durable)
        handler = with_store_errors(handler)
    else:
        handler = with_input(_express(plan, endpoint, shared, writer, tenant), binder)
    handler = with_room(handler, shared.room)
    if access is not None:
        handler = access.layer(handler)
    handler = with_error_reply(with_turn(handler, shared.room))
    handler = with_identity(handler, shared.identities)
    handler = with_metrics(handler, metrics)
    return with_watch(handler, endpoint.path, shared.watch, tenant)

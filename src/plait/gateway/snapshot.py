"""Snapshots: all routes of one moment. A request keeps the one it began with.

Findings about routes:

| code | what |
|---|---|
| G001 | two documents claim the same method and path; the first keeps it |
| G002 | a durable workflow has an endpoint, and this gateway has no store |
| G003 | the path belongs to the gateway itself |
| G004 | a header that the document sets is not sent (warning) |
| G005 | the input schema cannot be checked |
| G006 | replies are not kept: they depend on all headers, or are durable (warning) |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import jsonschema_rs

from plait.expression import Template
from plait.gateway.deployment import Deployment, Finding
from plait.gateway.layers import Handler
from plait.gateway.output_schema import source_of
from plait.gateway.pipeline import Shared, build_pipeline
from plait.gateway.reply_headers import header_problem
from plait.gateway.routes import RouteTable
from plait.gateway.trigger import trigger_reads
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.record import record
from plait.plan import Endpoint

HEALTH_PATH: Final = "/health"


@record
class Route:
    """One endpoint that is served. `deployment` is None for the gateway's own."""

    method: str
    template: str
    handler: Handler
    deployment: Deployment | None = None


@dataclass(slots=True)
class Snapshot:
    """Routes by method and path, and the deployments behind them."""

    table: RouteTable[Route] = field(default_factory=RouteTable)
    deployments: tuple[Deployment, ...] = ()
    served: list[Route] = field(default_factory=list)


def build_snapshot(
    deployments: Iterable[Deployment],
    own: Iterable[Route],
    shared: Shared,
    former: Mapping[str, Route],
) -> tuple[Snapshot, list[Finding]]:
    """Return the routes of `deployments`, and what is wrong with some of them.

    Args:
        own: The gateway's own routes; no document can take their place.
        former: Routes served until now, by content hash: what did not change is not built
            again, and a document whose new version cannot be served keeps its last one.
    """
    snapshot = Snapshot()
    findings: list[Finding] = []
    for route in own:
        snapshot.table.add(route.method, route.template, route)
    served = {
        route.deployment.source_name: route.deployment
        for route in former.values()
        if route.deployment is not None
    }
    adopted: list[Deployment] = []
    for deployment in _unchanged_first(deployments, served):
        found = _add(snapshot, deployment, shared, former)
        findings.extend(Finding(deployment.source_name, one) for one in found)
        last_good = served.get(deployment.source_name)
        if any(one.severity is Severity.ERROR for one in found) and last_good is not None:
            _add(snapshot, last_good, shared, former)
            deployment = last_good
        adopted.append(deployment)
    snapshot.deployments = tuple(adopted)
    return snapshot, findings


def _unchanged_first(
    deployments: Iterable[Deployment], served: Mapping[str, Deployment]
) -> list[Deployment]:
    """An edit cannot take the route of a document that nobody touched."""

    def is_changed(one: Deployment) -> bool:
        known = served.get(one.source_name)
        return known is None or known.plan.content_hash != one.plan.content_hash

    return sorted(deployments, key=is_changed)


def _add(
    snapshot: Snapshot,
    deployment: Deployment,
    shared: Shared,
    former: Mapping[str, Route],
) -> list[Diagnostic]:
    plan, endpoint = deployment.plan, deployment.plan.endpoint
    if endpoint is None:
        return []
    if plan.mode != "express" and shared.keeper is None:
        text = f"workflow '{plan.name}' is durable; this gateway answers express ones only"
        return [_finding(deployment, "G002", text, "set `mode: express`")]
    known = former.get(plan.content_hash)
    try:
        handler = known.handler if known else build_pipeline(plan, endpoint, shared)
    except jsonschema_rs.ValidationError as error:
        text = f"the input schema cannot be checked: {error.message}"
        return [_finding(deployment, "G005", text, "")]
    route = Route(endpoint.method, endpoint.path, handler, deployment)
    holder = snapshot.table.add(endpoint.method, endpoint.path, route)
    if holder is not None:
        return [_taken(deployment, route, holder)]
    snapshot.served.append(route)
    return [
        *_header_warnings(deployment, endpoint.headers),
        *_cache_warnings(deployment, endpoint),
    ]


def _taken(deployment: Deployment, route: Route, holder: Route) -> Diagnostic:
    where = f"{route.method} {route.template}"
    if holder.deployment is None:
        text = f"{where} belongs to the gateway itself"
        return _finding(deployment, "G003", text, "choose another path")
    text = f"{where} is answered by {holder.deployment.source_name} already"
    return _finding(deployment, "G001", text, "choose another method or path")


def _header_warnings(deployment: Deployment, headers: Template | None) -> list[Diagnostic]:
    names = source_of(headers) if headers is not None else ()
    assert isinstance(names, (dict, tuple))
    problems = [problem for problem in map(header_problem, names) if problem]
    return [
        _finding(deployment, "G004", f"{problem}; it is not sent", "", Severity.WARNING)
        for problem in problems
    ]


def _cache_warnings(deployment: Deployment, endpoint: Endpoint) -> list[Diagnostic]:
    if not endpoint.cache_ms:
        return []
    if deployment.plan.mode == "durable":
        text = "'cache' has no effect: every request starts a durable execution of its own"
        return [_finding(deployment, "G006", text, "leave it out", Severity.WARNING)]
    if not trigger_reads(deployment.plan).all_headers:
        return []
    text = "'cache' has no effect: a template reads all headers, or one by a computed name"
    hint = "read single headers: ${trigger.headers.name}"
    return [_finding(deployment, "G006", text, hint, Severity.WARNING)]


def _finding(
    deployment: Deployment,
    code: str,
    text: str,
    hint: str,
    severity: Severity = Severity.ERROR,
) -> Diagnostic:
    return Diagnostic(code, text, hint, deployment.endpoint_span, severity)

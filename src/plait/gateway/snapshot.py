"""Snapshots: all routes of one moment. A request keeps the one it began with.

Findings about routes:

| code | what |
|---|---|
| G001 | two documents claim the same method and path; the first keeps it |
| G002 | a durable workflow has an endpoint, and this gateway has no store |
| G003 | the path belongs to the gateway itself, or to a tenant |
| G004 | a header that the document sets is not sent (warning) |
| G005 | the input schema cannot be checked |
| G006 | replies are not kept, although `cache` asks for it (warning) |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import jsonschema_rs

from plait.gateway.access import Access, endpoint_access
from plait.gateway.deployment import Deployment, Finding
from plait.gateway.endpoint_findings import endpoint_errors, endpoint_warnings
from plait.gateway.layers import Handler
from plait.gateway.pipeline import Shared, build_pipeline
from plait.gateway.routes import RouteTable
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.record import record
from plait.plan import Endpoint

HEALTH_PATH: Final = "/health"


@record
class Route:
    """One endpoint that is served. `deployment` is None for the gateway's own.

    Attributes:
        access: Who may ask it; None: everybody, as often as they like.
    """

    method: str
    template: str
    handler: Handler
    deployment: Deployment | None = None
    access: Access | None = None


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
    former: Snapshot,
) -> tuple[Snapshot, list[Finding]]:
    """Return the routes of `deployments`, and what is wrong with some of them.

    Args:
        own: The gateway's own routes; no document can take their place.
        former: What is served until now: what did not change is not built again, and a
            document whose new version cannot be served keeps its last good one.
    """
    wanted = {deployment.source_name: deployment for deployment in deployments}
    good = _good(former)
    building = _Building([*own], shared, former)
    told: dict[str, list[Diagnostic]] = {}  # of edits that failed
    # An edit that fails gives its document's old route back before anybody else asks for
    # it, which may make another edit fail. Every round settles one, so there is an end.
    while True:
        snapshot, found = building.place(_in_turn(wanted.values(), good))
        failed = [
            name
            for name, some in found.items()
            if any(one.severity is Severity.ERROR for one in some)
            and name in good
            and wanted[name] is not good[name]
        ]
        if not failed:
            said = found | told
            return snapshot, [Finding(name, one) for name in wanted for one in said[name]]
        told |= {name: found[name] for name in failed}
        wanted |= {name: good[name] for name in failed}


def _good(former: Snapshot) -> dict[str, Deployment]:
    """Return the versions that can be served, by document; one with no route can be too."""
    served = {route.deployment.source_name for route in former.served if route.deployment}
    return {
        one.source_name: one
        for one in former.deployments
        if one.source_name in served or one.plan.endpoint is None
    }


def _in_turn(
    deployments: Iterable[Deployment], good: Mapping[str, Deployment]
) -> list[Deployment]:
    """Return who is first asked for its route: what is served, then edits, then the rest.

    So no edit takes the route of a document that nobody touched, and no new document the
    one that an edit has to fall back on.
    """

    def turn(one: Deployment) -> int:
        known = good.get(one.source_name)
        if known is None:
            return 2
        return 0 if known.plan.content_hash == one.plan.content_hash else 1

    return sorted(deployments, key=turn)


class _Building:
    """Makes snapshots; each route's handler once."""

    def __init__(self, own: Sequence[Route], shared: Shared, former: Snapshot) -> None:
        self._own = own
        self._shared = shared
        self._handlers = {
            _handler_key(route.deployment): (route.handler, route.access)
            for route in former.served
            if route.deployment is not None
        }

    def place(
        self, deployments: Sequence[Deployment]
    ) -> tuple[Snapshot, dict[str, list[Diagnostic]]]:
        """Give each its route, the first first; return what is wrong, by document."""
        snapshot = Snapshot(deployments=tuple(deployments))
        for route in self._own:
            snapshot.table.add(route.method, route.template, route)
        return snapshot, {one.source_name: self._add(snapshot, one) for one in deployments}

    def _add(self, snapshot: Snapshot, deployment: Deployment) -> list[Diagnostic]:
        plan, endpoint = deployment.plan, deployment.plan.endpoint
        if endpoint is None:
            return []
        if plan.mode != "express" and self._shared.durable is None:
            text = (
                f"workflow '{plan.name}' is durable; this gateway answers express ones only"
            )
            return [_finding(deployment, "G002", text, "set `mode: express`")]
        wrong = endpoint_errors(deployment)
        if wrong:
            return wrong
        try:
            handler, access = self._handler(deployment, endpoint)
        except jsonschema_rs.ValidationError as error:
            text = f"the input schema cannot be checked: {error.message}"
            return [_finding(deployment, "G005", text, "")]
        template = deployment.template(endpoint.path)
        route = Route(endpoint.method, template, handler, deployment, access)
        holder = snapshot.table.add(endpoint.method, template, route)
        if holder is not None:
            return [_taken(deployment, route, holder)]
        snapshot.served.append(route)
        return endpoint_warnings(deployment)

    def _handler(
        self, deployment: Deployment, endpoint: Endpoint
    ) -> tuple[Handler, Access | None]:
        """Return what answers, and who may ask; both go on as they were, counts and all."""
        key = _handler_key(deployment)
        made = self._handlers.get(key)
        if made is None:
            plan, tenant, shared = deployment.plan, deployment.tenant, self._shared
            access = endpoint_access(plan, endpoint, shared.doors, tenant)
            made = build_pipeline(plan, endpoint, shared, tenant, access), access
            self._handlers[key] = made
        return made


def _handler_key(deployment: Deployment) -> tuple[str, str]:
    return deployment.tenant, deployment.plan.content_hash


def _taken(deployment: Deployment, route: Route, holder: Route) -> Diagnostic:
    where = f"{route.method} {route.template}"
    if holder.deployment is None:
        text = f"{where} belongs to the gateway itself"
        return _finding(deployment, "G003", text, "choose another path")
    text = f"{where} is answered by {holder.deployment.source_name} already"
    return _finding(deployment, "G001", text, "choose another method or path")


def _finding(
    deployment: Deployment,
    code: str,
    text: str,
    hint: str,
    severity: Severity = Severity.ERROR,
) -> Diagnostic:
    return Diagnostic(code, text, hint, deployment.endpoint_span, severity)

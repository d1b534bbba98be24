"""What an endpoint asks for and does not get: error G003, warnings G004 and G006.

They follow from the document alone, so that it can be checked without being served. Which
other paths are the gateway's own depends on its settings (plait.gateway.snapshot).
"""

from __future__ import annotations

from collections.abc import Iterator

from plait.gateway.deployment import Deployment
from plait.gateway.reply_headers import header_problem
from plait.gateway.routes import is_tenants
from plait.gateway.trigger import trigger_reads
from plait.model.diagnostic import Diagnostic, Severity
from plait.plan import Endpoint, Plan


def endpoint_errors(deployment: Deployment) -> list[Diagnostic]:
    """Return what no gateway can serve of a document: a path that leads to a tenant."""
    endpoint = deployment.plan.endpoint
    if endpoint is None or not is_tenants(endpoint.path):
        return []
    text = (
        f"{endpoint.method} {endpoint.path} belongs to a tenant: its paths begin with '/~'"
    )
    hint = "choose another path, or deploy it with a key of that tenant"
    return [Diagnostic("G003", text, hint, deployment.endpoint_span)]


def endpoint_warnings(deployment: Deployment) -> list[Diagnostic]:
    """Return the warnings about the endpoint of a document, if it has one."""
    plan, endpoint = deployment.plan, deployment.plan.endpoint
    if endpoint is None:
        return []
    found = [*_of_headers(endpoint), *_of_cache(plan, endpoint)]
    span, severity = deployment.endpoint_span, Severity.WARNING
    return [Diagnostic(code, text, hint, span, severity) for code, text, hint in found]


def _of_headers(endpoint: Endpoint) -> Iterator[tuple[str, str, str]]:
    names = endpoint.headers.entries() if endpoint.headers is not None else ()
    for problem in filter(None, map(header_problem, names)):
        yield "G004", f"{problem}; it is not sent", ""


def _of_cache(plan: Plan, endpoint: Endpoint) -> Iterator[tuple[str, str, str]]:
    why = _why_not_kept(plan, endpoint) if endpoint.cache_ms else None
    if why is not None:
        yield "G006", f"'cache' has no effect: {why[0]}", why[1]


def _why_not_kept(plan: Plan, endpoint: Endpoint) -> tuple[str, str] | None:
    if plan.mode == "durable":
        return "every request starts a durable execution of its own", "leave it out"
    if endpoint.method != "GET":
        return f"a {endpoint.method} may change something", "leave it out, or use GET"
    if endpoint.wait_ms is not None:
        return "with 'wait' the execution may go on in the store", "leave one of them out"
    if trigger_reads(plan).all_headers:
        text = "a template reads all headers, or one by a computed name"
        return text, "read single headers: ${trigger.headers.name}"
    return None

"""Authorised: what a document may show, and what it may read, because of whose it is.

Rule 1. A document that names a credential is deployed only when its tenant has it, for
        this workflow and for the host that the document writes.
Rule 2. A document that runs another workflow is deployed only by who may run that one, for
        the runs of the first run it too, whoever starts them. Who may not run all of the
        tenant's writes their names literally.
Rule 3. This tells early, with the place. Whether a call may show a credential is decided
        again when it is made (plait.drivers.credentials): by then it may be another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from plait.compile import Compiled
from plait.drivers.children import KIND as WORKFLOW
from plait.drivers.credentials import Way
from plait.kernel.calls import secrets_read
from plait.model.caller import DEFAULT_TENANT, Caller, Forbidden, is_allowed
from plait.model.diagnostic import Diagnostic
from plait.model.place import Span, segments_of
from plait.plan import Node, all_nodes
from plait.ports.credentials import Credential, CredentialForbidden
from plait.security.vault import check_use
from plait.security.vault.kept import Kept

# What is known of a tenant's credential of a name, unopened; None: it has none.
LookUp: TypeAlias = Callable[[str, str], Awaitable[Kept | None]]
# What speaks against a caller's document; empty: nothing.
Authorises: TypeAlias = Callable[[Caller, Compiled], Awaitable[Sequence[Diagnostic]]]
# The finding that is about who deploys, and not about the document.
CALLERS: Final = "S004"

_OPTION: Final = "credential"
_ANYWHERE: Final = ("*",)
_RUNS: Final = "operator"


def authorises(look_up: LookUp, ways: Mapping[str, Way]) -> Authorises:
    """Return what tells which credentials, secrets and workflows a document may not have.

    Args:
        ways: How calls show credentials, by their kind.
    """

    async def found(caller: Caller, compiled: Compiled) -> list[Diagnostic]:
        tenant, wrong = caller.tenant, [*_others_workflows(caller, compiled)]
        if tenant != DEFAULT_TENANT:
            wrong += _operators_secrets(compiled)
        known: dict[str, Kept | None] = {}
        for node in all_nodes(compiled.plan.scope):
            name = node.options.get(_OPTION)
            if not isinstance(name, str):
                continue
            if name not in known:
                known[name] = await look_up(tenant, name)
            wrong += _against(compiled, node, name, known[name], ways.get(node.kind))
        return wrong

    return found


def _against(
    compiled: Compiled, node: Node, name: str, kept: Kept | None, way: Way | None
) -> Iterator[Diagnostic]:
    span, raw = _at(compiled, node, _OPTION)
    if kept is None:
        text = f"there is no credential '{name}'"
        yield Diagnostic("S001", text, f"plait credentials add {name} …", span)
        return
    workflow = compiled.plan.name
    # Empty where a template makes the host: what it makes is seen when the call is made.
    origin = "" if way is None else way.origin_of(raw.get("request") or {})
    hosts = kept.hosts if origin else ("",)
    unopened = Credential(kept.tenant, name, kept.type, hosts, kept.workflows, {})
    try:
        check_use(unopened, workflow, origin)
    except CredentialForbidden as error:
        hint = "name another, or let its hosts and workflows have this one"
        yield Diagnostic("S002", str(error), hint, span)


def _others_workflows(caller: Caller, compiled: Compiled) -> Iterator[Diagnostic]:
    if is_allowed(caller, _RUNS):
        return
    for node in all_nodes(compiled.plan.scope):
        if node.kind != WORKFLOW:
            continue
        template = node.templates["request"].entries()["name"]
        hint = "have a grant for it, or let somebody deploy this who may run it"
        if not template.is_constant:
            text = (
                "which workflow this runs is known only when it runs, and "
                f"{Forbidden(caller, _RUNS)} on all workflows"
            )
            hint = "write its name without an expression, or let an operator of all deploy"
        else:
            name = str(template.render({}))
            if is_allowed(caller, _RUNS, name):
                continue
            text = str(Forbidden(caller, _RUNS, name))
        yield Diagnostic(CALLERS, text, hint, _at(compiled, node, "request", "name")[0])


def _operators_secrets(compiled: Compiled) -> Iterator[Diagnostic]:
    for node in all_nodes(compiled.plan.scope):
        for name in sorted(secrets_read(node.templates.values(), _ANYWHERE)):
            text = f"`secrets.{name}` is the operator's, and this tenant has none of these"
            hint = "name a `credential` of the vault instead"
            yield Diagnostic("S003", text, hint, _at(compiled, node, "request")[0])


def _at(compiled: Compiled, node: Node, *keys: str) -> tuple[Span, Any]:
    """Return where a value in a step stands, and the step as the document has it."""
    source = compiled.document.source
    path: list[str | int] = []
    raw: Any = source.value
    for segment in segments_of(node.place.pointer):
        step: str | int = int(segment) if isinstance(raw, list) else segment
        path.append(step)
        raw = raw[step]
    return source.span_of([*path, *keys]), raw

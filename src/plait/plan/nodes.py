"""What a plan is made of: scopes of nodes, with everything resolved.

Rule 1. Nothing here refers to the text; a node keeps the Place where it came from.
Rule 2. Nothing here is specific to one node kind: a kind's own settings are in
        `templates`, `scopes` and `options`, and only its machine reads them.

Not here: how a plan is made (plait.compile), how it is stored (plait.plan.codec), what
running it means (plait.kernel).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from plait.expression import Template
from plait.model.json import JsonObject, JsonValue
from plait.model.place import Place
from plait.plan.policies import Policies, RetryBudget

Order = Literal["graph", "sequence"]
Backoff = Literal["fixed", "linear", "exponential", "random"]
Effect = Literal["read", "keyed", "unsafe"]
OnUnknown = Literal["pause", "retry", "fail"]

_BUDGET: Final = RetryBudget()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When and how often a failed attempt is made again. Times in milliseconds.

    Attributes:
        attempts_max: All attempts, the first included; >= 1.
        factor: Base of the exponential back-off.
        jitter: Share of the delay, 0 to 1, that is drawn at random.
        on: Words an error must match one of: a class (`connect`), a code
            (`connector.closed`), a status (`503`, `5xx`), `any`. None: what the error
            itself advises.
        when: An expression over `error` that must be true; None: no such condition.
        budget: What the upstream can bear of retries; None: any number.
    """

    attempts_max: int
    delay_ms: int
    backoff: Backoff
    factor: float
    delay_ms_max: int
    jitter: float
    on: tuple[str, ...] | None
    when: Template | None
    budget: RetryBudget | None = _BUDGET


@dataclass(frozen=True, slots=True)
class Node:
    """One step, compiled.

    Attributes:
        index: Position in its scope, which is also the document's order.
        kind: The step's type: `http`, `set`.
        machine: Which kernel machine runs it: `call` for every connector.
        deps: Indices of the nodes in the same scope that must settle first, ascending.
        dependents: The same edges, seen from the other end.
        facts: Keys of the step's value beside `response`, `status`, `error`, `attempts`.
        headers_read: Response headers that any template reads; ("*",) if all.
        timeout_ms: All attempts together; None: no bound of its own.
        attempt_timeout_ms: One attempt; None: no bound of its own.
        fallback_value, fallback_scope: What answers when the attempts are used up; at
            most one is set. The scope holds one node.
        on_unknown: What to do when it is unknown whether an `unsafe` call was made.
        compensate_scope: What undoes the step after it has completed; holds one node.
        policies: What stands around each attempt of its call; None: nothing.
        templates, scopes, options: The kind's own settings.
    """

    index: int
    id: str
    kind: str
    machine: str
    place: Place
    deps: tuple[int, ...] = ()
    dependents: tuple[int, ...] = ()
    facts: tuple[str, ...] = ()
    headers_read: tuple[str, ...] = ()
    disabled: bool = False
    condition: Template | None = None
    timeout_ms: int | None = None
    attempt_timeout_ms: int | None = None
    retry: RetryPolicy | None = None
    continue_on_error: bool = False
    fallback_value: Template | None = None
    fallback_scope: Scope | None = None
    effect: Effect = "read"
    on_unknown: OnUnknown = "pause"
    idempotency_key: Template | None = None
    output: Template | None = None
    compensate_scope: Scope | None = None
    policies: Policies | None = None
    templates: Mapping[str, Template] = field(default_factory=dict)
    scopes: Mapping[str, Scope] = field(default_factory=dict)
    options: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scope:
    """Nodes that see each other.

    Attributes:
        order: `graph`: a node starts when its `deps` have settled. `sequence`: one after
            the other.
        nodes: In document order.
        output: What the scope yields; None: a mapping from step id to the response of
            each completed step.
        jumps: Of a sequence, the steps that a `goto` leads to: id → position. Where there
            are any, a step that has not run reads as skipped, and one may run again.
    """

    order: Order
    nodes: tuple[Node, ...]
    output: Template | None = None
    jumps: Mapping[str, int] = field(default_factory=dict)


# Headers of a request that let their bearer in: no store ever holds one.
CREDENTIAL_HEADERS: Final = frozenset(
    "authorization proxy-authorization cookie api-key x-api-key x-auth-token "
    "x-access-token".split()
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the gateway answers for this workflow.

    Attributes:
        status: Pairs of what to match (an error code, `5xx`, or a template that must be
            true) and the HTTP status to answer with, in the document's order.
        cache_ms: How long a complete reply may be given again; 0: never.
        wait_ms: After this long the caller gets a link instead; None: the mode says.
        role: What callers need; `none`: nothing; None: as the gateway says.
        rate_limit: So many requests in `rate_ms`; 0: any number.
        rate_by: Whose requests count together: `caller`, `address`, `all`.
    """

    method: str
    path: str
    partial: bool = False
    status: tuple[tuple[str | Template, int], ...] = ()
    headers: Template | None = None
    cache_ms: int = 0
    stale_ms: int = 0
    wait_ms: int | None = None
    role: str | None = None
    rate_limit: int = 0
    rate_ms: int = 0
    rate_by: str = "caller"


@dataclass(frozen=True, slots=True)
class Lane:
    """How many durable executions run side by side.

    Attributes:
        max: So many of one lane; >= 1.
        key: Those for which it has equal values are in one lane; None: all of the workflow.
    """

    max: int = 1
    key: Template | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A signed request that starts an execution.

    Attributes:
        path: Behind `/webhooks`: `/shop/paid`.
        secret: The name of the secret that signs it.
    """

    path: str
    secret: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A workflow, ready to run.

    Attributes:
        version: The document's own `version`, for people; the plan's identity is its
            content hash.
        input_schema: JSON Schema 2020-12 for `input`; None: anything.
        timeout_ms: The whole execution; None: no bound.
        lane: In which lane a durable execution is; None: in none.
        priority: Of its durable executions, 0 to 9; higher goes first.
        priority_from: Yields the priority instead.
        roots: Every root name that any template reads (`input`, `trigger`, step ids),
            sorted; what is not in it need not be provided.
        on_failure: What follows on a failure that nothing caught.
        webhooks: What starts executions of it beside its endpoint.
        content_hash: `sha256:…` of the serialised plan; two plans with equal hashes are
            equal byte for byte.
    """

    name: str
    version: str
    description: str
    mode: Literal["express", "durable"]
    scope: Scope
    input_schema: JsonObject | bool | None
    timeout_ms: int | None
    endpoint: Endpoint | None
    roots: tuple[str, ...] = ()
    on_failure: Literal["stop", "compensate"] = "stop"
    lane: Lane | None = None
    priority: int = 0
    priority_from: Template | None = None
    webhooks: tuple[Webhook, ...] = ()
    content_hash: str = ""


def all_nodes(scope: Scope) -> Iterator[Node]:
    """Yield the nodes of `scope` and all that are inside them."""
    stack = [scope]
    while stack:
        for node in stack.pop().nodes:
            yield node
            stack.extend(scopes_of(node))


def scopes_of(node: Node) -> list[Scope]:
    """Return the scopes that are inside `node`, or stand in for it or undo it."""
    beside = (node.fallback_scope, node.compensate_scope)
    return [*node.scopes.values(), *(one for one in beside if one is not None)]

"""The graph of a plan, as something to draw: steps, edges with reasons, groups.

Not here: where things stand in a picture (plait.compile.draw.layout), the formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from plait.compile.draw.choices import group_label
from plait.compile.draw.loops import loop_notes, shown
from plait.compile.draw.policies import policy_notes
from plait.compile.inside import Inner, inner_scopes, undoing_scope
from plait.compile.iterations import jump_text
from plait.compile.reasons import Reason, jumps_to, reasons_in
from plait.document.steps.route import transition_name
from plait.model.duration import format_ms
from plait.model.record import record
from plait.plan import Node, Plan, Scope


@record
class GraphEdge:
    """`target` waits for `source`; both are paths of steps."""

    source: str
    target: str
    reasons: tuple[Reason, ...]

    @property
    def is_read(self) -> bool:
        """True when data flows: the target reads the source."""
        return self.reasons[0].why == "reads"

    @property
    def reads(self) -> tuple[str, ...]:
        """What is read of the source, without the source's own id: `response.vip`."""
        texts = (reason.read.partition(".")[2] for reason in self.reasons)
        return tuple(dict.fromkeys(text for text in texts if text))


@record
class GraphGroup:
    """A scope inside a step: a branch, a fallback; without label the step's own steps."""

    id: str
    label: str
    graph: GraphScope
    is_fallback: bool


@record
class GraphNode:
    """One step.

    Attributes:
        id: Its path: `enrich[left]/fetch`.
        label: Its own id: `fetch`.
        condition: The expression that must be true; empty if there is none.
        notes: What else matters, a few words each: `2 attempts`, `800ms`, `optional`.
        lines: Of a state: its transitions, where a picture has no room along its lines.
        policies: What stands around its calls: `cached 1m`, `hedged after p95`, `5 per 1s`.
        handovers: Of a `route`: from one group to another.
    """

    id: str
    label: str
    kind: str
    condition: str
    notes: tuple[str, ...]
    groups: tuple[GraphGroup, ...]
    lines: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    handovers: tuple[GraphEdge, ...] = ()


@record
class GraphScope:
    """Steps that see each other, and the edges between them; `jumps` may lead back."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    jumps: tuple[GraphEdge, ...] = ()


@record
class Graph:
    """A workflow's graph.

    Attributes:
        title: What it is: its name, and where it answers.
        initial: Of a state machine, whose nodes are states and whose edges transitions:
            where it begins. Else empty.
    """

    name: str
    title: str
    root: GraphScope
    initial: str = ""

    def nodes(self) -> Iterator[tuple[GraphNode, str]]:
        """Yield every step and the id of the group that it stands in; "" at the top."""
        yield from _walk(self.root, "")

    def edges(self) -> Iterator[GraphEdge]:
        """Yield every edge."""
        for scope in self._scopes():
            yield from scope.edges

    def jumps(self) -> Iterator[GraphEdge]:
        """Yield where each `goto` leads: there the order of the edges does not hold."""
        for scope in self._scopes():
            yield from scope.jumps

    def _scopes(self) -> Iterator[GraphScope]:
        yield self.root
        for node, _ in self.nodes():
            yield from (group.graph for group in node.groups)


def _walk(scope: GraphScope, group: str) -> Iterator[tuple[GraphNode, str]]:
    for node in scope.nodes:
        yield node, group
        for inner in node.groups:
            yield from _walk(inner.graph, inner.id)


def step_graph(plan: Plan, title: str) -> Graph:
    """Return the graph of the steps of `plan`."""
    return Graph(plan.name, title, _scope(plan.scope, ""))


def _scope(scope: Scope, prefix: str) -> GraphScope:
    nodes = tuple(_node(node, prefix + node.id) for node in scope.nodes)
    edges = tuple(
        edge
        for node, reasons in zip(nodes, reasons_in(scope, prefix), strict=True)
        for edge in _edges_to(node.id, reasons)
    )
    jumps = tuple(
        GraphEdge(reason.step, node.id, (reason,))
        for node, reasons in zip(nodes, jumps_to(scope, prefix), strict=True)
        for reason in reasons
    )
    return GraphScope(nodes, edges, jumps)


def _handovers(node: Node, inside: Iterable[Inner]) -> Iterator[GraphEdge]:
    """Yield the handovers between the handlers of a `route`, each pair once."""
    group_of = {one.label: one.id for one in inside if not one.is_fallback}
    following = node.options.get("next")
    if node.machine != "route" or not isinstance(following, dict):
        return
    for name, found in following.items():
        reasons: dict[str, list[Reason]] = {}
        for position, to in enumerate(found if isinstance(found, list) else ()):
            when = node.templates.get(transition_name(name, position))
            told = "" if when is None else shown(when)
            own = Reason(group_of[name], "handover", where=told)
            reasons.setdefault(str(to), []).append(own)
        for to, why in reasons.items():
            yield GraphEdge(group_of[name], group_of[to], tuple(why))


def _edges_to(target: str, reasons: list[Reason]) -> Iterator[GraphEdge]:
    by_source: dict[str, list[Reason]] = {}
    for reason in reasons:
        by_source.setdefault(reason.step, []).append(reason)
    for source, own in by_source.items():
        yield GraphEdge(source, target, tuple(own))


def _node(node: Node, path: str) -> GraphNode:
    inside = (*inner_scopes(node, path), undoing_scope(node, path))
    known = [inner for inner in inside if inner is not None]
    groups = tuple(_group(node, inner) for inner in known)
    return GraphNode(
        path,
        node.id,
        node.kind,
        _condition(node),
        tuple(_notes(node)),
        groups,
        policies=tuple(policy_notes(node)),
        handovers=tuple(_handovers(node, known)),
    )


def _group(node: Node, inner: Inner) -> GraphGroup:
    graph = _scope(inner.scope, inner.prefix)
    return GraphGroup(inner.id, group_label(node, inner), graph, inner.is_fallback)


def _condition(node: Node) -> str:
    if node.condition is None:
        return ""
    if node.condition.is_constant:
        return "true" if node.condition.render({}) is True else "false"
    return " ".join(node.condition.expressions[0].source.split())


def _notes(node: Node) -> Iterator[str]:
    if node.disabled:
        yield "disabled"
    if node.kind == "wait":
        yield _wait_note(node)
    if node.machine == "approval":
        yield _approvers_note(node)
    yield from loop_notes(node)
    if jump_text(node):
        yield f"to {node.options['to']}, {node.options['max_visits']} visits at most"
    join = node.options.get("join_count")
    if isinstance(join, int) and join < len(node.scopes):
        yield f"{join} of {len(node.scopes)}"
    if node.retry is not None and node.retry.attempts_max > 1:
        yield f"{node.retry.attempts_max} attempts"
    if node.attempt_timeout_ms is not None:
        yield f"{format_ms(node.attempt_timeout_ms)} each"
    if node.timeout_ms is not None:
        yield format_ms(node.timeout_ms)
    if node.fallback_value is not None:
        yield "fallback value"
    if node.continue_on_error:
        yield "optional"


def _approvers_note(node: Node) -> str:
    template = node.templates.get("approvers")
    if template is None:
        return "by anybody"
    names = template.render({}) if template.is_constant else None
    if isinstance(names, list):
        return f"by {', '.join(map(str, names))}"
    return f"by {template.expressions[0].source}"


def _wait_note(node: Node) -> str:
    if node.machine == "wait_event":
        return f"for event {node.options['name']}"
    word, template = next(iter(node.templates.items()))
    if not template.is_constant:
        return f"{word} {template.expressions[0].source}"
    text = str(template.render({}))
    return text if word == "for" else f"{word} {text}"

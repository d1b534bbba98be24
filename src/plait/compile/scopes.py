"""Scopes: steps that see each other become nodes with edges.

A step waits for the steps of its own scope that its templates, or the templates of
anything nested inside it, read. So what a nested scope reads from outside has settled
before it starts, and it can work on a copy of the names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from plait.compile.findings import Findings
from plait.compile.names import NameChecker, View, Visible, merged_headers
from plait.compile.nodes import Draft, build_node
from plait.compile.order import behind, find_circle, reversed_edges
from plait.compile.templates import StepTemplateCompiler, parse
from plait.document.step import StepSettings
from plait.document.tree import ScopeTree, StepTree
from plait.expression import Template
from plait.model.diagnostic import did_you_mean
from plait.plan import Node, Scope

# Past this the middle is left out: nobody reads a circle of 4,000 steps.
CIRCLE_SHOWN_MAX = 20


@dataclass(slots=True)
class ScopeDraft:
    """A scope in the making: its tree, the view from inside it, its nodes.

    In a sequence the view grows with each step: `seen` gains it, `ahead` loses it.
    """

    tree: ScopeTree
    view: View
    own: dict[str, Visible]
    seen: dict[str, Visible]
    ahead: set[str]
    nodes: list[Draft] = field(default_factory=list)
    edges: list[list[int]] = field(default_factory=list)


class ScopeCompiler:
    """Compiles scopes, the nested ones inside out."""

    def __init__(
        self, findings: Findings, names: NameChecker, defaults: StepSettings | None
    ) -> None:
        self._findings = findings
        self._names = names
        self._defaults = defaults

    def compile(self, tree: ScopeTree, around: View) -> tuple[Scope, set[str]]:
        """Return the scope, and the ids of steps outside it that anything in it reads."""
        draft = self._opened(tree, around)
        for step in tree.steps:
            draft.nodes.append(self._draft(step, draft.view))
            step_id = step.model.id
            draft.seen[step_id] = draft.own[step_id]
            draft.ahead.discard(step_id)
        draft.edges = self._edges(draft)
        self._check_order(draft)
        output, reads = self._output(draft)
        for node in draft.nodes:
            reads |= node.reads
        return self._scope(draft, output), reads - draft.own.keys()

    def _opened(self, tree: ScopeTree, around: View) -> ScopeDraft:
        own = self._own_steps(tree, around)
        is_graph = tree.order == "graph"
        seen = {**around.steps, **own} if is_graph else dict(around.steps)
        ahead = set(around.later) if is_graph else {*around.later, *own}
        view = replace(
            around,
            steps=seen,
            later=ahead,
            extra=around.extra | set(tree.names),
            elsewhere={**around.elsewhere, **_nested_ids(tree)},
        )
        return ScopeDraft(tree, view, own, seen, ahead)

    def _own_steps(self, tree: ScopeTree, around: View) -> dict[str, Visible]:
        own: dict[str, Visible] = {}
        lines: dict[str, int] = {}
        for step in tree.steps:
            step_id, path = step.model.id, (*step.path, "id")
            if step_id in own:
                text = f"step id '{step_id}' is taken by the step in line {lines[step_id]}"
                self._findings.error("P004", text, "ids are unique", path)
            elif step_id in around.steps or step_id in around.later:
                text = f"step id '{step_id}' would hide a step of the same id further out"
                self._findings.error("P005", text, "choose another id", path)
            own[step_id] = Visible(step_id, step.model.facts)
            lines[step_id] = self._findings.document.place(path).line
        return own

    def _draft(self, step: StepTree, view: View) -> Draft:
        templates = StepTemplateCompiler(
            step, self._findings, self._names, view, self._defaults
        ).compile()
        draft = Draft(step, templates, reads=set(templates.reads))
        if not step.scopes and step.fallback is None:
            return draft
        inner = replace(view, later=view.later | {step.model.id})
        for name, scope_tree in step.scopes.items():
            draft.scopes[name], reads = self.compile(scope_tree, inner)
            draft.reads |= reads
        if step.fallback is not None:
            self._check_fallback_id(step, step.fallback)
            tree = ScopeTree("graph", (step.fallback,), step.path, {}, (), False)
            draft.fallback, reads = self.compile(tree, inner.with_extra("error"))
            draft.reads |= reads
        return draft

    def _check_fallback_id(self, step: StepTree, fallback: StepTree) -> None:
        """Equal paths would mean equal idempotency keys for different calls."""
        inside = (one.model.id for scope in step.scopes.values() for one in scope.steps)
        if fallback.model.id in inside:
            text = f"the fallback's id '{fallback.model.id}' is taken inside the step"
            self._findings.error("P005", text, "choose another id", fallback.path)

    def _output(self, draft: ScopeDraft) -> tuple[Template | None, set[str]]:
        tree = draft.tree
        if not tree.has_output or "output" not in tree.raw:
            return None, set()
        template = parse(tree.raw["output"], (*tree.path, "output"), self._findings)
        if template is None:
            return None, set()
        return template, self._names.step_reads(template, self._view_after(draft))

    def _view_after(self, draft: ScopeDraft) -> View:
        return replace(draft.view, later=draft.view.later - draft.own.keys())

    # -- edges -----------------------------------------------------------------------

    def _edges(self, draft: ScopeDraft) -> list[list[int]]:
        """Return, for each step, the steps of the same scope that it waits for."""
        index_of = {step.model.id: i for i, step in enumerate(draft.tree.steps)}
        edges: list[list[int]] = []
        for index, node in enumerate(draft.nodes):
            needed = {index_of[read] for read in node.reads if read in index_of}
            for position, name in enumerate(node.tree.model.depends_on):
                if name in index_of:
                    needed.add(index_of[name])
                elif name in draft.view.steps and name not in draft.view.later:
                    # A step further out: what this scope is inside waits for it.
                    node.reads.add(name)
                elif name not in draft.view.extra:
                    self._report_dependency(node.tree, position, name, index_of)
            if index in needed:
                self._report_self(node.tree)
                needed.discard(index)
            edges.append(sorted(needed))
        return edges

    def _report_dependency(
        self, step: StepTree, position: int, name: str, known: dict[str, int]
    ) -> None:
        path = (*step.path, "depends_on", position)
        hint = did_you_mean(name, known)
        self._findings.error("P006", f"there is no step '{name}' to wait for", hint, path)

    def _report_self(self, step: StepTree) -> None:
        text = f"step '{step.model.id}' waits for itself: {step.model.id} → {step.model.id}"
        hint = "only its `output` may read the step itself"
        self._findings.error("P003", text, hint, step.path)

    def _check_order(self, draft: ScopeDraft) -> None:
        if draft.tree.order == "sequence":
            self._check_sequence(draft)
            return
        steps, edges = draft.tree.steps, draft.edges
        circle = find_circle(edges)
        if circle is not None:
            ids = [steps[index].model.id for index in [*circle, circle[0]]]
            if len(ids) > CIRCLE_SHOWN_MAX:
                ids = [*ids[: CIRCLE_SHOWN_MAX - 4], "…", *ids[-3:]]
            text = f"steps wait for each other in a circle: {' → '.join(ids)}"
            hint = "a → b means that a waits for b"
            self._findings.error("P003", text, hint, steps[circle[0]].path)
            return
        ends = [index for index, step in enumerate(steps) if _always_ends(step)]
        for index in behind(edges, ends):
            self._warn_unreachable(steps[index])

    def _check_sequence(self, draft: ScopeDraft) -> None:
        steps = draft.tree.steps
        for index, deps in enumerate(draft.edges):
            for dep in deps:
                if dep > index:
                    step, name = steps[index], steps[dep].model.id
                    position = step.model.depends_on.index(name)
                    path = (*step.path, "depends_on", position)
                    text = f"step '{name}' runs only later"
                    self._findings.error("P008", text, "move it up", path)
        ends = [index for index, step in enumerate(steps) if _always_ends(step)]
        for after in steps[ends[0] + 1 :] if ends else ():
            self._warn_unreachable(after)

    def _warn_unreachable(self, step: StepTree) -> None:
        text = f"step '{step.model.id}' never runs: the workflow ends before it"
        hint = "give the step that ends it a condition"
        self._findings.warning("P009", text, hint, step.path)

    # -- nodes -----------------------------------------------------------------------

    def _scope(self, draft: ScopeDraft, output: Template | None) -> Scope:
        is_graph = draft.tree.order == "graph"
        if not is_graph or find_circle(draft.edges):
            draft.edges = [[] for _ in draft.nodes]
        dependents = reversed_edges(draft.edges)
        nodes = tuple(
            build_node(
                node,
                index,
                tuple(draft.edges[index]),
                tuple(dependents[index]),
                self._findings.document.place(node.tree.path),
                self._defaults,
            )
            for index, node in enumerate(draft.nodes)
        )
        for draft_node, node in zip(draft.nodes, nodes, strict=True):
            self._check_repeats(draft_node.tree, node)
        return Scope("graph" if is_graph else "sequence", nodes, output)

    def _check_repeats(self, step: StepTree, node: Node) -> None:
        """A group that is tried again makes its calls again, also those that were made."""
        if node.retry is None or node.retry.attempts_max == 1:
            return
        for scope in node.scopes.values():
            for inner in _unsafe_in(scope):
                text = f"a retry of '{node.id}' would repeat the unsafe call '{inner}'"
                hint = "retry the call itself, or make it `keyed`"
                self._findings.error("P016", text, hint, (*step.path, "retry"))


def _unsafe_in(scope: Scope) -> Iterator[str]:
    """Yield the ids of the unsafe calls in `scope`, however deep."""
    for node in scope.nodes:
        if node.effect == "unsafe":
            yield node.id
        inner = [*node.scopes.values(), node.fallback_scope]
        for one in inner:
            if one is not None:
                yield from _unsafe_in(one)


def _always_ends(step: StepTree) -> bool:
    """True for a `return`, or a `fail` that nothing catches, without a condition."""
    model = step.model
    is_caught = model.on_error == "continue" or "fallback" in step.raw
    has_condition = model.condition not in (None, True)
    return model.ends_scope and not (model.disabled or has_condition or is_caught)


def _nested_ids(tree: ScopeTree) -> dict[str, str]:
    """Return, for each step inside a step of `tree`, the step of `tree` it is inside."""
    return {
        inner.model.id: step.model.id
        for step in tree.steps
        for scope in step.scopes.values()
        for inner in scope.steps
    }


def with_headers(scope: Scope, headers: dict[str, set[str]]) -> Scope:
    """Return `scope` with each node told which response headers templates read."""
    nodes = []
    for node in scope.nodes:
        wanted = merged_headers(headers.get(node.id, ())) if node.facts else ()
        inner = {key: with_headers(one, headers) for key, one in node.scopes.items()}
        fallback = node.fallback_scope
        if fallback is not None:
            fallback = with_headers(fallback, headers)
        if wanted or inner or fallback is not None:
            node = replace(node, headers_read=wanted, scopes=inner, fallback_scope=fallback)
        nodes.append(node)
    return replace(scope, nodes=tuple(nodes))

"""Scopes: steps that see each other get names and edges.

A step waits for the steps of its own scope that its templates, or the templates of
anything nested inside it, read. So what a nested scope reads from outside has settled
before it starts, and it can work on a copy of the names.

Not here: circles and steps that never run (plait.compile.ordering), nodes
(plait.compile.nodes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from plait.compile.compensation import check_compensation
from plait.compile.drafts import Draft, ScopeDraft
from plait.compile.findings import Findings
from plait.compile.jumps import check_jumps, together
from plait.compile.names import NameChecker, View, Visible, visible
from plait.compile.ordering import check_order
from plait.compile.policies import PolicyChecker
from plait.compile.repeats import check_repeats
from plait.compile.templates import StepTemplateCompiler, parse
from plait.document.nearest import nearest_hint
from plait.document.states import StatesStep
from plait.document.step import StepSettings
from plait.document.tree import ScopeTree, StepTree
from plait.expression import Template


class ScopeCompiler:
    """Compiles scopes, the nested ones inside out."""

    def __init__(
        self, findings: Findings, names: NameChecker, defaults: StepSettings | None
    ) -> None:
        self._findings = findings
        self._names = names
        self._defaults = defaults
        self._policies = PolicyChecker(findings, defaults)

    def compile(self, tree: ScopeTree, around: View) -> tuple[ScopeDraft, set[str]]:
        """Return the scope, and the ids of steps outside it that anything in it reads."""
        draft = self._opened(tree, around)
        check_jumps(tree, draft.view.elsewhere, self._findings)
        rounds = together(tree)
        for index, step in enumerate(tree.steps):
            for name in rounds.get(index, ()):
                draft.again.add(name)
                draft.seen[name] = draft.own[name]
                draft.ahead.discard(name)
            draft.nodes.append(self._draft(step, draft.view))
            if not step.is_unnamed:
                draft.seen[step.model.id] = draft.own[step.model.id]
                draft.ahead.discard(step.model.id)
        draft.edges = self._edges(draft)
        check_order(draft, self._findings)
        draft.output, reads = self._output(draft)
        for node in draft.nodes:
            check_repeats(node.tree, self._defaults, self._findings)
            self._policies.check(node.tree)
            reads |= node.reads
        return draft, reads - draft.own.keys()

    def _opened(self, tree: ScopeTree, around: View) -> ScopeDraft:
        own = self._own_steps(tree, around)
        for name in tree.names:
            if name in around.steps or name in around.later or name in own:
                text = f"the name '{name}' would hide the step of this id"
                self._findings.error("P005", text, "choose another one", tree.path)
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
        first: dict[str, StepTree] = {}
        for step in tree.steps:
            if step.is_unnamed:
                continue
            step_id = step.model.id
            if step_id in own and step_id:
                self._report_taken(step, first[step_id])
            elif step_id in around.steps or step_id in around.later:
                text = f"step id '{step_id}' would hide a step of the same id further out"
                path = (*step.path, "id")
                self._findings.error("P005", text, "choose another id", path)
            own[step_id] = visible(step)
            first[step_id] = step
        return own

    def _report_taken(self, step: StepTree, first: StepTree) -> None:
        line = self._findings.document.place((*first.path, "id")).line
        text = f"step id '{step.model.id}' is taken by the step in line {line}"
        self._findings.error("P004", text, "ids are unique", (*step.path, "id"))

    def _draft(self, step: StepTree, view: View) -> Draft:
        templates = StepTemplateCompiler(
            step, self._findings, self._names, view, self._defaults
        ).compile()
        draft = Draft(step, templates, reads=set(templates.reads))
        if step.compensate is not None:
            draft.compensate, reads = self._compensation(step, step.compensate, view)
            draft.reads |= reads
        if not step.scopes and step.fallback is None:
            return draft
        own = set() if step.is_unnamed else {step.model.id}
        inner = replace(view, later=view.later | own, inside=view.inside | own)
        for name, scope_tree in step.scopes.items():
            draft.scopes[name], reads = self.compile(scope_tree, inner)
            draft.reads |= reads | self._after(draft, draft.scopes[name])
        if step.fallback is not None:
            tree = ScopeTree("graph", (step.fallback,), step.path, {}, (), "")
            draft.fallback, reads = self.compile(tree, inner.with_extra("error"))
            draft.reads |= reads
        return draft

    def _after(self, draft: Draft, scope: ScopeDraft) -> set[str]:
        """Compile those templates of a step that see what its scope has come to."""
        if not scope.tree.after:
            return set()
        compiler = StepTemplateCompiler(
            draft.tree, self._findings, self._names, self._view_after(scope), self._defaults
        )
        found = compiler.parts(scope.tree.after)
        draft.templates.own.update(found.own)
        return found.reads - scope.own.keys()

    def _compensation(
        self, step: StepTree, undoing: StepTree, view: View
    ) -> tuple[ScopeDraft, set[str]]:
        """Compile what undoes `step`, which sees the step itself and why it is undone."""
        check_compensation(undoing, self._findings)
        own = {} if step.is_unnamed else {step.model.id: visible(step)}
        inside = replace(
            view,
            steps={**view.steps, **own},
            later=view.later - own.keys(),
            inside=view.inside | own.keys(),
        )
        tree = ScopeTree("graph", (undoing,), step.path, {}, (), "")
        draft, reads = self.compile(tree, inside.with_extra("error"))
        return draft, reads - own.keys()

    def _output(self, draft: ScopeDraft) -> tuple[Template | None, set[str]]:
        tree = draft.tree
        key = tree.output_key
        if not key or key not in tree.raw:
            return None, set()
        parsed = parse(tree.raw[key], (*tree.path, key), self._findings)
        view = self._view_after(draft)
        return parsed.template, self._names.step_reads(parsed.expressions, view)

    def _view_after(self, draft: ScopeDraft) -> View:
        return replace(draft.view, later=draft.view.later - draft.own.keys())

    def _edges(self, draft: ScopeDraft) -> list[list[int]]:
        """Return, for each step, the steps of the same scope that it waits for."""
        steps = enumerate(draft.tree.steps)
        index_of = {step.model.id: i for i, step in steps if not step.is_unnamed}
        edges: list[list[int]] = []
        for index, node in enumerate(draft.nodes):
            needed = {index_of[read] for read in node.reads if read in index_of}
            for position, name in enumerate(node.tree.model.depends_on):
                if name in index_of and name:
                    needed.add(index_of[name])
                elif name in draft.view.steps and name not in draft.view.later:
                    # A step further out: what this scope is inside waits for it.
                    node.reads.add(name)
                elif name and name not in draft.view.extra:
                    self._report_dependency(node.tree, position, name, index_of)
            if index in needed:
                needed.discard(index)
                if node.tree.model.id not in draft.again:
                    self._report_self(node.tree)
            edges.append(sorted(needed))
        return edges

    def _report_dependency(
        self, step: StepTree, position: int, name: str, known: Mapping[str, int]
    ) -> None:
        path = (*step.path, "depends_on", position)
        hint = nearest_hint(name, known)
        self._findings.error("P006", f"there is no step '{name}' to wait for", hint, path)

    def _report_self(self, step: StepTree) -> None:
        text = f"step '{step.model.id}' waits for itself: {step.model.id} → {step.model.id}"
        hint = "only its `output` may read the step itself"
        self._findings.error("P003", text, hint, step.path)


def _nested_ids(tree: ScopeTree) -> dict[str, str]:
    """Return, for each step inside a step of `tree`, the one it is inside that is read.

    That is the step of `tree` itself; in a state machine it is the action.
    """
    return {
        inner.model.id: step.model.id
        for step in _readable(tree)
        for inner in _steps_inside(step)
        if not inner.is_unnamed
    }


def _readable(tree: ScopeTree) -> Iterator[StepTree]:
    for step in tree.steps:
        if isinstance(step.model, StatesStep):
            for scope in step.scopes.values():
                yield from scope.steps
        else:
            yield step


def _steps_inside(step: StepTree) -> Iterator[StepTree]:
    """Yield the steps in the scopes of `step`, and beside it, however deep."""
    nested = [inner for scope in step.scopes.values() for inner in scope.steps]
    nested += [one for one in (step.fallback, step.compensate) if one is not None]
    for inner in nested:
        yield inner
        yield from _steps_inside(inner)

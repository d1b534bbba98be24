"""Drafts become scopes and nodes of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import chain, count
from typing import Any, Final

from plait.compile.drafts import Draft, ScopeDraft
from plait.compile.effects import effect_of
from plait.compile.hedges import hedge_of
from plait.compile.jumps import targets_in
from plait.compile.names import merged_headers
from plait.compile.order import reversed_edges
from plait.compile.policies import Scopes, budget_of, policies_of
from plait.compile.states import with_places
from plait.compile.templates import StepTemplates, inherits
from plait.document.retry import Retry
from plait.document.step import Step, StepSettings
from plait.document.tree import Document, StepTree
from plait.model.place import pointer_to
from plait.plan import HedgePolicy, Node, Policies, RetryPolicy, Scope

NOBODY: Final[frozenset[str]] = frozenset()


class NodeBuilder:
    """Builds the scopes of one document, in which nothing is wrong.

    Args:
        headers: For each step id, the response headers that templates read.
    """

    def __init__(self, document: Document, headers: Mapping[str, set[str]]) -> None:
        self._document = document
        self._defaults = document.model.defaults
        self._headers = headers

    def scope(self, draft: ScopeDraft, standing_for: frozenset[str] = NOBODY) -> Scope:
        """Return the scope that `draft` describes.

        Args:
            standing_for: Steps that its step answers for: whoever reads their headers is
                given those of its reply.
        """
        is_graph = draft.tree.order == "graph"
        edges = draft.edges if is_graph else [[] for _ in draft.nodes]
        build = partial(self._node, standing_for)
        nodes = tuple(map(build, count(), draft.nodes, edges, reversed_edges(edges)))
        if is_graph:
            return Scope("graph", nodes, draft.output)
        jumps = targets_in(draft.tree.steps)
        return Scope("sequence", nodes, draft.output, jumps)

    def _node(
        self,
        standing_for: frozenset[str],
        index: int,
        draft: Draft,
        deps: list[int],
        dependents: list[int],
    ) -> Node:
        step, templates, defaults = draft.tree, draft.templates, self._defaults
        model = step.model
        retry: Retry | None = setting(model, defaults, "retry")
        fallback = draft.fallback
        ids = standing_for | {model.id}
        return Node(
            index=index,
            id=model.id,
            kind=model.type_name(),
            machine=step.parts.machine or model.machine,
            place=self._document.place(step.path),
            deps=tuple(deps),
            dependents=tuple(dependents),
            facts=model.facts,
            headers_read=self._headers_read(model, ids),
            disabled=model.disabled,
            condition=templates.condition,
            timeout_ms=setting(model, defaults, "timeout"),
            attempt_timeout_ms=setting(model, defaults, "attempt_timeout"),
            retry=_retry_policy(retry, templates) if retry is not None else None,
            continue_on_error=setting(model, defaults, "on_error") == "continue",
            compensate_scope=(
                None if draft.compensate is None else self.scope(draft.compensate, ids)
            ),
            fallback_value=templates.fallback,
            fallback_scope=None if fallback is None else self.scope(fallback, ids),
            effect=effect_of(step),
            on_unknown=model.on_unknown or "pause",
            idempotency_key=templates.idempotency_key,
            output=templates.output,
            policies=_with_hedge(
                policies_of(step, defaults, templates, self._scope_of(step)),
                hedge_of(step, defaults),
            ),
            templates=templates.own,
            scopes={name: self.scope(inner) for name, inner in draft.scopes.items()},
            options=with_places(self._document, step.parts.options or {}),
        )

    def _scope_of(self, step: StepTree) -> Scopes:
        """Name a step by its place, and by the ids that lead to it.

        By ids it is the same one in a version where others stand before it.
        """
        value: Any = self._document.raw
        ids: list[str | int] = []
        for key in step.path:
            value = value[key]
            own = value.get("id") if isinstance(value, dict) else None
            ids.append(own if isinstance(key, int) and isinstance(own, str) else key)
        name = self._document.model.name
        return Scopes(name + pointer_to(*step.path), name + pointer_to(*ids))

    def _headers_read(self, model: Step, ids: frozenset[str]) -> tuple[str, ...]:
        read = chain.from_iterable(self._headers.get(step_id, ()) for step_id in ids)
        return merged_headers(read) if model.facts else ()


def setting(model: Step, defaults: StepSettings | None, name: str) -> Any:
    """Return a setting of a step: its own, or for a call the document's default."""
    return getattr(defaults if inherits(model, defaults, name) else model, name)


def _with_hedge(policies: Policies | None, hedge: HedgePolicy | None) -> Policies | None:
    return policies if hedge is None else replace(policies or Policies(), hedge=hedge)


def _retry_policy(retry: Retry, templates: StepTemplates) -> RetryPolicy:
    return RetryPolicy(
        attempts_max=retry.max_attempts,
        delay_ms=retry.delay,
        backoff=retry.backoff,
        factor=retry.factor,
        delay_ms_max=retry.max_delay,
        jitter=retry.jitter,
        on=retry.on if isinstance(retry.on, tuple) else None,
        when=templates.retry_when,
        budget=budget_of(retry),
    )

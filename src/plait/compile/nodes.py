"""A step with its templates and edges becomes a node of the plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from plait.compile.templates import StepTemplates, inherits
from plait.document.retry import Retry
from plait.document.step import Step, StepSettings
from plait.document.tree import StepTree
from plait.model.place import Place
from plait.plan import Node, RetryPolicy, Scope


@dataclass(slots=True)
class Draft:
    """A node in the making; `reads` are the steps that anything in it reads."""

    tree: StepTree
    templates: StepTemplates
    scopes: dict[str, Scope] = field(default_factory=dict)
    fallback: Scope | None = None
    reads: set[str] = field(default_factory=set)


def build_node(
    draft: Draft,
    index: int,
    deps: tuple[int, ...],
    dependents: tuple[int, ...],
    place: Place,
    defaults: StepSettings | None,
) -> Node:
    """Return the node that `draft` describes."""
    step, templates = draft.tree, draft.templates
    model = step.model
    retry: Retry | None = setting(model, defaults, "retry")
    return Node(
        index=index,
        id=model.id,
        kind=model.type_name(),
        machine=model.machine,
        place=place,
        deps=deps,
        dependents=dependents,
        facts=model.facts,
        disabled=model.disabled,
        condition=templates.condition,
        timeout_ms=setting(model, defaults, "timeout"),
        attempt_timeout_ms=setting(model, defaults, "attempt_timeout"),
        retry=_retry_policy(retry, templates) if retry is not None else None,
        continue_on_error=setting(model, defaults, "on_error") == "continue",
        fallback_value=templates.fallback,
        fallback_scope=draft.fallback,
        effect=model.effect or model.own_effect(step.raw),
        idempotency_key=templates.idempotency_key,
        output=templates.output,
        templates=templates.own,
        scopes=draft.scopes,
        options=step.parts.options or {},
    )


def setting(model: Step, defaults: StepSettings | None, name: str) -> Any:
    """Return a setting of a step: its own, or for a call the document's default."""
    return getattr(defaults if inherits(model, defaults, name) else model, name)


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
    )

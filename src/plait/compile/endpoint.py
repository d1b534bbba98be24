"""The `endpoint` of a document: its templates, and whether its path fits the input."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plait.compile.findings import Findings
from plait.compile.input_schema import InputShape
from plait.compile.names import NameChecker, View
from plait.compile.nodes import setting
from plait.compile.templates import parse
from plait.document import Document
from plait.document import Endpoint as EndpointModel
from plait.document.access import rate_of, role_of
from plait.document.nearest import nearest_hint
from plait.document.step import StepSettings
from plait.document.tree import StepTree
from plait.document.workflow import EndpointCache
from plait.expression import Template
from plait.model.json import JsonValue
from plait.plan import Endpoint


def compile_endpoint(
    document: Document, findings: Findings, names: NameChecker, view: View
) -> Endpoint | None:
    """Return the endpoint of `document`, or None if it has none.

    Args:
        view: What its templates see: all steps, and `error` for a failed execution.
    """
    model = document.model.endpoint
    if model is None:
        return None
    _check_parameters(document, model, findings)
    if not model.partial:
        _warn_of_optional_steps(document, findings)
    ttl_ms, stale_ms = _cache_times(model)
    rate, by = rate_of(model.rate_limit)
    compiler = _EndpointTemplates(document, findings, names, view)
    return Endpoint(
        method=model.method,
        path=model.path,
        partial=model.partial,
        status=tuple(compiler.status(model)),
        headers=compiler.headers(),
        cache_ms=ttl_ms,
        stale_ms=stale_ms,
        wait_ms=model.wait,
        role=role_of(model.auth),
        rate_limit=0 if rate is None else rate.limit,
        rate_ms=0 if rate is None else rate.per_ms,
        rate_by=by,
    )


class _EndpointTemplates:
    def __init__(
        self, document: Document, findings: Findings, names: NameChecker, view: View
    ) -> None:
        self._raw = document.raw["endpoint"]
        self._findings = findings
        self._names = names
        self._view = view.with_extra("error")

    def status(self, model: EndpointModel) -> Iterator[tuple[str | Template, int]]:
        for word, status in model.status.items():
            if "${" not in word:
                yield word, status
                continue
            template = self._template(word, ("endpoint", "status", word))
            if template is not None:
                yield template, status

    def headers(self) -> Template | None:
        if not isinstance(self._raw, dict) or not self._raw.get("headers"):
            return None
        return self._template(self._raw["headers"], ("endpoint", "headers"))

    def _template(self, value: JsonValue, path: tuple[str, ...]) -> Template | None:
        parsed = parse(value, path, self._findings)
        self._names.step_reads(parsed.expressions, self._view)
        return parsed.template


def _cache_times(model: EndpointModel) -> tuple[int, int]:
    cache = model.cache
    if isinstance(cache, EndpointCache):
        return cache.ttl, cache.stale_while_revalidate
    return cache or 0, 0


def path_parameters(path: str) -> list[str]:
    """Return the names of a path's parameters.

    >>> path_parameters("/profiles/{user_id}/orders/{order_id}")
    ['user_id', 'order_id']
    """
    return re.findall(r"\{(\w+)\}", path)


def _check_parameters(document: Document, model: EndpointModel, findings: Findings) -> None:
    properties, is_closed = InputShape(document.model.input).properties()
    for name in path_parameters(model.path):
        if is_closed and name not in properties:
            text = f"path parameter '{name}' is no property of the input schema"
            hint = nearest_hint(name, properties)
            findings.error("P014", text, hint, ("endpoint", "path"))


def _warn_of_optional_steps(document: Document, findings: Findings) -> None:
    for step in document.root.steps:
        if step.model.id and _may_be_missing(step, document.model.defaults):
            text = f"when '{step.model.id}' fails, the endpoint answers with an error"
            hint = "set `partial: true` to answer without it"
            findings.warning("P015", text, hint, step.path)


def _may_be_missing(step: StepTree, defaults: StepSettings | None) -> bool:
    is_optional = setting(step.model, defaults, "on_error") == "continue"
    return is_optional and not _always_falls_back(step)


def _always_falls_back(step: StepTree) -> bool:
    """Tell whether something answers for the step; a call in its place may fail too."""
    if step.fallback is None:
        return "fallback" in step.raw
    return step.fallback.model.machine != "call" and "condition" not in step.fallback.raw

"""Deployments: which documents the gateway serves, and how that changes.

Rule 1. A bad document never takes down a serving gateway: it is reported, and its last
        good version stays.
Rule 2. Nothing here does I/O. Whoever reads and compiles documents hands in what it found.

Not here: watching files and swapping (plait.gateway.serving), routes (plait.gateway.app).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from plait.model.diagnostic import Diagnostic, Severity
from plait.model.place import Span
from plait.model.record import record
from plait.plan import Plan

_START = Span(1, 1, 1, 1)


@record
class Deployment:
    """A document that compiled.

    Attributes:
        source_name: Names the document; equal names are versions of one document.
        endpoint_span: Where its `endpoint` stands, for findings about it.
        warnings: What the compiler warned of.
    """

    source_name: str
    plan: Plan
    endpoint_span: Span = _START
    warnings: tuple[Diagnostic, ...] = ()


@record
class Broken:
    """A document that did not compile. `diagnostics` says everything that is wrong."""

    source_name: str
    diagnostics: tuple[Diagnostic, ...]


Loaded: TypeAlias = Deployment | Broken


@record
class Finding:
    """One diagnostic, and the document it is about."""

    source_name: str
    diagnostic: Diagnostic

    @property
    def is_error(self) -> bool:
        """True when the document cannot be served as it stands."""
        return self.diagnostic.severity is Severity.ERROR

    def render(self) -> str:
        """Return `file:line:col: code message (hint)`."""
        return self.diagnostic.render(self.source_name)


def next_deployments(
    current: Iterable[Deployment], loaded: Sequence[Loaded]
) -> tuple[list[Deployment], list[Finding]]:
    """Return what to serve from now on, and what is to be told about it.

    Args:
        current: What is served now.
        loaded: What every document says now. One that is missing was deleted; one that is
            broken keeps the version that is served now, if there is one.
    """
    last_good = {deployment.source_name: deployment for deployment in current}
    following: list[Deployment] = []
    findings: list[Finding] = []
    for item in loaded:
        if isinstance(item, Deployment):
            following.append(item)
            told = item.warnings
        else:
            told = item.diagnostics
            kept = last_good.get(item.source_name)
            following.extend([kept] if kept is not None else [])
        findings.extend(Finding(item.source_name, diagnostic) for diagnostic in told)
    return following, findings

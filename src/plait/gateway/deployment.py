"""Deployments: which documents the gateway serves, and how that changes.

Rule 1. A bad document never takes down a serving gateway: it is reported, and its last
        good version stays.
Rule 2. Nothing here does I/O. Whoever reads and compiles documents hands in what it found.

Not here: watching files and swapping (plait.gateway.serving), routes (plait.gateway.app).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os.path import normpath
from pathlib import PurePath
from typing import TypeAlias
from urllib.parse import quote

from plait.model.caller import DEFAULT_TENANT
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
        tenant: Whose it is. Paths of all but the default one begin with `/~TENANT`.
        endpoint_span: Where its `endpoint` stands, for findings about it.
        warnings: What the compiler warned of.
    """

    source_name: str
    plan: Plan
    endpoint_span: Span = _START
    warnings: tuple[Diagnostic, ...] = ()
    tenant: str = DEFAULT_TENANT

    def template(self, path: str) -> str:
        """Return where the gateway answers for an endpoint's path."""
        if self.tenant == DEFAULT_TENANT:
            return path
        return f"/~{quote(self.tenant, safe='')}{path}"


@record
class Broken:
    """A document that did not compile, or a path that cannot be read.

    Attributes:
        diagnostics: Everything that is wrong.
        is_unreadable: True when nobody knows what is there: it may be a folder, and all
            that was served from below it stays.
    """

    source_name: str
    diagnostics: tuple[Diagnostic, ...]
    is_unreadable: bool = False


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
            broken keeps the version that is served now, if there is one; so does one below
            a path that cannot be read.
    """
    last_good = {deployment.source_name: deployment for deployment in current}
    # What stands here is known by itself, or was kept already.
    known = {item.source_name for item in loaded}
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
            if item.is_unreadable:
                below = names_below(item.source_name, last_good, known)
                following.extend(last_good[name] for name in below)
                known.update(below)
        findings.extend(Finding(item.source_name, diagnostic) for diagnostic in told)
    return following, findings


def names_below(folder: str, names: Iterable[str], known: set[str]) -> list[str]:
    """Return those of `names` that are not known, and stand in `folder`."""
    top = PurePath(normpath(folder))
    return [name for name in names if name not in known and top in PurePath(name).parents]

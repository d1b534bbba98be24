"""Documents as the gateway takes them, and what it would warn of.

Apart from the gateway itself, for commands that check documents and serve none.
"""

from __future__ import annotations

from plait.assembly.documents import UNREADABLE, LoadedFile
from plait.compile import Compiled
from plait.gateway.deployment import Broken, Deployment, Loaded
from plait.gateway.endpoint_warnings import endpoint_warnings
from plait.model.place import Span


def loaded(file: LoadedFile) -> Loaded:
    """Return what the gateway takes for `file`."""
    if file.compiled is not None:
        return _deployment(file.name, file.compiled)
    is_unreadable = any(one.code == UNREADABLE for one in file.diagnostics)
    return Broken(file.name, file.diagnostics, is_unreadable)


def with_endpoint_warnings(file: LoadedFile) -> LoadedFile:
    """Return `file` with what the gateway would warn of, were it served."""
    if file.compiled is None:
        return file
    more = endpoint_warnings(_deployment(file.name, file.compiled))
    return LoadedFile(file.name, file.compiled, (*file.diagnostics, *more))


def _deployment(name: str, compiled: Compiled) -> Deployment:
    return Deployment(name, compiled.plan, endpoint_span(compiled), compiled.warnings)


def endpoint_span(compiled: Compiled) -> Span:
    """Return where the `endpoint` of a document stands; without one, its beginning."""
    return compiled.document.source.span_of(("endpoint",))

"""Documents as the gateway takes them, and what it would say of them.

Apart from the gateway itself, for commands that check documents and serve none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plait.assembly.documents import UNREADABLE, LoadedFile
from plait.compile import Alert, Compiled
from plait.gateway.deployment import Broken, Deployment, Loaded, names_below
from plait.gateway.endpoint_findings import endpoint_errors, endpoint_warnings
from plait.model.place import Span


def loaded(file: LoadedFile) -> Loaded:
    """Return what the gateway takes for `file`."""
    if file.compiled is not None:
        return _deployment(file.name, file.compiled)
    return Broken(file.name, file.diagnostics, _is_unreadable(file))


def alerts_of(files: Sequence[LoadedFile], former: Mapping[str, Alert]) -> dict[str, Alert]:
    """Return the alerts to watch from now on, by their files.

    Args:
        former: Those that are watched now: a file that is broken keeps its own, and so does
            one below a folder that cannot be read, as workflows do.
    """
    found = {file.name: file.alert for file in files if file.alert is not None}
    known = {file.name for file in files}
    for file in files:
        if file.has_errors:
            kept = [file.name] if file.name in former else []
            if _is_unreadable(file):
                kept += names_below(file.name, former, known)
            found |= {name: former[name] for name in kept}
    return found


def _is_unreadable(file: LoadedFile) -> bool:
    return any(one.code == UNREADABLE for one in file.diagnostics)


def with_endpoint_findings(file: LoadedFile) -> LoadedFile:
    """Return `file` with what the gateway would say of it, were it served."""
    if file.compiled is None:
        return file
    deployment = _deployment(file.name, file.compiled)
    wrong, more = endpoint_errors(deployment), endpoint_warnings(deployment)
    compiled = None if wrong else file.compiled
    return LoadedFile(file.name, compiled, (*file.diagnostics, *wrong, *more))


def _deployment(name: str, compiled: Compiled) -> Deployment:
    return Deployment(name, compiled.plan, endpoint_span(compiled), compiled.warnings)


def endpoint_span(compiled: Compiled) -> Span:
    """Return where the `endpoint` of a document stands; without one, its beginning."""
    return compiled.document.source.span_of(("endpoint",))

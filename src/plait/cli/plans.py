"""Documents, for commands that look at them without running them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from plait.assembly import compose
from plait.assembly.documents import LoadedFile, load_documents
from plait.cli.options import configured, connectors
from plait.cli.output import say, stop
from plait.plan import Plan


def files_of(paths: Iterable[str], config: Path | None) -> list[LoadedFile]:
    """Return every document at `paths`, by the limits of the settings."""
    settings = configured(config, None, None).settings
    catalog = compose.catalog(connectors())
    return load_documents(paths, catalog, compose.source_limits(settings))


def plan_of(file: str, config: Path | None) -> Plan:
    """Return the plan of the document in `file`.

    Warnings go to standard error. Ends with EXIT_INVALID when there are errors.
    """
    loaded = files_of([file], config)
    if len(loaded) != 1:
        stop(f"{file}: is a directory of {len(loaded)} documents; name one of them")
    if loaded[0].compiled is None:
        stop(*loaded[0].findings())
    for warning in loaded[0].findings():
        say(warning)
    return loaded[0].compiled.plan

"""Documents, for commands that look at them without running them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from plait.assembly import compose
from plait.assembly.documents import LoadedFile, load_documents
from plait.cli.options import configured, connectors
from plait.cli.output import say, stop
from plait.compile import Compiled
from plait.document import Catalog
from plait.document.limits import SourceLimits
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
    loaded, compiled = the_one(files_of([file], config), file)
    for warning in loaded.findings():
        say(warning)
    return compiled.plan


def load_one(
    file: str, catalog: Catalog, limits: SourceLimits
) -> tuple[LoadedFile, Compiled]:
    """Return the document in `file`; ends with EXIT_INVALID when there are errors."""
    return the_one(load_documents([file], catalog, limits), file)


def the_one(files: list[LoadedFile], path: str) -> tuple[LoadedFile, Compiled]:
    """Return the only document at `path`; ends with EXIT_INVALID when it has errors."""
    if len(files) != 1:
        stop(f"{path}: is a directory of {len(files)} documents; name one of them")
    loaded = files[0]
    if loaded.alert is not None:
        stop(f"{path}: is an alert, no workflow; `plait serve {path} …` watches it")
    if loaded.compiled is None:
        stop(*loaded.findings())
    return loaded, loaded.compiled

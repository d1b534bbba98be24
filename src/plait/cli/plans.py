"""The plan of one file, for commands that look at it without running it."""

from __future__ import annotations

from plait.assembly.documents import load_document
from plait.cli.options import connectors
from plait.cli.output import say, stop
from plait.document import Catalog
from plait.plan import Plan


def plan_of(file: str) -> Plan:
    """Return the plan of the document in `file`.

    Warnings go to standard error. Ends with EXIT_INVALID when there are errors.
    """
    loaded = load_document(file, Catalog(one.step for one in connectors()))
    if loaded.compiled is None:
        stop(*loaded.findings())
    for warning in loaded.findings():
        say(warning)
    return loaded.compiled.plan

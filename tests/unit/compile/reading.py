"""Helpers of the compiler's tests: what is found in a text, as people read it."""

from __future__ import annotations

from textwrap import dedent

from plait.compile import CompileErrors, compile_text
from plait.model.diagnostic import Diagnostic
from tests.simulation.asking import CATALOG


def findings_in(text: str | bytes, name: str = "w.yaml") -> list[Diagnostic]:
    """Return errors or, if there are none, warnings."""
    data = text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode()
    try:
        return list(compile_text(data, name=name, catalog=CATALOG).warnings)
    except CompileErrors as errors:
        return list(errors.diagnostics)


def lines_of(text: str | bytes, name: str = "w.yaml") -> list[str]:
    """Return `line:column: code message (hint)` of each finding."""
    return [one.render("").removeprefix(":") for one in findings_in(text, name)]


def lines_of_steps(steps: str) -> list[str]:
    """Return the findings of a document whose steps begin in line 3."""
    return lines_of("name: test\nsteps:\n" + dedent(steps).strip("\n") + "\n")

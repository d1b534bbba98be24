"""Where the compiler's findings gather, each with its place."""

from __future__ import annotations

from plait.document.tree import Document, Path
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.place import Place, Span


class Findings:
    """Adds to what was found wrong with a document already; knows its places."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.found = document.found

    def error(
        self, code: str, message: str, hint: str, path: Path, *, key: bool = False
    ) -> None:
        """Report an error at the value (or the key) that `path` leads to."""
        span = self.document.source.span_of(path, key=key)
        self.found.add(Diagnostic(code, message, hint, span))

    def error_at(self, code: str, message: str, hint: str, place: Place) -> None:
        """Report an error at a place that is known already."""
        self.found.add(Diagnostic(code, message, hint, _span(place)))

    def warning(self, code: str, message: str, hint: str, path: Path) -> None:
        """Report a warning at the value that `path` leads to."""
        span = self.document.source.span_of(path)
        self.found.add(Diagnostic(code, message, hint, span, Severity.WARNING))

    def warning_at(self, code: str, message: str, hint: str, place: Place) -> None:
        """Report a warning at a place that is known already."""
        found = Diagnostic(code, message, hint, _span(place), Severity.WARNING)
        self.found.add(found)


def _span(place: Place) -> Span:
    return Span(place.line, place.column, place.line, place.column)

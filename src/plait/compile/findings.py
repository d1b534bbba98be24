"""Where the compiler's findings gather, each with its place."""

from __future__ import annotations

from plait.document.tree import Document, Path
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.place import Place, Span


class Findings:
    """A list of diagnostics that knows the document's places."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.items: list[Diagnostic] = []

    def in_order(self) -> tuple[Diagnostic, ...]:
        """Return the findings in the document's order, each once.

        Two reads of one wrong name in one expression are one finding.
        """
        ordered = sorted(self.items, key=lambda one: (one.span, one.code, one.message))
        return tuple(
            one for n, one in enumerate(ordered) if n == 0 or one != ordered[n - 1]
        )

    def error(
        self, code: str, message: str, hint: str, path: Path, *, key: bool = False
    ) -> None:
        """Report an error at the value (or the key) that `path` leads to."""
        span = self.document.source.span_of(path, key=key)
        self.items.append(Diagnostic(code, message, hint, span))

    def error_at(self, code: str, message: str, hint: str, place: Place) -> None:
        """Report an error at a place that is known already."""
        self.items.append(Diagnostic(code, message, hint, _span(place)))

    def warning(self, code: str, message: str, hint: str, path: Path) -> None:
        """Report a warning at the value that `path` leads to."""
        span = self.document.source.span_of(path)
        self.items.append(Diagnostic(code, message, hint, span, Severity.WARNING))

    def warning_at(self, code: str, message: str, hint: str, place: Place) -> None:
        """Report a warning at a place that is known already."""
        found = Diagnostic(code, message, hint, _span(place), Severity.WARNING)
        self.items.append(found)


def _span(place: Place) -> Span:
    return Span(place.line, place.column, place.line, place.column)

"""What was found wrong with a document: gathered, put in order, not more than helps.

Rule. Errors past the limit end the search: a text with 10,000 wrong names is an attack or
an accident, and looking for the nearest right one of each would take minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from plait.document.limits import DEFAULT_LIMITS
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.errors import Advice, PlaitError

_MESSAGE_CHARS_MAX = 400
# What is wrong with a value's text makes the value wrong too; saying so once is enough.
_OF_VALUES = frozenset("D010 D013 D015 D018 D019 D022 D023 D025".split())


class DocumentErrors(PlaitError):
    """A document is not a valid workflow. `diagnostics` says everything that is wrong."""

    code: ClassVar[str] = "document.invalid"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        count = len(diagnostics)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the document")
        self.diagnostics = diagnostics


class Found:
    """Diagnostics, as they are found.

    Args:
        faults: What was found wrong with the text, before anything else.
    """

    def __init__(self, faults: Iterable[Diagnostic] = ()) -> None:
        self._errors = list(faults)
        self._unread = {
            (one.span.line, one.span.column)
            for one in self._errors
            if one.code in _OF_VALUES
        }
        self._warnings: list[Diagnostic] = []
        self._unlisted_count = 0

    def add(self, one: Diagnostic) -> None:
        """Keep `one`.

        Raises:
            DocumentErrors: It is one error more than is worth listing.
        """
        if (one.span.line, one.span.column) in self._unread:
            return
        if len(one.message) > _MESSAGE_CHARS_MAX:
            one = replace(one, message=one.message[: _MESSAGE_CHARS_MAX - 1] + "…")
        limit = DEFAULT_LIMITS.diagnostics_max
        if one.severity is Severity.ERROR and len(self._errors) == limit:
            text = f"there is more wrong than these {limit} problems"
            last = Diagnostic("D099", text, "", self._errors[-1].span)
            raise DocumentErrors((*self.in_order(), last))
        if one.severity is Severity.ERROR:
            self._errors.append(one)
        elif len(self._warnings) < limit:
            self._warnings.append(one)
        else:
            self._unlisted_count += 1

    @property
    def has_errors(self) -> bool:
        """True when the document cannot run."""
        return bool(self._errors)

    def in_order(self) -> tuple[Diagnostic, ...]:
        """Return all in the document's order, each once.

        Two reads of one wrong name in one expression are one finding.
        """
        gathered = [*self._errors, *self._warnings]
        ordered = sorted(gathered, key=lambda one: (one.span, one.code, one.message))
        distinct = [one for n, one in enumerate(ordered) if not n or one != ordered[n - 1]]
        if self._unlisted_count:
            text = f"{self._unlisted_count} more warnings are not listed"
            span, kind = distinct[-1].span, Severity.WARNING
            distinct.append(Diagnostic("D099", text, "", span, kind))
        return tuple(distinct)

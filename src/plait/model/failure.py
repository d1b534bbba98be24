"""A failure as data: why a step, and perhaps the whole execution, did not succeed."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from plait.model.errors import Advice
from plait.model.json import JsonObject, JsonValue
from plait.model.place import Place
from plait.model.record import record

# One word of a code, and a code: words, joined by dots. Programs compare codes, documents
# name them, logs index them.
CODE_WORD: Final = r"[A-Za-z0-9_-]+"
CODE_PATTERN: Final = rf"{CODE_WORD}(?:\.{CODE_WORD})*"


@record
class Failure:
    """Why something failed. Travels in events, so it holds only JSON-able facts.

    Attributes:
        code: Stable, dotted: `connector.timeout`, `connector.http.503`,
            `expression.no_such_key`, `limit.steps`.
        message: One sentence for a person. Never parsed.
        details: Facts for programs; becomes `error.details`.
        advice: What should happen next; retry's default reads it.
        classes: Extra words that `retry.on` may name: `connect`, `timeout`.
        sent: False when it is certain that nothing reached the other side.
        retry_after_ms: The other side's own wish, milliseconds; None if it had none.
        step: Path of the step that failed (`fan[3]/charge`); empty until known.
        attempts: How many attempts were made; 0 when none was.
        place: Where the cause stands in the document; None until known.
    """

    code: str
    message: str
    details: JsonObject | None = None
    advice: Advice = Advice.REPORT
    classes: tuple[str, ...] = ()
    sent: bool = True
    retry_after_ms: int | None = None
    step: str = ""
    attempts: int = 0
    place: Place | None = None

    def at(self, *, step: str, attempts: int, place: Place) -> Failure:
        """Return this failure, told which step it belongs to.

        What is known already is kept: the innermost step is the one that failed.
        """
        if self.step:
            return self
        return replace(self, step=step, attempts=attempts, place=self.place or place)

    def as_json(self) -> JsonObject:
        """Return the shape that templates read and users see under `error`."""
        details: dict[str, JsonValue] = dict(self.details or {})
        if self.step:
            details["step"] = self.step
            details["attempts"] = self.attempts
        if self.place is not None and self.place.line:
            details["place"] = {
                "pointer": self.place.pointer,
                "line": self.place.line,
                "column": self.place.column,
            }
        return {"code": self.code, "message": self.message, "details": details}

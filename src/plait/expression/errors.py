"""What goes wrong in templates: when they are compiled, and when they are rendered.

Rule 1. A message names expressions, paths and keys, never the value of any name: values
        may be secrets.
Rule 2. Each kind of failure has a code of its own, which is never renamed.
"""

from __future__ import annotations

from typing import ClassVar

from plait.expression.info import ExpressionInfo
from plait.model.diagnostic import Diagnostic
from plait.model.errors import Advice, PlaitError
from plait.model.failure import Failure
from plait.model.place import NOWHERE, Place

# 120: a longer expression says no more in a message than its beginning does.
_SHOWN_CHARS_MAX = 120


class TemplateErrors(PlaitError):
    """A value holds templates that cannot be compiled. All findings at once.

    Attributes:
        diagnostics: What is wrong, in the order of the document.
        expressions: The other expressions of the value, which are valid, in the order of
            the document: the names that they read can be checked all the same.
    """

    code: ClassVar[str] = "expression.invalid"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(
        self,
        diagnostics: tuple[Diagnostic, ...],
        expressions: tuple[ExpressionInfo, ...] = (),
    ) -> None:
        super().__init__("; ".join(found.message for found in diagnostics))
        self.diagnostics = diagnostics
        self.expressions = expressions


class ExpressionError(PlaitError):
    """An expression could not be evaluated. The same names fail the same way again.

    Attributes:
        message: What was wrong, for a person.
        expression: Text of the expression, without `${` and `}`.
        place: Where it stands in the document.
        path: The path that could not be read; empty when none is to blame.
    """

    code: ClassVar[str] = "expression.failed"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(
        self, message: str, *, expression: str, place: Place = NOWHERE, path: str = ""
    ) -> None:
        shown = message
        # A message that begins with the whole expression already names it.
        if not message.startswith(f"{expression}:"):
            shown = f"${{{_shortened(expression)}}}: {message}"
        super().__init__(shown)
        self.message = shown
        self.expression = expression
        self.place = place
        self.path = path

    def failure(self) -> Failure:
        """Return this error as data, for events."""
        details = {"expression": self.expression}
        if self.path:
            details["path"] = self.path
        return Failure(
            self.code,
            self.message,
            details={**details},
            advice=self.advice,
            sent=False,
            place=self.place if self.place.line else None,
        )


class NoSuchKey(ExpressionError):
    """An object has no such key, or there is no such name."""

    code: ClassVar[str] = "expression.no_such_key"


class NoSuchIndex(ExpressionError):
    """A list has no such index."""

    code: ClassVar[str] = "expression.no_such_index"


class WrongType(ExpressionError):
    """A value is not of the type that was needed; null has no keys either."""

    code: ClassVar[str] = "expression.type"


class DivideByZero(ExpressionError):
    """An integer was divided by zero."""

    code: ClassVar[str] = "expression.divide_by_zero"


class Overflow(ExpressionError):
    """A number, time or duration is out of range."""

    code: ClassVar[str] = "expression.overflow"


class BadText(ExpressionError):
    """Text could not be read as a number, time, duration, pattern or format."""

    code: ClassVar[str] = "expression.bad_text"


class OverBudget(ExpressionError):
    """The expression would work too long, or on too much, or make too large a value."""

    code: ClassVar[str] = "expression.budget"


class NotJson(ExpressionError):
    """The result is nothing that JSON can hold: NaN, an empty optional in a list, …"""

    code: ClassVar[str] = "expression.not_json"


class NotBool(ExpressionError):
    """A condition is neither true nor false."""

    code: ClassVar[str] = "expression.not_bool"


class NotForUrl(ExpressionError):
    """A value may not stand in a URL: null, or what would change its path."""

    code: ClassVar[str] = "expression.not_for_url"


class UnsupportedValue(ExpressionError):
    """A value cannot be handed to CEL: text with a NUL character, half a surrogate."""

    code: ClassVar[str] = "expression.unsupported_value"


def _shortened(expression: str) -> str:
    text = " ".join(expression.split())
    return text if len(text) <= _SHOWN_CHARS_MAX else text[: _SHOWN_CHARS_MAX - 1] + "…"

"""Fail node: fails with the error that the document names.

It fails as any step does, so `on_error`, an enclosing `try` and the rest apply. A code that
a template got wrong does not hide the failure: message and details are kept, and the code
becomes CODE_DEFAULT.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Run
from plait.model.errors import Advice
from plait.model.failure import CODE_PATTERN, Failure
from plait.model.json import JsonObject, JsonValue, canonical_bytes

CODE_DEFAULT: Final = "workflow.failed"
CODE_CHARS_MAX: Final = 200

_CODE: Final = re.compile(CODE_PATTERN, re.ASCII)


class FailMachine(Machine):
    """Renders code, message and details into a failure."""

    name: ClassVar[str] = "fail"

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Fail. The advice is against trying again; a `retry.on` may ask for it."""
        names, templates = run.frame.names, run.node.templates
        code = _text(templates["code"].render(names)) or CODE_DEFAULT
        message = _text(templates["message"].render(names))
        given = templates["details"].render(names)
        details: JsonObject = given if isinstance(given, dict) else {"value": given}
        if not is_code(code):
            details = {**details, "code_refused": code[:CODE_CHARS_MAX]}
            code = CODE_DEFAULT
        failure = Failure(code, message, details, Advice.FIX_REQUEST)
        kernel.fail(x, run, failure)


def is_code(text: str) -> bool:
    """Tell whether `text` can be an error's code: words, joined by dots.

    >>> [is_code(text) for text in ("order.sold_out", "E-17", "sold out", "a..b", "")]
    [True, True, False, False, False]
    """
    return len(text) <= CODE_CHARS_MAX and _CODE.fullmatch(text) is not None


def _text(value: JsonValue) -> str:
    """Text as it is, null as nothing, the rest as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return canonical_bytes(value).decode()


MACHINE = FailMachine()

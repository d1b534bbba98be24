"""Fail node: fails with the error that the document names.

It fails as any step does, so `on_error`, an enclosing `try` and the rest apply.
"""

from __future__ import annotations

from typing import ClassVar, Final

from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Run
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonValue, canonical_bytes

CODE_DEFAULT: Final = "workflow.failed"


class FailMachine(Machine):
    """Renders code, message and details into a failure."""

    name: ClassVar[str] = "fail"

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Fail; never retried, since the document itself asked for it."""
        names, templates = run.frame.names, run.node.templates
        details = templates["details"].render(names)
        failure = Failure(
            code=_text(templates["code"].render(names)) or CODE_DEFAULT,
            message=_text(templates["message"].render(names)),
            details=details if isinstance(details, dict) else {"value": details},
            advice=Advice.FIX_REQUEST,
        )
        kernel.fail(x, run, failure)


def _text(value: JsonValue) -> str:
    """Text as it is, null as nothing, the rest as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return canonical_bytes(value).decode()


MACHINE = FailMachine()

"""What a function may ask about the call that it answers."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from plait.model.record import record


@record
class FunctionCall:
    """One attempt of one step.

    Attributes:
        execution_id, step, attempt: Together they name this call and no other. Attempts
            count from 1.
        idempotency_key: The same for all attempts of the step, also after a crash: hand it
            on to whatever the function calls. None for an effect of `read`.
    """

    execution_id: str
    step: str
    attempt: int
    idempotency_key: str | None


CURRENT: Final[ContextVar[FunctionCall]] = ContextVar("plait.current_call")


def current_call() -> FunctionCall:
    """Return the call that is being answered, in coroutines and in threads alike.

    Raises:
        LookupError: No step has called.
    """
    return CURRENT.get()

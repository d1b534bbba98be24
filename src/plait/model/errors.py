"""The root of every exception that Plait raises on purpose."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Advice(StrEnum):
    """What should happen next with an error. Retry policy reads this, never the text."""

    # Not again, even where a document names the error as one to retry.
    GIVE_UP = "give_up"
    RETRY = "retry"
    FIX_REQUEST = "fix_request"
    REPORT = "report"


class PlaitError(Exception):
    """Root of Plait's exceptions. A subclass fixes `code`, which is never renamed."""

    code: ClassVar[str] = "internal"
    advice: ClassVar[Advice] = Advice.REPORT

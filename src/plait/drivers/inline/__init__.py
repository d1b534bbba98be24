"""The express driver: one execution inside one request, nothing written."""

from plait.drivers.inline.children import WithInlineChildren
from plait.drivers.inline.driver import Hear, InlineDriver, NeedsDurable, Result, Start
from plait.drivers.inline.trace import StepTrace, Trace

__all__ = [
    "Hear",
    "InlineDriver",
    "NeedsDurable",
    "Result",
    "Start",
    "StepTrace",
    "Trace",
    "WithInlineChildren",
]

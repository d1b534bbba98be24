"""The express driver: one execution inside one request, nothing written."""

from plait.drivers.inline.children import WithInlineChildren
from plait.drivers.inline.driver import InlineDriver, NeedsDurable, Result, Start
from plait.drivers.inline.trace import StepTrace, Trace

__all__ = [
    "InlineDriver",
    "NeedsDurable",
    "Result",
    "Start",
    "StepTrace",
    "Trace",
    "WithInlineChildren",
]

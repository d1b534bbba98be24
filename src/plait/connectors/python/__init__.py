"""The `python` connector: steps that call ordinary functions of this process.

Rule 1. What goes in and what comes out is JSON, copied: a function sees no other step's
data, and what it does to its arguments afterwards changes nothing.
Rule 2. Only functions that were registered are called, never one that a document names.

Not here: which modules a program registers (plait.assembly).
"""

from plait.connectors.python.call import FunctionCall, current_call
from plait.connectors.python.connector import PythonCalls
from plait.connectors.python.errors import StepError
from plait.connectors.python.functions import Functions
from plait.connectors.python.step import PythonStep

__all__ = [
    "FunctionCall",
    "Functions",
    "PythonCalls",
    "PythonStep",
    "StepError",
    "current_call",
]

"""Document → plan: names resolved, edges inferred, everything wrong reported at once.

Also what can be told of a plan without running it: explain it, draw it.
"""

from plait.compile.alerts import Alert, compile_alert
from plait.compile.compiler import Compiled, CompileErrors, compile_document, compile_text

__all__ = [
    "Alert",
    "CompileErrors",
    "Compiled",
    "compile_alert",
    "compile_document",
    "compile_text",
]

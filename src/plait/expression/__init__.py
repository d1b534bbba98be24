"""Expressions: CEL inside `${…}`, in any JSON value.

Rule 1. No clock, no dice, no I/O. The same names give the same value, or the same error,
        in every process and on every machine.
Rule 2. What a template reads is known when it is compiled, exactly.
Rule 3. One expression takes about 50 ms at most, whatever is written into it.

Not here: which names there are and what they mean (plait.compile), when a template is
rendered (plait.kernel).
"""

from plait.expression.catalogue import FUNCTIONS, FunctionEntry
from plait.expression.errors import (
    BadText,
    DivideByZero,
    ExpressionError,
    NoSuchIndex,
    NoSuchKey,
    NotBool,
    NotForUrl,
    NotJson,
    OverBudget,
    Overflow,
    TemplateErrors,
    UnsupportedValue,
    WrongType,
)
from plait.expression.getter import Names
from plait.expression.info import ExpressionInfo
from plait.expression.paths import Read, format_path, parse_path
from plait.expression.template import Template, parse_template
from plait.expression.text import Escape

__all__ = [
    "FUNCTIONS",
    "BadText",
    "DivideByZero",
    "Escape",
    "ExpressionError",
    "ExpressionInfo",
    "FunctionEntry",
    "Names",
    "NoSuchIndex",
    "NoSuchKey",
    "NotBool",
    "NotForUrl",
    "NotJson",
    "OverBudget",
    "Overflow",
    "Read",
    "Template",
    "TemplateErrors",
    "UnsupportedValue",
    "WrongType",
    "format_path",
    "parse_path",
    "parse_template",
]

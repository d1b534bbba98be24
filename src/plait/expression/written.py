"""Texts with expressions in them: what renders them, and how long they may be.

Rule 1. A text is as large as a value may be at most (plait.expression.weight): its parts
        are added up before they are joined.

Not here: how a value looks in text (plait.expression.text).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NoReturn, TypeAlias

from plait.expression.errors import (
    ExpressionError,
    NotForUrl,
    OverBudget,
    UnsupportedValue,
)
from plait.expression.evaluate import Expression
from plait.expression.getter import Getter, Names
from plait.expression.segments import OpenSegment, fault_in, open_segments
from plait.expression.text import Escape, NoText, Writer, path_values, text_of, writers_for
from plait.expression.weight import VALUE_BYTES_MAX, TooHeavy, check_text, text_bytes

TextParts: TypeAlias = "Sequence[str | Expression]"
Write: TypeAlias = Callable[[Names], str]

# So many characters are never more bytes than are allowed: one has four at most.
_SURELY_LIGHT_CHARS: Final = VALUE_BYTES_MAX // 4


def text_renderer(parts: TextParts, escape: Escape) -> Write:
    """Return what renders a text of several parts, or of one expression and a literal."""
    writers = writers_for(parts, escape)
    segments: list[OpenSegment] = []
    if escape is Escape.URL:
        found = open_segments(parts, path_values(parts, writers))
        segments = [segment for segment in found if not segment.is_one_value]
    match parts:
        case [str(prefix), expression] if not isinstance(expression, str) and not segments:
            return _prefixed(prefix, expression, writers[1])
        case _:
            return _joined(parts, writers, segments)


def _prefixed(prefix: str, expression: Expression, writer: Writer) -> Write:
    write = _written(expression, writer)

    def render(names: Names) -> str:
        text = prefix + write(names)
        if len(text) > _SURELY_LIGHT_CHARS:
            _check(text_bytes(text), expression)
        return text

    return render


def _joined(
    parts: TextParts, writers: Sequence[Writer], segments: Sequence[OpenSegment]
) -> Write:
    literals = [part if isinstance(part, str) else "" for part in parts]
    size_of_literals = sum(map(text_bytes, literals))
    moving = [
        (index, _written(part, writers[index]), part)
        for index, part in enumerate(parts)
        if not isinstance(part, str)
    ]

    def render(names: Names) -> str:
        texts, size = literals.copy(), size_of_literals
        for index, write, expression in moving:
            text = texts[index] = write(names)
            size += len(text) if text.isascii() else text_bytes(text)
            if size > VALUE_BYTES_MAX:
                _check(size, expression)
        for segment in segments:
            _check_segment(texts, segment, parts)
        return "".join(texts)

    return render


def _check(size: int, expression: Expression) -> None:
    try:
        check_text(size)
    except TooHeavy as reason:
        _refuse(OverBudget, f"with its value, the text around it {reason}", expression)


def _check_segment(texts: Sequence[str], segment: OpenSegment, parts: TextParts) -> None:
    fault, expression = fault_in(texts, segment), parts[segment.value]
    if fault and not isinstance(expression, str):
        _refuse(NotForUrl, f"its value {fault}", expression)


def _written(expression: Expression, write: Writer) -> Write:
    """Return what evaluates `expression` and writes its value as text."""
    read: Getter = expression.getter()
    error = UnsupportedValue if write is text_of else NotForUrl

    def text(names: Names) -> str:
        value = read(names)
        try:
            return write(value)
        except NoText as reason:
            _refuse(error, f"its value {reason}", expression)

    return text


def _refuse(error: type[ExpressionError], message: str, expression: Expression) -> NoReturn:
    raise error(message, expression=expression.source, place=expression.place) from None

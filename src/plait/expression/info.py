"""One expression of a template, described: for diagnostics and explanations."""

from __future__ import annotations

from typing import NamedTuple

from plait.expression.paths import Read
from plait.model.place import Place


class ExpressionInfo(NamedTuple):
    """One expression of a template: its text, where it stands, and what it reads."""

    source: str
    place: Place
    reads: tuple[Read, ...]
    is_plain_path: bool

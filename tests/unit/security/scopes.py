"""Scopes as large as they can be."""

from __future__ import annotations

from plait.model.caller import Caller
from plait.security.kept import BadScope, scope_of


def largest_caller(name_length: int, more: str) -> Caller:
    """Return a caller with as many grants as a key can be made with.

    Args:
        name_length: Of the workflows' names, characters.
        more: Another workflow that is granted.
    """
    grants = {more: "operator"}
    while True:
        name = f"{len(grants):0{name_length}}"
        try:
            scope_of("t" * 128, None, {**grants, name: "operator"})
        except BadScope:
            return Caller(f"user:{'u' * 120}", grants=grants)
        grants[name] = "operator"

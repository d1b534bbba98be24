"""Durability: whether a server keeps what it acknowledges, and who answers for that.

A server of other settings is refused. An operator whose server cannot be asked, or who
knows better, says `?durability=unchecked` in the address.
"""

from __future__ import annotations

from typing import ClassVar, Final

from plait.model.errors import Advice, PlaitError

_OPTION: Final = "durability="
_CHOICES: Final = {f"{_OPTION}checked": True, f"{_OPTION}unchecked": False}


class StoreNotDurable(PlaitError):
    """The server may lose what it has acknowledged."""

    code: ClassVar[str] = "store.not_durable"
    advice: ClassVar[Advice] = Advice.REPORT


def without_durability(url: str) -> tuple[str, bool]:
    """Return the address as client libraries take it, and whether to check the server.

    Raises:
        ValueError: It says something else about durability.

    >>> without_durability("redis://db.example/0?durability=unchecked&protocol=3")
    ('redis://db.example/0?protocol=3', False)
    >>> without_durability("postgresql:///plait?host=/run/postgresql")
    ('postgresql:///plait?host=/run/postgresql', True)
    """
    base, _, query = url.partition("?")
    options = query.split("&") if query else []
    chosen = [one for one in options if one.startswith(_OPTION)]
    if len(chosen) > 1 or any(one not in _CHOICES for one in chosen):
        raise ValueError("durability is checked or unchecked")
    kept = "&".join(one for one in options if one not in chosen)
    is_checked = all(_CHOICES[one] for one in chosen)
    return (f"{base}?{kept}" if kept else base), is_checked

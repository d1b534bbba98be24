"""A bug planted in a real gateway: it takes in whatever comes, and has as long as it takes.

Python imports this before anything else in a process that finds it on its path.
"""

from __future__ import annotations

from plait.gateway import app
from plait.gateway.layers import Room

_ENOUGH = 1_000_000_000


def _endless(places_max: int, wait_ms_max: int) -> Room:
    del places_max, wait_ms_max
    return Room(_ENOUGH, _ENOUGH)


vars(app)["Room"] = _endless

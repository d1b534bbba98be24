"""A bug planted in a real gateway: masks leave secrets as they are.

Python imports this before anything else in a process that finds it on its path.
"""

from __future__ import annotations

from typing import Any

from plait.drivers import redact


def _unmasked(value: Any, forms: object) -> Any:
    del forms
    return value


redact._masked = _unmasked

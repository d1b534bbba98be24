"""Triggers beside a document: `pay.yaml.triggers` beside `pay.yaml`, a JSON list.

Over the API triggers may be given beside a document, and are part of its version. A file of
their own keeps the document's bytes; its ending is none of a document's, so that nothing
reads it as one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from plait.model.json import JsonObject

_ENDING: Final = ".triggers"
# 100 triggers with the longest names and paths are 50 kB.
_BYTES_MAX: Final = 1024 * 1024


def triggers_path(document: Path) -> Path:
    """Return where the triggers beside a document are.

    >>> triggers_path(Path("workflows/pay.yaml")).name
    'pay.yaml.triggers'
    """
    return document.with_name(document.name + _ENDING)


def triggers_data(triggers: Sequence[JsonObject]) -> bytes:
    """Return what the file holds.

    >>> triggers_data([{"type": "webhook"}]).splitlines()[1:3]
    [b'  {', b'    "type": "webhook"']
    """
    return (json.dumps([*triggers], indent=2, ensure_ascii=False) + "\n").encode()


def triggers_beside(document: Path) -> list[JsonObject]:
    """Return the triggers beside a document; none, if it has no such file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no JSON list of mappings.
    """
    try:
        with triggers_path(document).open("rb") as file:
            data = file.read(_BYTES_MAX + 1)
    except FileNotFoundError:
        return []
    if len(data) > _BYTES_MAX:
        raise ValueError("it has more than 1 MiB")
    try:
        told: Any = json.loads(data)
    except RecursionError:
        told = None
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise ValueError("it is a JSON list of triggers, each with type, path and secret")
    return told

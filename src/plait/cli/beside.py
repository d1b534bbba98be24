"""Triggers beside a document: `pay.yaml.triggers` beside `pay.yaml`, a JSON list.

Over the API triggers may be given beside a document, and are part of its version. A file of
their own keeps the document's bytes; its ending is none of a document's, so that nothing
reads it as one. Nor may it be lost for a letter: what looks like it, and is beside no
document, is an error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

from plait.model.diagnostic import did_you_mean
from plait.model.json import JsonObject
from plait.model.record import record

_ENDING: Final = ".triggers"
# 100 triggers with the longest names and paths are 50 kB.
_BYTES_MAX: Final = 256 * 1024
_LIKENESS_MIN: Final = 0.8


@record
class Beside:
    """The triggers beside a document.

    Attributes:
        text: The file, to the letter; None: there is none, or it is as exports write it.
    """

    triggers: Sequence[JsonObject] = ()
    text: str | None = None


def triggers_path(document: Path) -> Path:
    """Return where the triggers beside a document are.

    >>> triggers_path(Path("workflows/pay.yaml")).name
    'pay.yaml.triggers'
    """
    return document.with_name(document.name + _ENDING)


def triggers_data(beside: Beside) -> bytes | None:
    """Return what the file holds; None: there is none.

    >>> triggers_data(Beside([{"type": "webhook"}])).splitlines()[1:3]
    [b'  {', b'    "type": "webhook"']
    """
    if beside.text is not None:
        return beside.text.encode()
    return _written(beside.triggers) if beside.triggers else None


def _written(triggers: Sequence[JsonObject]) -> bytes:
    return (json.dumps([*triggers], indent=2, ensure_ascii=False) + "\n").encode()


def triggers_beside(document: Path) -> Beside:
    """Return the triggers beside a document; none, if it has no such file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no JSON list of mappings.
    """
    try:
        with triggers_path(document).open("rb") as file:
            data = file.read(_BYTES_MAX + 1)
    except FileNotFoundError:
        return Beside()
    if len(data) > _BYTES_MAX:
        raise ValueError("it has more than 256 KiB")
    try:
        text = data.decode()
        told: Any = json.loads(data)
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8") from None
    except RecursionError:
        told = None
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise ValueError("it is a JSON list of triggers, each with type, path and secret")
    is_usual = data == triggers_data(Beside(told))
    return Beside(told, None if is_usual else text)


def stray_triggers(folders: Iterable[str], documents: Iterable[str]) -> Iterator[str]:
    """Yield a line for each file in `folders` that looks like triggers and is nobody's.

    Args:
        documents: The workflows in them.
    """
    workflows = {os.path.abspath(one) for one in documents}
    for path in dict.fromkeys(_looking_like_triggers(folders)):
        name, _, ending = path.rpartition(".")
        if os.path.abspath(name) in workflows and f".{ending}" == _ENDING:
            continue
        beside = os.path.basename(name)
        what = f"no workflow '{beside}' is beside it"
        if f".{ending}" != _ENDING:
            what = "no such file is read"
        yield f"{path}: {what}; {_remedy(path, workflows)}"


def _looking_like_triggers(folders: Iterable[str]) -> Iterator[str]:
    for top in folders:
        for folder, inner, names in os.walk(top):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith(".") and _is_like_triggers(name):
                    yield os.path.normpath(os.path.join(folder, name))


def _is_like_triggers(name: str) -> bool:
    """Tell whether a file is named as triggers are, or nearly so; copies are not.

    >>> names = ("a.yaml.triggers", "a.Trigger", "a.triggers~", "a.yaml", "triggers")
    >>> [_is_like_triggers(name) for name in names]
    [True, True, False, False, False]
    """
    stem, _, ending = name.rpartition(".")
    likeness = SequenceMatcher(None, ending.lower(), _ENDING[1:]).ratio()
    return bool(stem) and ending.isalpha() and likeness >= _LIKENESS_MIN


def _remedy(path: str, workflows: Iterable[str]) -> str:
    """Return what to do about a stray file: perhaps it is a neighbour's who has none."""
    folder, name = os.path.split(os.path.abspath(path))
    free = [
        triggers_path(one).name
        for one in map(Path, workflows)
        if os.path.dirname(one) == folder and not os.path.lexists(triggers_path(one))
    ]
    return did_you_mean(name, free) or "name it after its document, or remove it"

"""Options that several commands take, written once: as the fields of a record.

Each field has what typer needs to know (`Annotated[type, typer.Option(…)]`) and a default.
A command under `spread` takes the record; at the command line each field is an option.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Make an option of each field of the records that `command` takes.

    Returns:
        A command that makes the records of what was given.
    """
    hints = get_type_hints(command, include_extras=True)
    shown: list[Parameter] = []
    groups: dict[str, tuple[type[Any], tuple[str, ...]]] = {}
    for taken in inspect.signature(command).parameters.values():
        kind = hints[taken.name]
        if is_dataclass(kind) and isinstance(kind, type):
            options = _options(kind)
            groups[taken.name] = kind, tuple(option.name for option in options)
            shown.extend(options)
        else:
            shown.append(taken.replace(annotation=kind, kind=Parameter.KEYWORD_ONLY))

    @wraps(command)
    def spread_out(**given: Any) -> None:
        made = {
            name: kind(**{option: given.pop(option) for option in options})
            for name, (kind, options) in groups.items()
        }
        command(**made, **given)

    vars(spread_out)["__signature__"] = inspect.Signature(shown)
    spread_out.__annotations__ = {one.name: one.annotation for one in shown}
    return spread_out


def _options(group: type[Any]) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    by_name = Parameter.KEYWORD_ONLY
    return [
        Parameter(one.name, by_name, default=one.default, annotation=hints[one.name])
        for one in fields(group)
    ]

"""What pydantic finds wrong with a request, as the gateway tells it: all places at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from plait.drivers.inputs import violation_at
from plait.gateway.refusal import BadInput
from plait.model.diagnostic import did_you_mean
from plait.model.json import JsonValue

# Where in a request pydantic's places begin.
_PARTS: Final = ("body", "query", "path", "header")
_SHOWN_MAX: Final = 20


def check_names(query: str, known: Mapping[str, bool]) -> None:
    """Refuse a query with a parameter that is unknown, or that is given twice.

    Who asked for less than is done, and was not understood, shall hear of it: of a change
    that was to be tried only, as of a list that was to be shorter.

    Args:
        known: The parameters, and whether each may be given several times.

    Raises:
        BadInput: It has one.

    >>> check_names("validate_onyl=true", {"validate_only": False})
    Traceback (most recent call last):
    plait.gateway.refusal.BadInput: validate_onyl: there is no such parameter; did you mean
     'validate_only'?
    """
    seen: set[str] = set()
    violations: list[JsonValue] = []
    said = ""
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if name in known and (known[name] or name not in seen):
            seen.add(name)
            continue
        message = "it is given twice" if name in seen else _unknown(name, known)
        said = said or f"{name}: {message}"
        violations.append({**violation_at([name], message), "in": "query"})
        if len(violations) == _SHOWN_MAX:
            break
    if violations:
        raise BadInput(said, {"violations": violations})


def _unknown(name: str, known: Collection[str]) -> str:
    listed = ", ".join(f"'{one}'" for one in sorted(known))
    hint = did_you_mean(name, known) or f"there are {listed or 'none'}"
    return f"there is no such parameter; {hint}"


def bad_input(errors: Sequence[Mapping[str, Any]]) -> BadInput:
    """Return the refusal of a request with these errors of pydantic.

    >>> wrong = {"loc": ("query", "limit"), "msg": "Input should be a valid integer"}
    >>> refused = bad_input([wrong])
    >>> str(refused), refused.details
    ('limit: Input should be a valid integer', {'violations': [{'path': '/limit',
     'message': 'Input should be a valid integer', 'in': 'query'}]})
    """
    violations: list[JsonValue] = []
    said = ""
    for error in errors[:_SHOWN_MAX]:
        part, *place = error["loc"]
        if part not in _PARTS:
            part, place = "body", [part, *place]
        message = error["msg"].removeprefix("Value error, ")
        where = ".".join(map(str, place))
        said = said or (f"{where}: {message}" if where else message)
        violations.append({**violation_at(place, message), "in": part})
    return BadInput(said, {"violations": violations})

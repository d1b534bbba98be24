"""What pydantic finds wrong with a request, as the gateway tells it: all places at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from plait.drivers.inputs import violation_at
from plait.gateway.refusal import BadInput
from plait.model.json import JsonValue

# Where in a request pydantic's places begin.
_PARTS: Final = ("body", "query", "path", "header")
_SHOWN_MAX: Final = 20


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

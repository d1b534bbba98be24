"""Fields that may hold a template while a document is checked.

Rule. A string with `${` in it stands for a value not known yet: any field takes it, and
the value is checked when the call is made. Everything else is checked at once.

Not here: what an expression means (plait.expression).
"""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


def is_template(value: object) -> bool:
    """Return whether `value` is a string that holds an expression.

    >>> is_template("${input.n}"), is_template(3), is_template("plain")
    (True, False, False)
    """
    return isinstance(value, str) and "${" in value


class OrTemplate:
    """Marks a field: its own type, or a template string.

    A union would do the same, but report every error twice, once per member.

    >>> from typing import Annotated
    >>> from pydantic import TypeAdapter
    >>> adapter = TypeAdapter(Annotated[int, OrTemplate])
    >>> adapter.validate_python("${input.n}"), adapter.validate_python(3)
    ('${input.n}', 3)
    """

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let template strings pass; give everything else to the field's own check."""
        return core_schema.no_info_wrap_validator_function(
            lambda value, check: value if is_template(value) else check(value),
            handler(source),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Say the same in JSON Schema."""
        template = {"type": "string", "pattern": r"\$\{"}
        return {"anyOf": [handler(schema), template]}

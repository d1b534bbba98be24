"""Models whose fields are described by the texts under them, which are read when asked for.

pydantic's `use_attribute_docstrings` reads and parses the source of each model as it is
imported: an eighth of the processor time until `plait serve` goes on with what it did.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Described(BaseModel):
    """Base of such models. JSON Schemas of them have the descriptions."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        """Add what the fields are described by."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, field in cls.model_fields.items():
            about = description_of(cls, name)
            if about and (key := field.alias or name) in properties:
                properties[key]["description"] = about
        return schema


def description_of(model: type[BaseModel], name: str) -> str:
    """Return what a field is described by; empty when it is by nothing.

    That is what `Field` says, or the text under the field, in the class that has it last.
    """
    described = model.model_fields[name].description
    if described:
        return described
    for one in model.__mro__:
        about = _texts_of(inspect.getmodule(one)).get(f"{one.__qualname__}.{name}")
        if about is not None:
            return about
    return ""


@cache
def _texts_of(module: ModuleType | None) -> dict[str, str]:
    """Return the texts under the attributes of all classes of a module, by their names."""
    try:
        source = "" if module is None else inspect.getsource(module)
    except (OSError, TypeError):  # a built-in module, or one that came without its source
        return {}
    return dict(_texts_in(ast.parse(source).body, ""))


def _texts_in(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, str]]:
    for one in body:
        if isinstance(one, ast.ClassDef):
            yield from _texts_in(one.body, f"{prefix}{one.name}.")
    for attribute, text in pairwise(body):
        match attribute, text:
            case (
                ast.AnnAssign(target=ast.Name(name)),
                ast.Expr(ast.Constant(str(words))),
            ):
                yield prefix + name, inspect.cleandoc(words)
            case _:
                pass

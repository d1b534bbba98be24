"""The input contract at the door: a workflow's `input` schema, ready to read text by.

Not here: whether a value fits, and defaults (plait.drivers.inputs); where a value comes
from (plait.gateway.binding).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any, Final

from plait.drivers.inputs import (
    VIOLATIONS_MAX,
    Inputs,
    Schema,
    Violation,
    validator_of,
    violation_at,
)
from plait.drivers.schemas import ANY_ITEM, raw_properties
from plait.gateway.body import Path
from plait.gateway.moved_schema import Move
from plait.gateway.texts import (
    Fits,
    Reader,
    TextReader,
    is_text_or_more,
    list_or_one,
    list_reader,
    reader_for,
    readings,
    text_reader,
)
from plait.model.json import JsonObject

# Five parameters of two types each.
READINGS_MAX: Final = 32
_BRANCHES: Final = frozenset("anyOf oneOf if not".split())


class InputContract(Inputs):
    """What `input` may be, and how texts that are given for it are read.

    Attributes:
        names_known_only: True when a name that `properties` has not means nothing here.
        may_be_object, must_be_object: What the schema's types say of the whole input.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        schemas = self._schemas
        self.names_known_only = _names_known_only(schemas.conjuncts(schema))
        kinds = schemas.types_of(schema)
        self.may_be_object = kinds is None or "object" in kinds
        self.must_be_object = kinds == {"object"}
        self._readers = {n: self._reader_of(inner) for n, inner in self.properties.items()}
        types = {name: schemas.types_of(inner) for name, inner in self.properties.items()}
        self._mixed = {
            n: kinds for n, kinds in types.items() if kinds and is_text_or_more(kinds)
        }
        self._patterns = schemas.patterns(schema)
        self._other_readers: dict[tuple[str, ...], Reader] = {}

    def reader(self, name: str) -> Reader:
        """Return what turns the texts given for `name` into its value."""
        return self._readers.get(name) or self._other_reader(name)

    def _other_reader(self, name: str) -> Reader:
        """Return the reader of a name that only patterns speak of, or nothing does.

        One for each set of patterns: callers choose names, and could choose many.
        """
        fitting = tuple(one for one in self._patterns if self._schemas.matches(one, name))
        reader = self._other_readers.get(fitting)
        if reader is None:
            reader = self._reader_of(self._schemas.part(self.schema, name))
            self._other_readers[fitting] = reader
        return reader

    def _reader_of(self, schema: Any) -> Reader:
        types = self._schemas.types_of(schema)
        items = self._list_reader_of(schema)
        if types is None or types == {"array"} or "array" not in types:
            return reader_for(types, self._text_reader_of(schema), items)
        fits = self._check_of(schema)
        return list_or_one(items, text_reader(types, fits), fits)

    def _list_reader_of(self, schema: Any) -> Reader:
        steps = [*range(self._schemas.first_items(schema)), ANY_ITEM]
        parts = (self._schemas.part(schema, step) for step in steps)
        *first, rest = map(self._text_reader_of, parts)
        return list_reader(first, rest)

    def _text_reader_of(self, schema: Any) -> TextReader:
        types = self._schemas.types_of(schema)
        fits = self._check_of(schema) if is_text_or_more(types) else None
        return text_reader(types, fits)

    def _check_of(self, part: Any) -> Fits:
        """Return what tells whether a value fits a part of the schema."""
        move = Move(self.schema, "#/$defs/input")
        alone = {"$defs": {"input": move.of(self.schema)}, "allOf": [move.of(part)]}
        return validator_of(alone).is_valid

    def other_readings(
        self, value: JsonObject, texts: Mapping[str, Sequence[str]]
    ) -> Iterator[JsonObject]:
        """Yield `value` with its texts read in other ways, READINGS_MAX of them.

        Each parameter was read by itself; which of its types counts may depend on another
        one (`oneOf` with a constant in each branch).
        """
        choices = {
            name: readings(self._mixed[name], given[0])
            for name, given in texts.items()
            if name in self._mixed and len(given) == 1
        }
        for chosen in islice(product(*choices.values()), READINGS_MAX if choices else 0):
            yield {**value, **dict(zip(choices, chosen, strict=True))}

    def without_room(self, paths: Iterable[Path]) -> list[Violation]:
        """Return the violations of integers beyond 64 bits that stand at `paths`.

        Where the schema says `number` they are read as such, and nothing is wrong.

        >>> InputContract({"items": {"type": "number"}}).without_room([(0,)])
        []
        """
        text = "the integer does not fit 64 bits; send it as a string"
        wrong = (path for path in paths if not self._is_number(path))
        return [violation_at([*path], text) for path in islice(wrong, VIOLATIONS_MAX)]

    def _is_number(self, path: Path) -> bool:
        schema: Any = self.schema
        for step in path:
            schema = self._schemas.part(schema, step)
        return "number" in (self._schemas.types_of(schema) or ())


def _names_known_only(said: list[dict[str, Any]]) -> bool:
    """Tell whether only `properties` speaks of names, and leaves the object open."""
    if not any(map(raw_properties, said)):
        return False
    others = {"additionalProperties", "patternProperties", "unevaluatedProperties"}
    return not any((others | _BRANCHES) & one.keys() for one in said)

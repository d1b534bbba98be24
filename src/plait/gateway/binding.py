"""Binding: path, query and body become `input`, by name, and are held against its schema.

Rule 1. A name means the same wherever it stands: given in two places, it must have the
        same value in both.
Rule 2. What is wrong is told all at once, with a JSON pointer into `input` for each.
Rule 3. A query parameter that the schema does not name is ignored, unless the schema says
        anything about such names (then it decides).

Not here: reading bodies (plait.gateway.body), texts (plait.gateway.texts), the schema
(plait.gateway.contract).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from plait.drivers.inputs import Violation, violation_at
from plait.gateway.body import (
    JSON_DEPTH_MAX,
    body_type,
    read_form,
    read_json,
    read_pairs,
    wide_integers,
)
from plait.gateway.contract import InputContract
from plait.gateway.message import Request
from plait.gateway.refusal import BadInput, Malformed
from plait.gateway.texts import GivenTwice
from plait.model.json import JsonObject, JsonValue

Texts: TypeAlias = dict[str, list[str]]
METHODS_WITH_BODY = frozenset(("POST", "PUT", "PATCH", "DELETE"))


class Binder:
    """Makes the input of one endpoint.

    >>> schema = {"properties": {"user_id": {"type": "integer"}, "tag": {"type": "array"}}}
    >>> binder = Binder(InputContract(schema), ("user_id",), takes_body=False)
    >>> binder.bind(Request("GET", "/users/7", "tag=a&tag=b&utm=x", {}), ("7",))
    {'user_id': 7, 'tag': ['a', 'b']}
    """

    def __init__(
        self,
        contract: InputContract,
        parameter_names: Sequence[str],
        *,
        takes_body: bool,
        json_depth_max: int = JSON_DEPTH_MAX,
    ) -> None:
        self._contract = contract
        self._path = tuple((name, contract.reader(name)) for name in parameter_names)
        self._takes_body = takes_body
        self._json_depth_max = json_depth_max

    def bind(self, request: Request, values: Sequence[str]) -> JsonValue:
        """Return the input that `request` gives.

        Args:
            values: The decoded path parameters, in order.

        Raises:
            BadInput: It does not fit; `details.violations` names every place.
            Malformed: Query or body cannot be read.
            UnsupportedMediaType: The body is in a form that is not read here.
        """
        data: JsonObject = {
            name: read((text,))
            for (name, read), text in zip(self._path, values, strict=True)
        }
        given: Texts = {n: [text] for (n, _), text in zip(self._path, values, strict=True)}
        violations: list[Violation] = []
        if request.query:
            query = self._from_query(request.query, given, violations)
            self._merge(data, query, violations)
        if self._takes_body and request.body:
            body = self._from_body(request, given, violations)
            if not isinstance(body, dict):
                return self._whole(body, data, violations)
            self._merge(data, body, violations)
        elif not self._contract.may_be_object and not data:
            return self._checked(None, violations)
        self._contract.fill(data)
        if violations or self._contract.is_valid(data):
            return self._checked(data, violations)
        readings = self._contract.other_readings(data, given)
        return self._checked(next(filter(self._contract.is_valid, readings), data), [])

    def _checked(self, value: JsonValue, violations: list[Violation]) -> JsonValue:
        if not self._contract.is_valid(value):
            violations.extend(self._contract.violations(value))
        if violations:
            raise _bad_input(violations)
        return value

    def _from_query(
        self, query: str, given: Texts, violations: list[Violation]
    ) -> JsonObject:
        try:
            texts = read_pairs(query)
        except ValueError as error:
            raise Malformed(f"the query cannot be read: {error}") from None
        if self._contract.names_known_only:
            known = self._contract.properties
            texts = {name: given for name, given in texts.items() if name in known}
        return self._read(texts, given, violations)

    def _read(self, texts: Texts, given: Texts, violations: list[Violation]) -> JsonObject:
        values: JsonObject = {}
        given.update(texts)
        for name, said in texts.items():
            try:
                values[name] = self._contract.reader(name)(said)
            except GivenTwice:
                text = f"takes one value and was given {len(said)}"
                violations.append(violation_at([name], text))
        return values

    def _from_body(
        self, request: Request, given: Texts, violations: list[Violation]
    ) -> JsonValue:
        if body_type(request) == "form":
            return self._read(read_form(request.body), given, violations)
        body = read_json(request.body, depth_max=self._json_depth_max)
        violations.extend(self._contract.without_room(wide_integers(request.body)))
        return body

    def _whole(
        self, body: JsonValue, data: JsonObject, violations: list[Violation]
    ) -> JsonValue:
        """Return a body that is no object as the input, where nothing speaks against it."""
        if self._contract.must_be_object or data:
            raise _bad_input([violation_at([], "the body must be a JSON object")])
        return self._checked(body, violations)

    def _merge(
        self, data: JsonObject, more: JsonObject, violations: list[Violation]
    ) -> None:
        for name, value in more.items():
            if name in data and not _are_equal(data[name], value):
                text = "is given in two places, with different values"
                violations.append(violation_at([name], text))
            else:
                data[name] = value


def _are_equal(one: JsonValue, other: JsonValue) -> bool:
    """Tell whether two values are the same in JSON, where 1 and 1.0 are one number.

    >>> _are_equal([1, {"a": None}], [1.0, {"a": None}]), _are_equal(1, True)
    (True, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        same_keys = one.keys() == other.keys()
        return same_keys and all(_are_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        same_length = len(one) == len(other)
        return same_length and all(map(_are_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _bad_input(violations: list[Violation]) -> BadInput:
    count = len(violations)
    text = f"the request does not fit: {count} problem{'s' if count != 1 else ''}"
    return BadInput(text, {"violations": [*violations]})

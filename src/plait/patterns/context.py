"""What the functions of a pattern may be given, and how they ask for it.

Rule. A function takes nothing, one value, or, when its parameter is annotated `Context`,
that value and what came of the steps before it. Which of these it is, is found out when
the pattern is made.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter

from plait.connectors.python.functions import Function, called_by, function_of
from plait.model.record import record

C = TypeVar("C")
T = TypeVar("T")


class ErrorInfo(BaseModel):
    """An error that a step has failed with, as functions see it."""

    model_config = ConfigDict(frozen=True)

    code: str
    """Stable: `python.OutOfStock`, `connector.timeout`, or a code of your own."""
    message: str
    details: dict[str, Any] = {}


class Context(BaseModel, Generic[C]):
    """What a function may look at: the pattern's input, and the results so far."""

    model_config = ConfigDict(frozen=True)

    input: C
    """What the pattern was run with."""
    results: dict[str, Any] = {}
    """What the steps before have returned, by name; as JSON."""
    error: ErrorInfo | None = None
    """Why something is undone, or recovered from."""

    def result(self, step: str, kind: type[T]) -> T:
        """Return what a step has returned, as what it is.

        Raises:
            KeyError: No such step has completed yet.
        """
        return TypeAdapter(kind).validate_python(self.results[step])


@record
class Callee:
    """A function as a pattern calls it.

    Attributes:
        function: With what its parameters are made of.
        takes: For each of its parameters, whether it is a `Context`.
    """

    function: Function
    takes: tuple[bool, ...]


def callee_of(
    name: str,
    function: Any,
    *,
    what: str,
    parameters_max: int = 1,
    first: type | None = None,
    is_condition: bool = False,
) -> Callee:
    """Return how a pattern calls `function`.

    Args:
        name: Under which steps call it.
        what: What the pattern calls it, for messages.
        parameters_max: How many values there are for it.
        first: What the first value is made into when its parameter is not annotated, as
            none of a lambda is. None: it is JSON.
        is_condition: True when it must return true or false.

    Raises:
        ValueError: It cannot be called, or not with so many values, or it is a generator.
    """
    if not callable(function):
        kind = type(function).__name__
        raise ValueError(f"{what}: a function is needed, this is a {kind}")
    if _is_generator(function):
        raise ValueError(
            f"{what}: a function with `yield` returns no value: return a list instead, or "
            "make it the source of an AsyncIteratorLoop"
        )
    try:
        known = function_of(name, function)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
    known = replace(known, is_condition=is_condition)
    signature = known.signature
    if signature is None:
        return Callee(known, (False,))
    if first is not None:
        known = _with_first(known, signature, first)
    takes: list[bool] = []
    for one in signature.parameters.values():
        if one.kind is inspect.Parameter.VAR_POSITIONAL:
            takes += [False] * (parameters_max - len(takes))
        elif _is_positional(one) and len(takes) < parameters_max:
            takes.append(_is_context(one.annotation))
        elif one.default is inspect.Parameter.empty and one.kind is not one.VAR_KEYWORD:
            most = "one value" if parameters_max == 1 else f"{parameters_max} values"
            raise ValueError(
                f"{what}: it is called with {most} at most, and nothing is there for its "
                f"parameter '{one.name}'"
            )
    return Callee(known, tuple(takes))


def _is_generator(function: Any) -> bool:
    function = called_by(function)
    own = getattr(function, "__call__", None)  # noqa: B004  # the method, not whether
    return any(
        inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one)
        for one in (function, own)
    )


def _with_first(known: Function, signature: inspect.Signature, first: type) -> Function:
    """Return a function whose first parameter takes `first` if it is not annotated."""
    one = next(iter(signature.parameters.values()), None)
    if one is None or not _is_positional(one) or one.annotation is not one.empty:
        return known
    return replace(known, parameters={**known.parameters, one.name: TypeAdapter(first)})


def _is_positional(one: inspect.Parameter) -> bool:
    return one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)


def _is_context(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Context)

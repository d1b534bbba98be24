"""Registered functions: by name, with what their parameters and results are made of.

Rule. Whatever can be known of a function is found out when it is registered, not when a
step calls it: that it is callable, and what each annotation means.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, TypeAlias

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from plait.connectors.egress import InvalidRequest
from plait.connectors.python.values import as_json
from plait.model.diagnostic import did_you_mean
from plait.model.json import JsonObject, JsonValue
from plait.ports.plugins import RAISED_BY_OTHERS

Adapter: TypeAlias = TypeAdapter[Any]
Arguments: TypeAlias = Sequence[JsonValue] | Mapping[str, JsonValue]

NAME_PATTERN: Final = r"[A-Za-z_][A-Za-z0-9_]*(?:[.\-][A-Za-z0-9_]+)*"
NAME_CHARS_MAX: Final = 400
_NAME: Final = re.compile(NAME_PATTERN, re.ASCII)
# Plait's own names for JSON are texts when the program runs.
_UNTYPED: Final = (inspect.Parameter.empty, Any, object, JsonValue, JsonObject)
_SHOWN_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Function:
    """One function, ready to be called.

    Attributes:
        is_async: True when calling it gives a coroutine; else it runs in a thread.
        signature: None for what tells none, as some built-in functions.
        parameters: What arguments are made into, by parameter; those without an annotation
            take JSON as it is.
        returns: What it says that it returns; None: it does not say.
        plain: Its parameters, if each can be given by place and by name: arguments for
            all of them need no `inspect`, which takes longer than a small function.
        is_condition: True when anything but true or false is a failure of the call.
    """

    name: str
    call: Callable[..., Any]
    is_async: bool
    signature: inspect.Signature | None
    parameters: Mapping[str, Adapter]
    returns: Adapter | None
    plain: tuple[str, ...] | None = None
    is_condition: bool = False

    def bound(self, arguments: Arguments) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what to call it with: copies, made into what it is annotated with.

        Raises:
            InvalidRequest: They do not fit.
        """
        own: Any = as_json(arguments)
        positional = tuple(own) if isinstance(own, list) else ()
        named = own if isinstance(own, dict) else {}
        if self.signature is None:
            return positional, named
        if self.plain is not None and len(own) == len(self.plain):
            if not named:
                return tuple(map(self._given, self.plain, positional)), {}
            if named.keys() == {*self.plain}:
                # By place: what wraps a function may take all as `*values`.
                return tuple(self._given(one, named[one]) for one in self.plain), {}
        try:
            bound = self.signature.bind(*positional, **named)
        except TypeError as error:
            raise InvalidRequest(f"function '{self.name}': {error}") from None
        for name, value in bound.arguments.items():
            adapter = self.parameters.get(name)
            if adapter is not None:
                kind = self.signature.parameters[name].kind
                bound.arguments[name] = self._made(name, adapter, kind, value)
        return bound.args, bound.kwargs

    def _given(self, name: str, value: Any) -> Any:
        adapter = self.parameters.get(name)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return value if adapter is None else self._made(name, adapter, kind, value)

    def _made(self, name: str, adapter: Adapter, kind: Any, value: Any) -> Any:
        try:
            if kind is inspect.Parameter.VAR_POSITIONAL:
                return tuple(adapter.validate_python(one) for one in value)
            if kind is inspect.Parameter.VAR_KEYWORD:
                return {key: adapter.validate_python(one) for key, one in value.items()}
            return adapter.validate_python(value)
        except ValidationError as error:
            text = f"function '{self.name}': argument '{name}': {_in_short(error)}"
            raise InvalidRequest(text) from None


class Functions:
    """The functions that `python` steps may call.

    >>> functions = Functions()
    >>> @functions.register
    ... def total(prices: list[int]) -> int:
    ...     return sum(prices)
    >>> functions.add("shop.largest", max)
    >>> list(functions)
    ['total', 'shop.largest']
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]] | None = None) -> None:
        self._known: dict[str, Function] = {}
        for name, function in (functions or {}).items():
            self.add(name, function)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def add(self, name: str, function: Callable[..., Any]) -> None:
        """Let steps call `function` by `name`.

        Raises:
            ValueError: The name is none, or taken; the function cannot be called, or has an
                annotation that JSON cannot be made into.
        """
        if not _NAME.fullmatch(name) or len(name) > NAME_CHARS_MAX:
            raise ValueError(
                f"'{name}' cannot name a function: write letters, digits and '_', in words "
                "joined by '.' or '-'"
            )
        self.put(function_of(name, function))

    def put(self, function: Function) -> None:
        """Let steps call what is known of already, by its name.

        Raises:
            ValueError: The name is taken.
        """
        known = self._known.get(function.name)
        if known is not None and known.call is not function.call:
            raise ValueError(f"there is another function of the name '{function.name}'")
        self._known[function.name] = function

    def remove(self, name: str) -> None:
        """Let steps call it no more.

        Raises:
            KeyError: There is no function of this name.
        """
        del self._known[name]

    def register(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Let steps call `function` by its own name; return it, as a decorator does."""
        self.add(function.__name__, function)
        return function

    def add_module(self, name: str) -> None:
        """Let steps call the public functions of a module: `shop.stock.reserve`.

        These are what `__all__` names; without it, functions that the module itself defines
        and whose names do not begin with `_`.

        Raises:
            ValueError: The module cannot be imported, or one of them cannot be called.
        """
        try:
            module = import_module(name)
        except RAISED_BY_OTHERS as error:
            reason = f"{type(error).__name__}: {error}"
            raise ValueError(f"module '{name}' cannot be imported: {reason}") from error
        for own, function in _public(module):
            self.add(f"{name}.{own}", function)

    def update(self, others: Functions) -> None:
        """Let steps call what `others` has, too.

        Raises:
            ValueError: It has another function under a name that is taken.
        """
        for function in others._known.values():
            self.put(function)

    def named(self, name: object) -> Function:
        """Return the function that a request names.

        Raises:
            InvalidRequest: There is none.
        """
        known = self._known.get(name) if isinstance(name, str) else None
        if known is None:
            hint = did_you_mean(str(name), self._known) or "register it, or its module"
            raise InvalidRequest(f"no function '{name}' is registered ({hint})")
        return known


def function_of(name: str, function: Callable[..., Any]) -> Function:
    """Return `function` as steps call it.

    Raises:
        ValueError: It cannot be called, or an annotation is of no use.
    """
    if not callable(function):
        raise ValueError(f"'{name}' cannot be called: it is a {type(function).__name__}")
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError as error:
        raise ValueError(
            f"function '{name}': an annotation cannot be resolved ({error}): define what "
            "it names at the top level of the module"
        ) from None
    except (TypeError, ValueError):
        return Function(name, function, _is_async(function), None, {}, None)
    adapters = {
        one.name: _adapter(name, f"parameter '{one.name}'", one.annotation)
        for one in signature.parameters.values()
        if one.annotation not in _UNTYPED
    }
    returns = None
    if signature.return_annotation not in (*_UNTYPED, None):
        returns = _adapter(name, "its result", _awaited(signature.return_annotation))
    is_async, parameters = _is_async(function), signature.parameters
    is_plain = all(one.kind is one.POSITIONAL_OR_KEYWORD for one in parameters.values())
    plain = tuple(parameters) if is_plain else None
    return Function(name, function, is_async, signature, adapters, returns, plain)


def _adapter(name: str, what: str, annotation: Any) -> Adapter:
    try:
        return TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        # Python 3.11 has TypedDicts that cannot be looked into; pydantic says what to do.
        more = str(error).partition("\n")[0] if "TypedDict" in str(error) else ""
        raise ValueError(
            f"function '{name}': {what} is annotated {_said(annotation)}, which JSON "
            "cannot be made into: use JSON types, a dataclass, a TypedDict or a pydantic "
            f"model. {more}".rstrip()
        ) from None


def _said(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or str(annotation)


def _awaited(annotation: Any) -> Any:
    """Return what awaiting gives, of a function that is annotated to return that."""
    origin = getattr(annotation, "__origin__", None)
    is_awaitable = isinstance(origin, type) and hasattr(origin, "__await__")
    return annotation.__args__[-1] if is_awaitable else annotation


def called_by(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what a partial calls, and any other function as it is."""
    # Not whatever has a `func`: a mock has one at each depth, without end.
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _is_async(function: Callable[..., Any]) -> bool:
    function = called_by(function)
    own = getattr(function, "__call__", None)  # noqa: B004  # the method, not whether
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(own)


def _public(module: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    names = getattr(module, "__all__", None)
    for name, value in vars(module).items():
        if not inspect.isroutine(value):
            continue
        is_own = value.__module__ == module.__name__ and not name.startswith("_")
        if (names is None and is_own) or (names is not None and name in names):
            yield name, value


def _in_short(error: ValidationError) -> str:
    """Return what is wrong with an argument, and where in it; never the value."""
    told = []
    for one in error.errors(include_url=False, include_input=False)[:_SHOWN_MAX]:
        at = ".".join(str(part) for part in one["loc"])
        told.append(f"{at}: {one['msg']}" if at else one["msg"])
    return "; ".join(told)

"""One expression of a document: compiled once, evaluated with names.

Rule 1. A plain path never meets CEL: a getter reads it.
Rule 2. Anything else is given just the values of its slots, pruned to what it can see. A
        path that is not there leaves its slot empty; only if CEL asks for it, that is the
        failure, told with the path.
Rule 3. What is refused for its size is refused before CEL starts.

Not here: programs (plait.expression.engine), text around expressions
(plait.expression.template).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeAlias

from plait.expression.budget import TooMuch, check_budget
from plait.expression.calls import CHARS_PER_NODE
from plait.expression.engine import Program, program_of
from plait.expression.errors import (
    ExpressionError,
    NotJson,
    OverBudget,
    UnsupportedValue,
    WrongType,
)
from plait.expression.faults import UNBOUND, Fault, fault_of, missing_below
from plait.expression.getter import (
    GETTER_ERRORS,
    Getter,
    Missing,
    Names,
    explain,
    getter_of,
    has_getter_of,
)
from plait.expression.lift import Lifted, Slot, lift
from plait.expression.paths import Read, format_path, parse_path, sort_key
from plait.expression.problems import (
    SOURCE_CHARS_MAX,
    CompileFailed,
    Problem,
    Refused,
    problems_of,
    too_large,
)
from plait.expression.reads import Need, pruned
from plait.expression.values import (
    CelFault,
    NoJson,
    Unsupported,
    container_to_cel,
    scalar_to_cel,
    to_json,
)
from plait.expression.weight import TooHeavy, weigh
from plait.model.json import JsonValue
from plait.model.place import Place

_CONTAINERS: Final = frozenset({dict, list})


class NotCompiled(Exception):
    """An expression cannot be compiled; `problems` tell why."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0].message)
        self.problems = problems


class PathExpression:
    """An expression that is a plain path."""

    def __init__(self, source: str, place: Place, path: Read) -> None:
        self.source = source
        self.place = place
        self.path = path
        self.reads = (path,)

    def reader(self) -> Getter:
        """Return what evaluates this expression; it may raise one of GETTER_ERRORS."""
        return getter_of(self.path)

    def getter(self) -> Getter:
        """Return the function that evaluates this expression."""
        read, fail = getter_of(self.path), self.fail

        def evaluate(names: Names) -> Any:
            try:
                return read(names)
            except GETTER_ERRORS:
                fail(names)

        return evaluate

    def fail(self, names: Names) -> NoReturn:
        """Raise the error that says why the path cannot be read."""
        missing = explain(names, self.path)
        if missing is None:
            raise ExpressionError(
                "the names changed while they were read",
                expression=self.source,
                place=self.place,
            )
        raise missing.error(
            missing.message, expression=self.source, place=self.place, path=missing.path
        )


class CelExpression:
    """An expression that CEL evaluates. It is compiled when it is first needed."""

    def __init__(self, source: str, place: Place) -> None:
        self.source = source
        self.place = place
        self._inputs: list[tuple[str, Getter, Need]] = []
        self._program: Program | None = None
        self._lifted: Lifted | None = None

    def compile(self) -> Program:
        """Make the program, unless it is there already.

        Raises:
            NotCompiled: The expression is not valid.
        """
        if self._program is not None:
            return self._program
        if (problem := too_large(self.source)) is not None:
            raise NotCompiled([problem])
        lifted = lift(self.source)
        try:
            program = program_of(lifted.text, len(lifted.slots))
        except CompileFailed as failed:
            problems = problems_of(failed.complaint, self.source, lifted)
            raise NotCompiled(problems) from None
        except Refused as refused:
            raise NotCompiled([refused.problem]) from None
        self._inputs = [
            (f"v{number}", _slot_getter(slot), program.reads.needs[number])
            for number, slot in enumerate(lifted.slots)
            if number in program.reads.needs
        ]
        self._program, self._lifted = program, lifted
        return program

    @property
    def reads(self) -> tuple[Read, ...]:
        """The paths that the expression reads, sorted."""
        program = self.compile()
        found: dict[Read, None] = {}
        for number, slot in enumerate(self._slots()):
            for below in program.reads.paths.get(number, ()):
                found[slot.path + below] = None
        return tuple(sorted(found, key=sort_key))

    def _slots(self) -> tuple[Slot, ...]:
        return () if self._lifted is None else self._lifted.slots

    def reader(self) -> Getter:
        """Return the function that evaluates this expression."""
        return self.evaluate

    getter = reader

    def evaluate(self, names: Names) -> JsonValue:
        """Return the value of the expression.

        Raises:
            ExpressionError: It has none.
        """
        program = self._program or self._compile_late()
        values: dict[str, JsonValue] = {}
        nodes = 0
        for name, read, need in self._inputs:
            try:
                value = read(names)
            except GETTER_ERRORS:
                continue
            kind = type(value)
            if kind in _CONTAINERS:
                value, size = self._container(name, pruned(value, need))
                nodes += size
            elif kind is str or kind is int:
                value = self._scalar(name, value)
                nodes += len(value) // CHARS_PER_NODE if kind is str else 1  # type: ignore[arg-type]
            values[name] = value
        if nodes > program.free_nodes:
            self._check_budget(program, values)
        try:
            result = to_json(program.run(None, values))
            if type(result) in _CONTAINERS:
                weigh(result)
            return result
        except CelFault as fault:
            text = str(fault)
        except TooHeavy as reason:
            raise self._error(OverBudget, f"its value {reason}") from None
        except NoJson as refusal:
            raise self._error(NotJson, str(refusal)) from None
        except RuntimeError as failure:
            text = str(failure)
        raise self._explained(text, names, program)

    def _compile_late(self) -> Program:
        try:
            return self.compile()
        except NotCompiled as failed:
            raise self._error(ExpressionError, failed.problems[0].message) from None

    def _container(self, name: str, value: JsonValue) -> tuple[JsonValue, int]:
        if type(value) not in _CONTAINERS:
            return self._scalar(name, value), 1
        try:
            value, nodes, chars = container_to_cel(value)
        except Unsupported as reason:
            raise self._unsupported(name, reason) from None
        return value, max(nodes, chars // CHARS_PER_NODE)

    def _scalar(self, name: str, value: JsonValue) -> JsonValue:
        try:
            return scalar_to_cel(value)
        except Unsupported as reason:
            raise self._unsupported(name, reason) from None

    def _unsupported(self, name: str, reason: Unsupported) -> ExpressionError:
        path = format_path(self._slots()[int(name[1:])].path)
        text = f"{path} {reason}; only a plain path can pass it on"
        return self._error(UnsupportedValue, text, path)

    def _check_budget(self, program: Program, values: Mapping[str, JsonValue]) -> None:
        try:
            check_budget(program.tree, values)
        except TooMuch:
            text = "on values of this size it might take longer than 50 ms"
            raise self._error(OverBudget, text) from None

    def _explained(self, text: str, names: Names, program: Program) -> ExpressionError:
        """Return the error that the library's `text` means."""
        if unbound := UNBOUND.match(text):
            slot = self._slots()[int(unbound[1])]
            path = slot.path[:-1] if slot.asks_has else slot.path
            missing = explain(names, path) or _not_an_object(slot)
            return self._error(missing.error, missing.message, missing.path)
        fault = fault_of(text, program.keys)
        below = self._missing_below(fault, names, program)
        if below is not None:
            return self._error(below.error, below.message, below.path)
        return self._error(fault.error, fault.message)

    def _missing_below(
        self, fault: Fault, names: Names, program: Program
    ) -> Missing | None:
        values: dict[int, JsonValue] = {}
        for name, read, _ in self._inputs:
            try:
                values[int(name[1:])] = read(names)
            except GETTER_ERRORS:
                continue
        roots = [slot.path for slot in self._slots()]
        return missing_below(fault.error, program.reads.trails, roots, values)

    def _error(
        self, error: type[ExpressionError], message: str, path: str = ""
    ) -> ExpressionError:
        return error(message, expression=self.source, place=self.place, path=path)


Expression: TypeAlias = PathExpression | CelExpression


def expression_of(source: str, place: Place) -> Expression:
    """Return the expression that `source` is, not yet compiled.

    >>> expression_of("a.b + 1", Place("", 1, 1)).evaluate({"a": {"b": 2}})
    3
    """
    path = parse_path(source) if len(source) <= SOURCE_CHARS_MAX else None
    if path is not None:
        return PathExpression(source, place, path)
    return CelExpression(source, place)


def _slot_getter(slot: Slot) -> Getter:
    return has_getter_of(slot.path) if slot.asks_has else getter_of(slot.path)


def _not_an_object(slot: Slot) -> Missing:
    above = format_path(slot.path[:-1])
    return Missing(WrongType, f"{above}: has() needs an object", above)

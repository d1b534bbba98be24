"""Router: which of several ways a value goes, by conditions, priority or lot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import (
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    TypeAlias,
    TypedDict,
    TypeVar,
    Unpack,
    get_args,
    overload,
)

from plait.connectors.python.functions import Adapter
from plait.drivers.inline import Result
from plait.model.json import JsonObject, JsonValue
from plait.patterns.base import Pattern, Where
from plait.patterns.build import call, either, limits
from plait.patterns.checks import Retry, check_choice, check_names, check_range
from plait.patterns.outcome import Outcome, decoder

In = TypeVar("In")
Out = TypeVar("Out")
Value = TypeVar("Value")
Out_co = TypeVar("Out_co", covariant=True)

Strategy: TypeAlias = Literal["first_match", "all_match", "weighted"]

_DEFAULT: Final = "default"
_SWITCH: Final = "route"
_HANDLE: Final = "handle"
_WEIGHT_MAX: Final = 1e9
_PRIORITY_MAX: Final = 1_000_000


class RouteSettings(TypedDict, total=False):
    """How a route is chosen and runs, beside its functions: see `Route`."""

    priority: int
    weight: float
    timeout_s: float | None
    attempt_timeout_s: float | None
    retry: Retry | int | None
    effect: str


@dataclass(frozen=True, slots=True, init=False)
class Route(Generic[In, Out_co]):
    """One way.

    Attributes:
        name: For people, paths and `RouterOutcome.routes`.
        handler: Takes the value; what it returns is the router's output.
        when: Takes the value, returns true or false. Only of a weighted router a route may
            lack it.
        priority: Higher ones are tested first, equal ones in the order in which they are
            given.
        weight: `weighted`: its share among the routes whose conditions hold.
        timeout_s, attempt_timeout_s, retry, effect: Of the handler, as in `SagaStep`.
    """

    name: str
    handler: Callable[[In], Awaitable[Out_co] | Out_co]
    when: Callable[[In], Any] | None = None
    priority: int = 0
    weight: float = 1.0
    timeout_s: float | None = None
    attempt_timeout_s: float | None = None
    retry: Retry | int | None = None
    effect: str = "keyed"

    # Two overloads, so that a coroutine's route is one of what it returns in the end.
    @overload
    def __init__(
        self,
        name: str,
        handler: Callable[[In], Awaitable[Out_co]],
        when: Callable[[In], Any] | None = None,
        **settings: Unpack[RouteSettings],
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        handler: Callable[[In], Out_co],
        when: Callable[[In], Any] | None = None,
        **settings: Unpack[RouteSettings],
    ) -> None: ...
    def __init__(
        self,
        name: str,
        handler: Callable[[In], Any],
        when: Callable[[In], Any] | None = None,
        **settings: Unpack[RouteSettings],
    ) -> None:
        unknown = settings.keys() - RouteSettings.__annotations__.keys()
        if unknown:
            raise TypeError(f"route '{name}' has no setting '{min(unknown)}'")
        given = {"name": name, "handler": handler, "when": when, **settings}
        for field in fields(self):
            # It is frozen for everybody else.
            object.__setattr__(self, field.name, given.get(field.name, field.default))


@dataclass(frozen=True)
class RouterOutcome(Outcome[Out], Generic[Out]):
    """Where a value went.

    Attributes:
        routes: The names of the routes taken; `default`; none when nothing fitted.
    """

    routes: Sequence[str]

    @property
    def route(self) -> str | None:
        """The name of the route taken, of several the first; None: there was none."""
        return self.routes[0] if self.routes else None


class Router(Pattern[In, Out]):
    """Sends a value to the first route whose condition holds, to all of those, or to one by
    lot. The output is what its handler returned; of `all_match` a mapping from route to
    that; None when nothing fitted and there is no default.

    Args:
        routes: At least one.
        strategy: `first_match`, `all_match` (at the same time) or `weighted`.
        default: Takes the value when no condition holds.

    Raises:
        ValueError: A route has no condition; the weights sum to zero; a name stands twice.

    >>> import asyncio
    >>> desks = Router[dict, str]("desks", [
    ...     Route("billing", lambda mail: "billing", lambda mail: mail["topic"] == "pay"),
    ...     Route("vip", lambda mail: "manager", lambda mail: mail["vip"], priority=10),
    ... ], default=lambda mail: "inbox")
    >>> outcome = asyncio.run(desks.run({"topic": "pay", "vip": True}))
    >>> outcome.route, outcome.output
    ('vip', 'manager')
    """

    kind: ClassVar[str] = "router"

    @overload
    def __init__(
        self: Router[In, dict[str, Value]],
        name: str,
        routes: Iterable[Route[In, Value]],
        *,
        strategy: Literal["all_match"],
        default: Callable[[In], Any] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        routes: Iterable[Route[In, Out]],
        *,
        strategy: Literal["first_match", "weighted"] = "first_match",
        default: Callable[[In], Awaitable[Out] | Out] | None = None,
    ) -> None: ...
    def __init__(
        self,
        name: str,
        routes: Iterable[Route[In, Any]],
        *,
        strategy: Strategy = "first_match",
        default: Callable[[In], Any] | None = None,
    ) -> None:
        super().__init__(name)
        self.routes = _listed(f"{self.kind} '{name}'", routes)
        self.strategy = strategy
        self._adapters: dict[str, Adapter | None] = {}
        self._check()
        tests = self._tests()
        switch: JsonObject = {
            "id": _SWITCH,
            "type": "switch",
            "strategy": strategy,
            "cases": [self._case(route) for route in self.routes],
        }
        if default is not None:
            switch[_DEFAULT] = self._way(_DEFAULT, default, {})
        output: JsonObject = {
            "routes": f"${{{_SWITCH}.cases}}",
            "value": f"${{{_SWITCH}.response}}",
        }
        # All of those that do not wait for another are tested at the same time.
        self._compile({"steps": [*tests, switch], "output": output})

    def _check(self) -> None:
        what = f"{self.kind} '{self.name}'"
        check_choice(f"{what}: strategy", self.strategy, get_args(Strategy))
        if not self.routes:
            raise ValueError(f"{what}: it has no routes")
        check_names(what, [route.name for route in self.routes])
        for route in self.routes:
            if route.name == _DEFAULT:
                raise ValueError(f"{what}: '{_DEFAULT}' names what no route fits")
            if route.when is None and self.strategy != "weighted":
                raise ValueError(f"{what}: route '{route.name}' has no condition (`when`)")
            check_range(f"{what}: {route.name}: weight", route.weight, 0, _WEIGHT_MAX)
            most = _PRIORITY_MAX
            check_range(f"{what}: {route.name}: priority", route.priority, -most, most)
        if self.strategy == "weighted" and not sum(one.weight for one in self.routes):
            raise ValueError(f"{what}: the weights sum to zero: no route is ever taken")

    def _tests(self) -> list[JsonValue]:
        """Return a step for each condition; after the first match none is looked at."""
        tests: list[JsonValue] = []
        before = ""
        for route in sorted(self.routes, key=lambda one: -one.priority):
            if route.when is None:
                continue
            test = _test_of(route.name)
            callee = self._callee(f"{route.name}.when", route.when, is_condition=True)
            step = call(test, callee, "${input}")
            step["effect"] = "read"
            if self.strategy == "first_match" and before:
                step["condition"] = (
                    f"${{{before}.status == 'completed' && !{before}.response}}"
                )
            tests.append(step)
            before = test
        return tests

    def _case(self, route: Route[In, Any]) -> JsonObject:
        own = limits(
            f"{self.kind} '{self.name}': {route.name}",
            timeout_s=route.timeout_s,
            attempt_timeout_s=route.attempt_timeout_s,
            retry=route.retry,
        )
        way = self._way(route.name, route.handler, {**own, "effect": route.effect})
        case: JsonObject = {"name": route.name, **way}
        if route.when is not None:
            test = _test_of(route.name)
            case["when"] = f"${{{test}.status == 'completed' && {test}.response}}"
        if self.strategy == "weighted":
            return {**case, "weight": route.weight}
        return {**case, "priority": route.priority}

    def _way(
        self, name: str, handler: Callable[[In], Any], settings: JsonObject
    ) -> JsonObject:
        callee = self._callee(name, handler)
        self._adapters[name] = callee.function.returns
        context: JsonObject = {"input": "${input}"}
        step = {**call(_HANDLE, callee, either("${input}", context)), **settings}
        return {"steps": [step], "output": f"${{{_HANDLE}.response}}"}

    def _told(self, result: Result) -> RouterOutcome[Out]:
        facts = self._facts(result)
        told: Any = facts["raw"] or {"routes": [], "value": None}
        facts.update(raw=told["value"], decode=lambda raw: self._made(told["routes"], raw))
        return RouterOutcome(**facts, routes=tuple(told["routes"]))

    def _made(self, routes: Sequence[str], raw: Any) -> Any:
        """Return the output as what the handlers say that they return."""
        if not routes:
            return {} if self.strategy == "all_match" else None
        if self.strategy == "all_match" and routes[0] != _DEFAULT:
            return {one: decoder(self._adapters[one])(raw[one]) for one in routes}
        return decoder(self._adapters[routes[0]])(raw)

    async def run(self, value: In, **where: Unpack[Where]) -> RouterOutcome[Out]:
        """See `Pattern.run`."""
        outcome = await super().run(value, **where)
        assert isinstance(outcome, RouterOutcome)
        return outcome


class Branch(Router[In, Out]):
    """One way when a condition holds, and another when it does not.

    >>> import asyncio
    >>> def half(n: int) -> int:
    ...     return n // 2
    >>> def more(n: int) -> int:
    ...     return 3 * n + 1
    >>> step = Branch[int, int]("step", lambda n: n % 2 == 0, then=half, otherwise=more)
    >>> asyncio.run(step.run(7)).output
    22
    """

    kind: ClassVar[str] = "branch"

    @overload
    def __init__(
        self,
        name: str,
        when: Callable[[In], Any],
        *,
        then: Callable[[In], Awaitable[Out]],
        otherwise: Callable[[In], Awaitable[Out]] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        when: Callable[[In], Any],
        *,
        then: Callable[[In], Awaitable[Out] | Out],
        otherwise: Callable[[In], Awaitable[Out] | Out] | None = None,
    ) -> None: ...
    def __init__(
        self,
        name: str,
        when: Callable[[In], Any],
        *,
        then: Callable[[In], Any],
        otherwise: Callable[[In], Any] | None = None,
    ) -> None:
        super().__init__(name, [Route("then", then, when)], default=otherwise)


def _listed(what: str, routes: Any) -> tuple[Route[Any, Any], ...]:
    """Return routes however they were given."""
    listed = tuple(routes) if isinstance(routes, Iterable) else (routes,)
    for one in listed:
        if not isinstance(one, Route):
            raise ValueError(f"{what}: Routes are needed; not a {type(one).__name__}")
    return listed


def _test_of(route: str) -> str:
    return f"when_{route}"

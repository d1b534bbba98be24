"""Hierarchical router: from desk to desk, each answers or hands on."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar, Unpack

from plait.connectors.python import StepError
from plait.connectors.python.functions import Adapter
from plait.drivers.inline import Result
from plait.model.diagnostic import did_you_mean
from plait.model.json import JsonObject, JsonValue
from plait.patterns.base import Pattern, Where
from plait.patterns.build import call, limits
from plait.patterns.checks import Retry, check_count, check_names
from plait.patterns.outcome import Outcome, decoder

In = TypeVar("In")
Out = TypeVar("Out")

_CASE: Final = "case"
_HANDLE: Final = "handle"
_TURN: Final = re.compile(rf"{_CASE}\[(\w+)(?:#\d+)?\]/{_HANDLE}")
_VALUE: Final = "${previous == null ? input : previous.value}"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Return it from a desk's handler to hand on a value.

    Attributes:
        to: The next desk.
        value: What it is given.
    """

    to: str
    value: Any


@dataclass(frozen=True, slots=True)
class Desk:
    """One place where a value is looked at.

    Attributes:
        name: For people, paths and `HopsOutcome.path`.
        handler: Takes the value; returns the answer, or a `Transfer`.
        to: The desks that it may hand on to; empty: it has to answer.
        timeout_s, retry, effect: Of the handler, as in `SagaStep`.
    """

    name: str
    handler: Callable[[Any], Any]
    to: Sequence[str] = ()
    timeout_s: float | None = None
    retry: Retry | int | None = None
    effect: str = "keyed"


@dataclass(frozen=True)
class HopsOutcome(Outcome[Out], Generic[Out]):
    """Who answered.

    Attributes:
        path: The desks that were visited, the first first; also of a run that failed.
    """

    path: Sequence[str]


class HierarchicalRouter(Pattern[In, Out]):
    """Brings a value from desk to desk, over levels, until one answers.

    Args:
        desks: The first one is where everything begins.
        max_hops: How often it may be handed on, up to 100; once more, and the run fails
            with `limit.hops`.

    Raises:
        ValueError: A desk hands on to one that is not there, or is never reached.

    >>> import asyncio
    >>> def triage(text: str) -> Transfer:
    ...     return Transfer("billing" if "invoice" in text else "general", text)
    >>> def billing(text: str) -> Transfer | str:
    ...     return Transfer("refunds", text) if "back" in text else "we look into it"
    >>> support = HierarchicalRouter[str, str]("support", [
    ...     Desk("triage", triage, to=("billing", "general")),
    ...     Desk("billing", billing, to=("refunds",)),
    ...     Desk("refunds", lambda text: "the money is on its way"),
    ...     Desk("general", lambda text: "thank you"),
    ... ])
    >>> outcome = asyncio.run(support.run("invoice, and my money back"))
    >>> outcome.path, outcome.output
    (['triage', 'billing', 'refunds'], 'the money is on its way')
    """

    kind: ClassVar[str] = "hierarchical router"

    def __init__(self, name: str, desks: Iterable[Desk], *, max_hops: int = 10) -> None:
        super().__init__(name)
        self.desks = tuple(desks)
        self._adapters: dict[str, Adapter | None] = {}
        what = f"{self.kind} '{name}'"
        self._check(what)
        check_count(f"{what}: max_hops", max_hops, most=100)
        route: JsonObject = {
            "id": _CASE,
            "type": "route",
            "max_hops": max_hops,
            "handlers": {desk.name: self._handler(what, desk) for desk in self.desks},
        }
        output: JsonObject = {
            "value": f"${{{_CASE}.response.value}}",
            "path": f"${{{_CASE}.path}}",
        }
        self._compile({"steps": [route], "output": output})

    def _check(self, what: str) -> None:
        names = [desk.name for desk in self.desks]
        if not names:
            raise ValueError(f"{what}: it has no desks")
        check_names(what, names)
        for desk in self.desks:
            if isinstance(desk.to, str):
                raise ValueError(
                    f"{what}: desk '{desk.name}': to: a list of names is needed: write "
                    f"to=('{desk.to}',)"
                )
            for one in desk.to:
                if one not in names:
                    hint = did_you_mean(one, names)
                    more = f" ({hint})" if hint else ""
                    text = f"desk '{desk.name}' hands on to '{one}', which is not there"
                    raise ValueError(f"{what}: {text}{more}")
        following = {desk.name: desk.to for desk in self.desks}
        reached, todo = set[str](), [names[0]]
        while todo:
            name = todo.pop()
            if name not in reached:
                reached.add(name)
                todo += following[name]
        lost = [name for name in names if name not in reached]
        if lost:
            raise ValueError(f"{what}: nobody hands on to desk '{lost[0]}'")

    def _handler(self, what: str, desk: Desk) -> JsonObject:
        callee = self._callee(desk.name, _handing_on(desk))
        self._adapters[desk.name] = callee.function.returns
        own = limits(f"{what}: {desk.name}", timeout_s=desk.timeout_s, retry=desk.retry)
        step = {**call(_HANDLE, callee, _VALUE), **own, "effect": desk.effect}
        following: list[JsonValue] = [
            {"to": to, "when": f"${{{_HANDLE}.response.to == '{to}'}}"} for to in desk.to
        ]
        return {
            "steps": [step],
            "output": f"${{{_HANDLE}.response}}",
            "next": following,
        }

    def _told(self, result: Result) -> HopsOutcome[Out]:
        facts = self._facts(result)
        told: Any = facts["raw"]
        if told is None:
            return HopsOutcome(**facts, path=_visited(facts["steps"]))
        facts.update(raw=told["value"], decode=decoder(self._adapters[told["path"][-1]]))
        return HopsOutcome(**facts, path=told["path"])

    async def run(self, value: In, **where: Unpack[Where]) -> HopsOutcome[Out]:
        """See `Pattern.run`."""
        outcome = await super().run(value, **where)
        assert isinstance(outcome, HopsOutcome)
        return outcome


def _visited(steps: Iterable[str]) -> list[str]:
    """Return the desks at which steps began, by the addresses of these.

    >>> _visited(["case", "case[triage]/handle", "case[triage#2]/handle"])
    ['triage', 'triage']
    """
    return [found[1] for found in map(_TURN.fullmatch, steps) if found]


def _handing_on(desk: Desk) -> Callable[..., Any]:
    """Return the handler as a step: it says where to, or null, and with what."""
    if not hasattr(desk.handler, "__call__"):  # noqa: B004  # refused where all are
        return desk.handler

    def told(found: Any) -> JsonObject:
        if not isinstance(found, Transfer):
            return {"to": None, "value": found}
        if found.to not in desk.to:
            text = f"desk '{desk.name}' may not hand on to '{found.to}'"
            raise StepError(code="pattern.transfer", message=text, is_final=True)
        return {"to": found.to, "value": found.value}

    async def later(found: Awaitable[Any]) -> JsonObject:
        return told(await found)

    @functools.wraps(desk.handler)
    def handle(*values: Any) -> Any:
        found = desk.handler(*values)
        return later(found) if inspect.isawaitable(found) else told(found)

    @functools.wraps(desk.handler)
    async def handle_async(*values: Any) -> Any:
        return told(await desk.handler(*values))

    is_async = inspect.iscoroutinefunction(desk.handler)
    return handle_async if is_async else handle

"""One to many: broadcast to a fixed circle, publish to whoever subscribed, observers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar, Unpack

from plait.drivers.inline import Result
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.patterns.base import Made, Pattern, Where
from plait.patterns.build import call, limits
from plait.patterns.checks import Retry, check_name
from plait.patterns.fan_out import FanOutcome, FanOutFanIn, Task
from plait.patterns.outcome import Outcome

M = TypeVar("M")

_TOPIC: Final = "topic"
_WORD: Final = r"[A-Za-z0-9_-]+"
_TOPIC_SHAPE: Final = re.compile(rf"{_WORD}(?:\.{_WORD})*", re.ASCII)
_FILTER_SHAPE: Final = re.compile(
    rf"(?:{_WORD}|\*)(?:\.(?:{_WORD}|\*))*(?:\.#)?|#", re.ASCII
)


class Broadcast(FanOutFanIn[M, dict[str, Any]]):
    """Sends a message to all receivers at the same time; one that fails keeps no other from
    it. The output maps receivers to what they returned; `outcome.tasks` is the full report.

    >>> import asyncio
    >>> heard: list[str] = []
    >>> def by_mail(text: str) -> None:
    ...     heard.append(f"mail: {text}")
    >>> def by_phone(text: str) -> None:
    ...     raise ConnectionError("no line")
    >>> alarm = Broadcast("alarm", {"mail": by_mail, "phone": by_phone})
    >>> outcome = asyncio.run(alarm.run("fire"))
    >>> heard, outcome.succeeded, outcome.failed
    (['mail: fire'], ['mail'], ['phone'])
    """

    kind: ClassVar[str] = "broadcast"

    def __init__(
        self,
        name: str,
        receivers: Mapping[str, Callable[[M], Any]] | Iterable[Task[M]],
        *,
        max_concurrency: int | None = None,
        receiver_timeout_s: float | None = None,
    ) -> None:
        super().__init__(
            name,
            receivers,
            max_concurrency=max_concurrency,
            task_timeout_s=receiver_timeout_s,
            on_error="continue",
        )

    async def send(self, message: M, **where: Unpack[Where]) -> FanOutcome[dict[str, Any]]:
        """Send a message: another word for `run`."""
        return await self.run(message, **where)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message at one subscriber: `completed` or `failed`."""

    subscriber: str
    status: str
    error: Any
    attempts: int


@dataclass(frozen=True)
class Published(Outcome[dict[str, Any]]):
    """Who got a message. `output` maps subscribers to what they returned.

    Attributes:
        deliveries: By subscriber; those that the topic did not concern are left out.
    """

    deliveries: Mapping[str, Delivery]

    @property
    def failed(self) -> list[str]:
        """The subscribers that failed for good."""
        return [
            one.subscriber for one in self.deliveries.values() if one.status == "failed"
        ]


@record
class _Subscriber:
    """A function, the name by which the step calls it, and that step."""

    function: Callable[..., Any]
    called: str
    step: JsonObject


class PubSub(Pattern[Any, dict[str, Any]], Generic[M]):
    """Brings messages on topics to those who subscribed to them, all at the same time; one
    that fails keeps no other from it.

    A topic is words joined by dots: `order.paid`. A subscription names a topic; `*` stands
    for one word, `#` at the end for any number of them: `order.*`, `order.#`, `#`.

    >>> import asyncio
    >>> bus = PubSub[dict]("shop")
    >>> @bus.on("order.paid", retry=3)
    ... def ship(order: dict) -> str:
    ...     return f"shipped {order['id']}"
    >>> @bus.on("order.*")
    ... async def count(order: dict) -> int:
    ...     return 1
    >>> asyncio.run(bus.publish("order.paid", {"id": 7})).output
    {'ship': 'shipped 7', 'count': 1}
    >>> asyncio.run(bus.publish("order.made", {"id": 7})).output
    {'count': 1}
    """

    kind: ClassVar[str] = "pubsub"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._subscribers: dict[str, _Subscriber] = {}
        self._number = 0
        # The plan is of as many changes; it is made anew when there is a message.
        self._changes = 0
        self._compiled_at = -1
        self._under_way = 0
        # Functions that only messages on their way may need yet, and those that one left
        # unfinished in a journal may: it goes on there, maybe after all others.
        self._parted: list[str] = []
        self._kept: set[str] = set()

    @property
    def subscribers(self) -> list[str]:
        """The names of those who are subscribed, the first first."""
        return list(self._subscribers)

    def subscribe(
        self,
        topic: str,
        function: Callable[[M], Any],
        *,
        name: str | None = None,
        retry: Retry | int | None = None,
        timeout_s: float | None = None,
        effect: str = "keyed",
    ) -> str:
        """Bring messages of a topic to `function`; return the subscriber's name.

        Args:
            name: For people, paths and reports. Default: the function's; of methods of
                several objects the second is `update_2`, the third `update_3`.

        Raises:
            ValueError: The topic is none; the name is none, or is subscribed already; a
                limit is out of its range.
        """
        own = str(name or self._name_of(function))
        what = f"{self.kind} '{self.name}': subscriber"
        if own in self._subscribers or own == _TOPIC:
            raise ValueError(
                f"{what}: there is one of the name '{own}': give another, name='…'"
            )
        check_name(what, own)
        condition = _condition_of(topic)
        settings = limits(f"{what} '{own}'", timeout_s=timeout_s, retry=retry)
        callee = self._callee(f"{own}.{self._number}", function)
        step: JsonObject = {
            **call(own, callee, "${input.message}"),
            **settings,
            "effect": effect,
            "condition": condition,
            "on_error": "continue",
        }
        try:
            # It alone: all of them are compiled once, when there is a message.
            self._compiled({"steps": [step]})
        except ValueError:
            self.functions.remove(callee.function.name)
            raise
        self._subscribers[own] = _Subscriber(function, callee.function.name, step)
        self._number += 1
        self._changes += 1
        return own

    def _name_of(self, function: Callable[[M], Any]) -> str:
        own = first = str(getattr(function, "__name__", ""))
        number, known = 1, self._subscribers
        while own in known and _of_another(function, known[own].function):
            number += 1
            own = f"{first}_{number}"
        return own

    def on(
        self, topic: str, **settings: Any
    ) -> Callable[[Callable[[M], Any]], Callable[[M], Any]]:
        """Subscribe the function that this decorates; settings as of `subscribe`."""

        def subscribe(function: Callable[[M], Any]) -> Callable[[M], Any]:
            self.subscribe(topic, function, **settings)
            return function

        return subscribe

    def unsubscribe(self, name: str) -> None:
        """Bring it no more messages.

        Raises:
            KeyError: Nobody of this name is subscribed.
        """
        self._parted.append(self._subscribers.pop(name).called)
        self._changes += 1
        self._forget()

    def _forget(self) -> None:
        """Let go of functions that nothing can reach any more."""
        while self._parted and not self._under_way:
            name = self._parted.pop()
            if name not in self._kept:
                self.functions.remove(name)

    def _current(self) -> Made:
        changes = self._changes
        if self._compiled_at != changes:
            self._compile(self._document())
            self._compiled_at = changes
        return super()._current()

    def _document(self) -> JsonObject:
        # A copy: a subscriber in a thread may subscribe others meanwhile.
        steps = {own: one.step for own, one in dict(self._subscribers).items()}
        told: JsonObject = {
            own: {
                key: f"${{{own}.{key}}}"
                for key in ("status", "response", "error", "attempts")
            }
            for own in steps
        }
        topic: JsonObject = {"id": _TOPIC, "type": "set", "value": "${input.topic}"}
        return {"steps": [topic, *steps.values()], "output": told}

    async def publish(self, topic: str, message: M, **where: Unpack[Where]) -> Published:
        """Bring a message to all who subscribed to its topic; return when they are done.

        Args:
            where: `journal` and `key`, as of `Pattern.run`: every delivery is then written
                down, and after a crash only those are made that were not.

        Raises:
            ValueError: The topic is none; the message is no JSON.
        """
        if not _TOPIC_SHAPE.fullmatch(topic):
            raise ValueError(f"topic: '{topic}' is none; write words joined by dots")
        return await self.run({"topic": topic, "message": message}, **where)

    async def run(self, value: Any, **where: Unpack[Where]) -> Published:
        """See `Pattern.run`; `publish` makes the value."""
        self._under_way += 1
        try:
            outcome = await super().run(value, **where)
        except BaseException:
            if where.get("journal") is not None:
                self._kept.update(self.functions)
            raise
        finally:
            self._under_way -= 1
            self._forget()
        assert isinstance(outcome, Published)
        return outcome

    def _told(self, result: Result) -> Published:
        facts = self._facts(result)
        raw: Any = facts["raw"] or {}
        reached = {own: one for own, one in raw.items() if one["status"] != "skipped"}
        deliveries = {
            own: Delivery(own, one["status"], one["error"], one["attempts"])
            for own, one in reached.items()
        }
        facts["raw"] = {
            own: one["response"]
            for own, one in reached.items()
            if one["status"] == "completed"
        }
        return Published(**facts, deliveries=deliveries)


class Subject(PubSub[M]):
    """Something that others observe: each of them is told of every change.

    >>> import asyncio
    >>> price = Subject[float]("price")
    >>> seen: list[float] = []
    >>> def note(value: float) -> None:
    ...     seen.append(value)
    >>> name = price.attach(note)
    >>> _ = asyncio.run(price.notify(9.5))
    >>> price.detach(name)
    >>> _ = asyncio.run(price.notify(9.9))
    >>> seen
    [9.5]
    """

    kind: ClassVar[str] = "subject"

    def attach(self, observer: Callable[[M], Any], **settings: Any) -> str:
        """Tell `observer` of changes from now on; return its name. See `subscribe`."""
        return self.subscribe("#", observer, **settings)

    def detach(self, name: str) -> None:
        """Tell it no more.

        Raises:
            KeyError: Nobody of this name observes.
        """
        self.unsubscribe(name)

    async def notify(self, value: M, **where: Unpack[Where]) -> Published:
        """Tell all observers of a change; return when they are done. See `publish`."""
        return await self.publish("changed", value, **where)


def _of_another(function: Any, other: Any) -> bool:
    """Tell whether both are methods, of two objects."""
    are_methods = inspect.ismethod(function) and inspect.ismethod(other)
    return are_methods and function.__self__ is not other.__self__


def _condition_of(topic: str) -> JsonValue:
    """Return the condition under which a message is of a topic.

    >>> _condition_of("order.paid"), _condition_of("#")
    ("${input.topic == 'order.paid'}", True)
    """
    if not _FILTER_SHAPE.fullmatch(topic):
        raise ValueError(
            f"topic: '{topic}' is none; write words joined by dots, `*` for any one word, "
            "`#` at the end for all that follow"
        )
    if topic == "#":
        return True
    words, rest = topic.removesuffix(".#"), topic.endswith(".#")
    if not rest and "*" not in words:
        return f"${{input.topic == '{topic}'}}"
    shape = words.replace(".", "[.]").replace("*", "[^.]+")
    return f"${{input.topic.matches('^{shape}{'([.].*)?' if rest else ''}$')}}"

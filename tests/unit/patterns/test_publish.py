"""Broadcast, PubSub and Subject: who hears what, and what failed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plait.compile import compile_text
from plait.patterns import Broadcast, Journal, PubSub, Retry, Subject, Task


class Ears:
    """Receivers that remember what they heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def of(self, name: str) -> Callable[[Any], str]:
        def hear(message: Any) -> str:
            self.heard.append((name, message))
            return name

        return hear


def down(message: Any) -> None:
    raise ConnectionError("no line")


async def test_a_broadcast_reaches_all_but_those_that_fail() -> None:
    ears = Ears()
    alarm = Broadcast[str](
        "alarm", [Task("mail", ears.of("mail")), Task("phone", down, retry=2)]
    )
    outcome = await alarm.send("fire")
    assert outcome.output == {"mail": "mail"}
    assert (outcome.succeeded, outcome.failed) == (["mail"], ["phone"])
    assert outcome.tasks["phone"].attempts == 2
    assert ears.heard == [("mail", "fire")]


@pytest.mark.parametrize(
    ("topic", "names"),
    [
        ("order.paid", {"exact", "word", "rest", "every"}),
        ("order.made", {"word", "rest", "every"}),
        ("order.paid.late", {"rest", "every", "middle"}),
        ("order", {"rest", "every"}),
        ("orders.paid", {"every"}),
        ("orderXpaid", {"every"}),
    ],
)
async def test_a_message_reaches_those_who_subscribed_to_its_topic(
    topic: str, names: set[str]
) -> None:
    ears, bus = Ears(), PubSub[Any]("bus")
    filters = {
        "exact": "order.paid",
        "word": "order.*",
        "rest": "order.#",
        "middle": "order.*.late",
        "every": "#",
    }
    for name, one in filters.items():
        bus.subscribe(one, ears.of(name), name=name)
    published = await bus.publish(topic, {"id": 7})
    assert set(published.output) == set(published.deliveries) == names
    assert sorted(ears.heard, key=str) == sorted(((n, {"id": 7}) for n in names), key=str)


async def test_a_subscriber_that_fails_keeps_the_message_from_no_other() -> None:
    ears, bus = Ears(), PubSub[str]("bus")
    bus.on("a", retry=2)(down)
    bus.subscribe("a", ears.of("ear"), name="ear")
    published = await bus.publish("a", "x")
    assert published.status == "completed"
    assert (published.output, published.failed) == ({"ear": "ear"}, ["down"])
    assert published.deliveries["down"].attempts == 2
    assert published.deliveries["down"].error["code"] == "python.ConnectionError"


async def test_who_unsubscribed_hears_no_more_and_nobody_may_be_there() -> None:
    ears, bus = Ears(), PubSub[str]("bus")
    name = bus.subscribe("a", ears.of("one"), name="one")
    bus.unsubscribe(name)
    assert (await bus.publish("a", "x")).output == {}
    bus.subscribe("a", ears.of("two"), name="one")
    await bus.publish("a", "y")
    assert ears.heard == [("two", "y")]
    with pytest.raises(KeyError):
        bus.unsubscribe("nobody")


async def test_a_published_message_is_delivered_once_in_a_journal(tmp_path: Path) -> None:
    ears, bus = Ears(), PubSub[str]("bus")
    bus.subscribe("a", ears.of("one"), name="one")
    async with Journal(tmp_path / "j.db", bus) as journal:
        await bus.publish("a", "x", journal=journal, key="m1")
        await bus.publish("a", "x", journal=journal, key="m1")
        bus.subscribe("a", ears.of("two"), name="two")
        await bus.publish("a", "y", journal=journal, key="m2")
    assert sorted(ears.heard) == [("one", "x"), ("one", "y"), ("two", "y")]


async def test_observers_are_told_of_every_change() -> None:
    ears, price = Ears(), Subject[float]("price")
    first = price.attach(ears.of("a"), name="a")
    price.attach(ears.of("b"), name="b")
    await price.notify(1.5)
    price.detach(first)
    await price.notify(2.5)
    assert sorted(ears.heard) == [("a", 1.5), ("b", 1.5), ("b", 2.5)]
    assert price.subscribers == ["b"]


@pytest.mark.parametrize("topic", ["", "a..b", "a b", "#.a", "a.#.b", "a*", "a'"])
def test_a_topic_that_is_none_is_refused_when_it_is_subscribed_to(topic: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"topic: '{topic}' is none")):
        PubSub[Any]("bus").subscribe(topic, down)


async def test_misuse_is_refused_with_a_clear_message() -> None:
    bus = PubSub[Any]("bus")
    bus.subscribe("a", down)
    for topic in ("", "a.*", "#", "a b"):
        with pytest.raises(ValueError, match="write words joined by dots"):
            await bus.publish(topic, 1)
    with pytest.raises(ValueError, match="there is one of the name 'down'"):
        bus.subscribe("b", down)
    with pytest.raises(ValueError, match="cannot be its name"):
        bus.subscribe("b", lambda message: None)
    with pytest.raises(ValueError, match="it has no tasks"):
        Broadcast[Any]("alarm", {})


async def test_a_subscriber_that_is_refused_keeps_no_message_from_the_others() -> None:
    ears, bus = Ears(), PubSub[str]("bus")
    bus.subscribe("a", ears.of("one"), name="one")
    with pytest.raises(ValueError, match="effect"):
        bus.subscribe("a", ears.of("bad"), name="bad", effect="reed")
    assert bus.subscribers == ["one"]
    assert len(list(bus.functions)) == 1
    bus.subscribe("a", ears.of("two"), name="bad")
    assert (await bus.publish("a", "x")).output == {"one": "one", "bad": "two"}


class Shelf:
    """An observer as the books draw it: an object with `update`."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def update(self, value: int) -> None:
        self.seen.append(value)


class Window(Shelf):
    def update(self, value: int) -> None:
        self.seen.append(-value)


async def test_the_same_method_of_several_objects_observes() -> None:
    price, shelves = Subject[int]("price"), [Shelf(), Shelf(), Window()]
    names = [price.attach(one.update) for one in shelves]
    assert names == ["update", "update_2", "update_3"]
    await price.notify(3)
    price.detach("update_2")
    await price.notify(4)
    assert [one.seen for one in shelves] == [[3, 4], [3], [-3, -4]]
    assert price.attach(shelves[1].update) == "update_2"


async def test_one_method_of_one_object_observes_once() -> None:
    price, shelf = Subject[int]("price"), Shelf()
    price.attach(shelf.update)
    with pytest.raises(ValueError, match="there is one of the name 'update'"):
        price.attach(shelf.update)

    def update(value: int) -> None:
        del value

    with pytest.raises(ValueError, match="'update': give another, name="):
        price.attach(update)


async def test_who_unsubscribes_while_it_hears_a_message_still_gets_it_again() -> None:
    bus, heard = PubSub[str]("bus"), list[str]()

    def once(message: str) -> str:
        heard.append(message)
        if len(heard) == 1:
            bus.unsubscribe("once")
            raise ConnectionError("the line broke")
        return "heard"

    bus.subscribe("a", once, retry=Retry(2, delay_s=0.001))
    assert (await bus.publish("a", "x")).output == {"once": "heard"}
    assert (heard, list(bus.functions)) == (["x", "x"], [])
    assert (await bus.publish("a", "y")).output == {}


def test_who_comes_and_goes_leaves_no_function_behind() -> None:
    price, ears = Subject[int]("price"), Ears()
    for _ in range(3):
        price.detach(price.attach(ears.of("ear"), name="ear"))
    assert list(price.functions) == []


async def test_a_message_that_a_journal_has_yet_to_deliver_keeps_its_functions(
    tmp_path: Path,
) -> None:
    bus, heard, is_open = PubSub[str]("bus"), list[str](), asyncio.Event()
    first = asyncio.Event()

    async def hear(message: str) -> None:
        first.set()
        await is_open.wait()
        heard.append(message)

    bus.subscribe("a", hear)
    path = tmp_path / "j.db"
    publishing = asyncio.create_task(bus.publish("a", "x", journal=path, key="1"))
    await first.wait()
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    bus.unsubscribe("hear")
    is_open.set()
    again = await bus.publish("a", "x", journal=path, key="1")
    assert (heard, again.status) == (["x"], "completed")


def test_all_subscribers_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[bytes] = []

    def compiled(text: bytes, **settings: Any) -> Any:
        texts.append(text)
        return compile_text(text, **settings)

    monkeypatch.setattr("plait.patterns.base.compile_text", compiled)
    bus, ears = PubSub[str]("bus"), Ears()
    for number in range(30):
        bus.subscribe("a", ears.of(str(number)), name=f"s{number}")
    assert len(bus.plan.scope.nodes) == 31
    assert bus.document["name"] == "bus"
    assert max(map(len, texts[:-1])) * 20 < len(texts[-1])
    assert len(texts) == 31

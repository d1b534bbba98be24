"""Router and Branch: who is taken, who is asked, and what a wrong condition leads to."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, assert_type

import pytest

from plait.patterns import Branch, Route, Router


@dataclass
class Mail:
    topic: str
    vip: bool = False


class Asked:
    """Conditions that remember that they were asked."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def topic(self, topic: str) -> Callable[[Mail], bool]:
        def is_it(mail: Mail) -> bool:
            self.names.append(topic)
            return mail.topic == topic

        return is_it

    def vip(self, mail: Mail) -> bool:
        self.names.append("vip")
        return mail.vip


def desk(name: str) -> Callable[[Mail], str]:
    return lambda mail: f"{name}: {mail['topic']}"  # type: ignore[index]  # not annotated


def desks(asked: Asked, **settings: Any) -> Router[Mail, str]:
    return Router(
        "desks",
        [
            Route("billing", desk("billing"), asked.topic("billing")),
            Route("orders", desk("orders"), asked.topic("orders")),
            Route("vip", desk("manager"), asked.vip, priority=10),
        ],
        **settings,
    )


@pytest.mark.parametrize(
    ("mail", "route", "output", "names"),
    [
        (Mail("billing"), "billing", "billing: billing", ["vip", "billing"]),
        (Mail("orders"), "orders", "orders: orders", ["vip", "billing", "orders"]),
        (Mail("billing", vip=True), "vip", "manager: billing", ["vip"]),
        (Mail("other"), "default", "inbox: other", ["vip", "billing", "orders"]),
    ],
)
async def test_the_first_route_that_fits_is_taken_and_none_behind_it_asked(
    mail: Mail, route: str, output: str, names: list[str]
) -> None:
    asked = Asked()
    outcome = await desks(asked, default=desk("inbox")).run(mail)
    assert (outcome.route, outcome.output) == (route, output)
    assert asked.names == names


async def test_where_nothing_fits_and_there_is_no_default_there_is_no_output() -> None:
    outcome = await desks(Asked()).run(Mail("other"))
    assert (outcome.status, outcome.route) == ("completed", None)
    assert outcome.raw is None
    assert not outcome.output


async def test_all_routes_that_fit_are_taken_at_the_same_time() -> None:
    both = asyncio.Barrier(2)

    async def meet(mail: Mail) -> str:
        await both.wait()
        return mail.topic

    router = Router[Mail, dict[str, str]](
        "copies",
        [
            Route("archive", meet, lambda mail: True),
            Route("nobody", meet, lambda mail: False),
            Route("audit", meet, lambda mail: True, priority=1),
        ],
        strategy="all_match",
    )
    outcome = await router.run(Mail("a"))
    assert outcome.output == {"audit": "a", "archive": "a"}
    assert set(outcome.routes) == {"archive", "audit"}


async def test_a_lot_follows_the_weights_and_the_conditions() -> None:
    router = Router[int, str](
        "split",
        [
            Route("new", lambda n: "new", weight=1),
            Route("old", lambda n: "old", weight=3),
            Route("closed", lambda n: "closed", lambda n: False, weight=50),
        ],
        strategy="weighted",
    )
    taken = Counter([(await router.run(n)).route for n in range(400)])
    assert set(taken) == {"new", "old"}
    # Four standard deviations of 400 draws.
    assert abs(taken["new"] - 100) < 36


def plus_one(number: int) -> int:
    return number + 1


def remainder(number: int) -> int:
    return number % 2


async def word(number: int) -> str:
    return "odd" if number % 2 else "even"


def test_what_a_router_takes_and_yields_is_inferred() -> None:
    number = Route("number", plus_one, remainder)
    said = Route("word", word, remainder, priority=1)
    assert_type(number, Route[int, int])
    assert_type(said, Route[int, str])
    assert_type(Router("r", [number]), Router[int, int])
    assert_type(Router("r", [said], default=word), Router[int, str])
    assert_type(Router("r", [said, Route("two", str, remainder)]), Router[int, str])
    one = Router("r", [Route("one", plus_one, lambda n: n > 1)], default=plus_one)
    assert_type(one, Router[int, int])
    both = Router("r", [said], strategy="all_match")
    assert_type(both, Router[int, dict[str, str]])


def test_a_route_has_no_other_settings_and_stays_as_it_is() -> None:
    route = Route("a", plus_one, remainder, priority=2)
    assert replace(route, weight=3.0) == Route(
        "a", plus_one, remainder, priority=2, weight=3.0
    )
    with pytest.raises(AttributeError):
        route.name = "b"  # type: ignore[misc]
    with pytest.raises(TypeError, match="route 'a' has no setting 'prio'"):
        Route("a", plus_one, remainder, prio=3)  # type: ignore[call-overload]


async def test_a_handlers_result_is_what_it_says() -> None:
    def find(topic: str) -> Mail:
        return Mail(topic, vip=True)

    router = Router[str, Mail]("find", [Route("a", find, lambda topic: True)])
    assert (await router.run("tea")).output == Mail("tea", vip=True)


async def test_a_condition_that_is_neither_true_nor_false_fails_the_run() -> None:
    router = Router("odd", [Route("odd", plus_one, remainder)])
    outcome = await router.run(3)
    assert outcome.failure is not None
    assert outcome.failure.code == "connector.decode"
    told = "condition 'odd.odd.when' returned 1, not true or false"
    assert outcome.failure.message == told


async def test_what_was_decided_stays_decided_in_a_journal(tmp_path: Any) -> None:
    asked = Asked()
    router = desks(asked, default=desk("inbox"))
    first = await router.run(Mail("orders"), journal=tmp_path / "j.db", key="a")
    again = await router.run(Mail("orders"), journal=tmp_path / "j.db", key="a")
    assert (again.route, again.output) == (first.route, first.output)
    assert asked.names == ["vip", "billing", "orders"]


async def test_a_branch_takes_one_of_two_ways() -> None:
    branch = Branch[int, int](
        "collatz",
        lambda n: n % 2 == 0,
        then=lambda n: n // 2,
        otherwise=lambda n: 3 * n + 1,
    )
    assert [(await branch.run(n)).output for n in (8, 7)] == [4, 22]
    outcome = await branch.run(7)
    assert outcome.route == "default"


def yes(value: Any) -> bool:
    return True


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Router("r", None), "Routes are needed; not a NoneType"),  # type: ignore[call-overload]
        (lambda: Router("r", "ab"), "router 'r': Routes are needed; not a str"),  # type: ignore[arg-type]
        (lambda: Router("r", {"a": 1}), "router 'r': Routes are needed; not a str"),  # type: ignore[arg-type]
        (lambda: Router("r", []), "router 'r': it has no routes"),
        (lambda: Router("r", [Route("a", yes)]), "route 'a' has no condition (`when`)"),
        (
            lambda: Router("r", [Route("a", yes, weight=0)], strategy="weighted"),
            "the weights sum to zero: no route is ever taken",
        ),
        (
            lambda: Router("r", [Route("a", yes, weight=-1)], strategy="weighted"),
            "a: weight: a number from 0",
        ),
        (
            lambda: Router("r", [Route("a", yes, yes)], strategy="frist_match"),  # type: ignore[call-overload]
            "strategy: 'frist_match' is none; write first_match or all_match or weighted",
        ),
        (
            lambda: Router("r", [Route("a", yes, yes), Route("a", yes, yes)]),
            "there are two of the name 'a'",
        ),
        (lambda: Router("r", [Route("default", yes, yes)]), "names what no route fits"),
        (lambda: Router("r", [Route("a", yes, 3)]), "a.when: a function is needed"),  # type: ignore[call-overload]
    ],
)
def test_misuse_fails_when_the_router_is_made(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


def halved(n: int) -> int:
    return n // 2


async def halved_later(n: int) -> int:
    return n // 2


def is_even(n: int) -> bool:
    return n % 2 == 0


async def test_the_type_checker_knows_what_a_branch_takes_and_gives() -> None:
    """The type checker reads this; without annotations it knew no output."""
    step = Branch("step", is_even, then=halved, otherwise=lambda n: 3 * n + 1)
    assert_type(step, Branch[int, int])
    later = Branch("later", is_even, then=halved_later, otherwise=halved_later)
    assert_type(later, Branch[int, int])
    mixed = Branch("mixed", is_even, then=halved, otherwise=halved_later)
    assert_type(mixed, Branch[int, int])
    assert_type(Branch("alone", is_even, then=halved_later), Branch[int, int])
    both = [assert_type((await one.run(8)).output, int) for one in (step, later, mixed)]
    assert both == [4, 4, 4]

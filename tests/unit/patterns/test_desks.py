"""HierarchicalRouter: from desk to desk until one answers, never for ever in circles."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plait.patterns import Desk, HierarchicalRouter, Transfer


@dataclass
class Ticket:
    text: str
    notes: int = 0


@dataclass
class Answer:
    text: str


def triage(ticket: Ticket) -> Transfer:
    to = "billing" if "invoice" in ticket.text else "general"
    return Transfer(to, Ticket(ticket.text, ticket.notes + 1))


async def billing(ticket: Ticket) -> Transfer | Answer:
    if "back" in ticket.text:
        return Transfer("refunds", Ticket(ticket.text, ticket.notes + 1))
    return Answer("we look into it")


def refunds(ticket: Ticket) -> Answer:
    return Answer(f"on its way, after {ticket.notes} notes")


def support(**settings: Any) -> HierarchicalRouter[Ticket, Answer]:
    return HierarchicalRouter(
        "support",
        [
            Desk("triage", triage, to=("billing", "general")),
            Desk("billing", billing, to=("refunds",)),
            Desk("refunds", refunds),
            Desk("general", lambda ticket: Answer("thank you")),
        ],
        **settings,
    )


@pytest.mark.parametrize(
    ("text", "path", "answer"),
    [
        ("hello", ["triage", "general"], {"text": "thank you"}),
        ("an invoice", ["triage", "billing"], Answer("we look into it")),
        (
            "invoice, money back",
            ["triage", "billing", "refunds"],
            Answer("on its way, after 2 notes"),
        ),
    ],
)
async def test_a_value_is_handed_on_until_a_desk_answers(
    text: str, path: list[str], answer: Any
) -> None:
    outcome = await support().run(Ticket(text))
    assert (outcome.path, outcome.output) == (path, answer)


async def test_hops_are_limited() -> None:
    def back_and_forth(to: str) -> Callable[[int], Transfer]:
        return lambda n: Transfer(to, n + 1)

    router = HierarchicalRouter[int, int](
        "circle",
        [
            Desk("a", back_and_forth("b"), to=("b",)),
            Desk("b", back_and_forth("a"), to=("a",)),
        ],
    )
    outcome = await router.run(0)
    assert outcome.failure is not None
    assert outcome.failure.code == "limit.hops"
    assert outcome.failure.details is not None
    assert outcome.failure.details["max_hops"] == 10
    assert outcome.path == ["a", "b"] * 5 + ["a"]
    two = await support(max_hops=2).run(Ticket("invoice, money back"))
    assert two.status == "completed"
    one = await support(max_hops=1).run(Ticket("invoice, money back"))
    assert (one.status, one.path) == ("failed", ["triage", "billing"])


async def test_a_desk_hands_on_only_to_those_that_it_names() -> None:
    def astray(value: Any) -> Transfer:
        return Transfer("elsewhere", value)

    router = HierarchicalRouter[int, int]("lost", [Desk("a", astray)])
    outcome = await router.run(0)
    assert outcome.failure is not None
    assert outcome.failure.code == "pattern.transfer"
    assert outcome.failure.message == "desk 'a' may not hand on to 'elsewhere'"


async def test_a_path_taken_is_kept_in_a_journal(tmp_path: Path) -> None:
    path, lost = tmp_path / "j.db", Ticket("invoice, money back")
    for _ in range(2):
        one = await support(max_hops=1).run(lost, journal=path, key="lost")
        assert (one.status, one.path) == ("failed", ["triage", "billing"])
    ticket = Ticket("an invoice")
    first = await support().run(ticket, journal=path, key="a")
    again = await support().run(ticket, journal=path, key="a")
    assert again.execution_id == first.execution_id
    assert again.path == ["triage", "billing"]


def answer(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: HierarchicalRouter("r", []), "it has no desks"),
        (
            lambda: HierarchicalRouter(
                "r", [Desk("a", answer, to=("bill",)), Desk("b", answer)]
            ),
            "desk 'a' hands on to 'bill', which is not there",
        ),
        (
            lambda: HierarchicalRouter("r", [Desk("a", answer), Desk("b", answer)]),
            "nobody hands on to desk 'b'",
        ),
        (
            lambda: HierarchicalRouter("r", [Desk("a", answer), Desk("a", answer)]),
            "there are two of the name 'a'",
        ),
        (lambda: HierarchicalRouter("r", [Desk("a", 3)]), "a function is needed"),  # type: ignore[arg-type]
        (
            lambda: HierarchicalRouter(
                "r", [Desk("a", answer, to="bc"), Desk("b", answer), Desk("c", answer)]
            ),
            "desk 'a': to: a list of names is needed: write to=('bc',)",
        ),
        (lambda: HierarchicalRouter("r", [Desk("a", answer)], max_hops=0), "max_hops"),
    ],
)
def test_misuse_fails_when_the_router_is_made(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make()

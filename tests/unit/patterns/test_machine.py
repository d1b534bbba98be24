"""StateMachine: events, guards, actions, times; killed, refused, gone on with."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, assert_type

import pytest

from plait.patterns import (
    Action,
    Context,
    EventRefused,
    Journal,
    Retry,
    Session,
    State,
    StateMachine,
    Transition,
)


class Status(StrEnum):
    CREATED = "created"
    PAID = "paid"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


class Happens(StrEnum):
    PAY = "pay"
    SHIP = "ship"
    CANCEL = "cancel"
    ERROR = "error"


@dataclass
class Order:
    total: int


@dataclass
class Payment:
    amount: int
    card: str = "visa"


class Desk:
    """What the machine's functions do, remembered."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def is_enough(self, order: Order, payment: Payment) -> bool:
        self.log.append("guard")
        return payment.amount >= order.total

    async def charge(self, order: Order, payment: Payment) -> str:
        if payment.card == "stolen":
            raise PermissionError("declined")
        self.log.append(("charge", order.total, payment.card))
        return "ch-1"

    def thank(self, context: Context[Order]) -> None:
        self.log.append(("thank", context.results["charge"]))

    def leave(self, order: Order) -> None:
        self.log.append("leave")

    def on_the_way(self, order: Order, parcel: dict[str, Any]) -> None:
        self.log.append(("on_the_way", parcel["id"]))


def machine(desk: Desk) -> StateMachine[Order, Status, Happens]:
    return StateMachine(
        "order",
        Status.CREATED,
        {
            Status.CREATED: State(
                on={
                    Happens.PAY: Transition(Status.PAID, guard=desk.is_enough),
                    Happens.CANCEL: Status.CANCELLED,
                }
            ),
            Status.PAID: State(
                entry=[desk.charge, desk.thank],
                exit=desk.leave,
                on={
                    Happens.SHIP: Transition(Status.SHIPPED, actions=desk.on_the_way),
                    Happens.ERROR: Status.CANCELLED,
                },
            ),
            Status.SHIPPED: State(final=True),
            Status.CANCELLED: State(final=True),
        },
    )


async def test_events_lead_from_state_to_state_and_actions_run_on_the_way() -> None:
    desk = Desk()
    async with machine(desk).start(Order(40)) as order:
        assert order.state is Status.CREATED
        paid = assert_type(await order.send(Happens.PAY, Payment(50)), Status)
        assert paid is Status.PAID
        assert await order.send(Happens.SHIP, {"id": "p1"}) is Status.SHIPPED
        outcome = await order.ended()
    assert desk.log == [
        "guard",
        ("charge", 40, "visa"),
        ("thank", "ch-1"),
        "leave",
        ("on_the_way", "p1"),
    ]
    assert outcome.output["state"] == "shipped"
    assert outcome.output["context"]["charge"] == "ch-1"
    told = [(one.state, one.previous, one.event) for one in order.history]
    assert told == [
        ("created", None, ""),
        ("paid", "created", "pay"),
        ("shipped", "paid", "ship"),
    ]


async def test_an_event_that_the_state_does_not_take_is_refused_and_changes_nothing() -> (
    None
):
    desk = Desk()
    async with machine(desk).start(Order(40)) as order:
        with pytest.raises(EventRefused, match="'created' does not take the event 'ship'"):
            await order.send(Happens.SHIP)
        with pytest.raises(EventRefused):
            await order.send(Happens.PAY, Payment(39))
        assert order.state is Status.CREATED
        assert await order.send(Happens.PAY, Payment(40)) is Status.PAID
        await order.send(Happens.SHIP, {"id": "p1"})
        with pytest.raises(EventRefused, match="the machine has ended"):
            await order.send(Happens.CANCEL)


async def test_a_failed_action_is_an_event() -> None:
    async with machine(Desk()).start(Order(40)) as order:
        state = await order.send(Happens.PAY, Payment(40, "stolen"))
        assert state is Status.CANCELLED
        assert (await order.ended()).status == "completed"


async def test_an_action_is_tried_again_as_often_as_it_says() -> None:
    tries: list[int] = []

    def flaky(order: int) -> None:
        tries.append(order)
        if len(tries) < 3:
            raise ConnectionError

    machine = StateMachine[int, str, str](
        "m",
        "a",
        {
            "a": State({"go": "b"}, exit=Action(flaky, retry=Retry(3, delay_s=0))),
            "b": State(final=True),
        },
    )
    async with machine.start(7) as session:
        assert await session.send("go") == "b"
    assert tries == [7, 7, 7]


async def test_a_machine_goes_on_by_itself_when_a_time_is_over() -> None:
    machine = StateMachine[None, str, str](
        "m", "a", {"a": State(after={0.01: "b"}), "b": State(final=True)}
    )
    outcome = await machine.run(None)
    assert outcome.output["state"] == "b"
    async with machine.start(None) as session:
        assert await session.until("b") == "b"
        assert session.history[-1].event.startswith("after")


async def test_a_guard_that_fails_or_says_nothing_clear_refuses_the_event() -> None:
    def broken(order: int, payload: Any) -> bool:
        raise LookupError("no such thing")

    def unclear(order: int, payload: Any) -> Any:
        return "perhaps"

    machine = StateMachine[int, str, str](
        "m",
        "a",
        {
            "a": State(
                {
                    "x": Transition("b", guard=broken),
                    "y": Transition("b", guard=unclear),
                    "z": Transition("b", guard="${event.payload.value.n > input}"),
                }
            ),
            "b": State(final=True),
        },
    )
    async with machine.start(3) as session:
        with pytest.raises(EventRefused, match="its guard failed: LookupError: no such"):
            await session.send("x")
        with pytest.raises(EventRefused, match="its guard returned 'perhaps', not true"):
            await session.send("y")
        with pytest.raises(EventRefused):
            await session.send("z", {"n": 3})
        assert await session.send("z", {"n": 4}) == "b"


async def test_a_guard_of_another_state_keeps_no_event_away() -> None:
    def by_code(order: int, payload: dict[str, Any]) -> bool:
        return bool(payload["code"] == "4711")

    def broken(order: int, payload: Any) -> bool:
        raise LookupError("no such thing")

    machine = StateMachine[int, str, str](
        "m",
        "a",
        {
            "a": State({"go": [Transition("c", guard=broken), Transition("b")]}),
            "b": State({"go": Transition("c", guard=by_code)}),
            "c": State(final=True),
        },
    )
    async with machine.start(3) as session:
        assert await session.send("go", {}) == "b"
        with pytest.raises(EventRefused, match=r"'b' does not.*failed: KeyError: 'code'"):
            await session.send("go", {})
        assert await session.send("go", {"code": "4711"}) == "c"


async def test_a_machine_in_a_journal_is_found_again_as_it_was(tmp_path: Path) -> None:
    desk, path = Desk(), tmp_path / "orders.db"
    async with machine(desk).start(Order(40), journal=path, key="o1") as order:
        await order.send(Happens.PAY, Payment(40), event_id="p1")
        first = order.execution_id
    async with (
        Journal(path) as journal,
        machine(desk).start(Order(40), journal=journal, key="o1") as order,
    ):
        assert (order.execution_id, order.state) == (first, Status.PAID)
        await order.send(Happens.SHIP, {"id": "p1"})
        assert (await order.ended()).output["state"] == "shipped"
    assert [one for one in desk.log if one[0] == "charge"] == [("charge", 40, "visa")]


async def test_an_event_that_is_sent_twice_under_one_id_counts_once(tmp_path: Path) -> None:
    counts: list[int] = []

    def count(order: None, payload: int) -> None:
        counts.append(payload)

    machine = StateMachine[None, str, str](
        "m",
        "a",
        {
            "a": State({"add": Transition(actions=count), "end": "b"}),
            "b": State(final=True),
        },
    )
    async with machine.start(None) as session:
        for _ in range(3):
            await session.send("add", 1, event_id="one")
        await session.send("add", 2)
    assert counts == [1, 2]


async def test_sessions_of_one_machine_see_the_same(tmp_path: Path) -> None:
    desk = Desk()
    orders = machine(desk)
    async with (
        Journal(tmp_path / "j.db") as journal,
        orders.start(Order(1), journal=journal, key="a") as one,
        orders.start(Order(1), journal=journal, key="a") as other,
    ):
        await one.send(Happens.PAY, Payment(1))
        assert await other.settled() is Status.PAID
        assert other.history == one.history


async def typed(session: Session[Status, Happens]) -> None:
    assert_type(session.state, Status)


def act(order: Any) -> None: ...


def made(states: Any, initial: Any = "a") -> Any:
    return StateMachine[Any, str, str]("m", initial, states)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: made(["a"]), "states: a mapping from name to State is needed; not a list"),
        (lambda: made({"a": State(["x"])}), "a: on: a mapping is needed; not a list"),  # type: ignore[arg-type]
        (lambda: made({}), "state machine 'm': it has no states"),
        (lambda: made({"a": State({"x": "bb"}), "b": State(final=True)}), "'bb'"),
        (lambda: made({"a": State(final=True)}, "c"), "'c'"),
        (lambda: made({"a": State(entry=lambda order: 1)}), "an action has no name"),
        (lambda: made({"a": State(entry=[3])}), "an action has no name"),  # type: ignore[list-item]
        (
            lambda: made({"a": State(after={1: Transition("a", guard=act)})}),
            "nobody is there to ask the guard of an `after`",
        ),
        (lambda: made({"a": State(after={-1: "a"})}), "a: after: seconds"),
        (
            lambda: made({"a": State(final=True), "b": State({"x": "a"})}),
            "'b'",
        ),
    ],
)
def test_misuse_fails_when_the_machine_is_made(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


async def test_giving_up_a_session_leaves_its_machine_in_the_journal(
    tmp_path: Path,
) -> None:
    begun = asyncio.Event()

    async def hang(order: None) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    def machine(action: Callable[[None], Any]) -> StateMachine[None, str, str]:
        return StateMachine(
            "m",
            "a",
            {
                "a": State({"go": "b"}),
                "b": State(entry=Action(action, name="work"), final=True),
            },
        )

    async def use() -> None:
        async with machine(hang).start(None, journal=tmp_path / "j.db", key="k") as session:
            await session.send("go")

    using = asyncio.create_task(use())
    await begun.wait()
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    again = machine(lambda order: None).start(None, journal=tmp_path / "j.db", key="k")
    async with again as session:
        assert (await session.ended()).output["state"] == "b"


def test_a_state_that_is_none_is_refused_when_the_machine_is_made() -> None:
    states: Any = {"a": None}
    with pytest.raises(ValueError, match="a: a State is needed, this is a NoneType"):
        StateMachine[Any, str, str]("s", "a", states)

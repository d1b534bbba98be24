"""The order in Python: a StateMachine, its states and events known to the type checker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from examples.patterns.calling import call
from plait.patterns import (
    Action,
    Context,
    EventRefused,
    Retry,
    State,
    StateMachine,
    Transition,
)

DAY_S = 86_400


class Status(StrEnum):
    """Where an order is."""

    CREATED = "created"
    PAID = "paid"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    CLOSED = "closed"


class Happens(StrEnum):
    """What may happen to it."""

    PAY = "pay"
    PROCESS = "process"
    SHIP = "ship"
    DELIVER = "deliver"
    CANCEL = "cancel"
    REFUND = "refund"
    ERROR = "error"


@dataclass
class Order:
    """What was ordered, and for how much."""

    order: str
    total: float


def is_enough(order: Order, payment: dict[str, Any]) -> bool:
    """Tell whether a payment covers the order."""
    return bool(payment["amount"] >= order.total)


def is_lost(_: Order, claim: dict[str, Any]) -> bool:
    """A parcel that got lost is paid back."""
    return bool(claim["reason"] == "lost")


def is_faulty(_: Order, claim: dict[str, Any]) -> bool:
    """So is what came broken, or was never ordered."""
    return claim["reason"] in ("broken", "wrong")


async def charge(order: Order, payment: dict[str, Any]) -> Any:
    """Take the money."""
    body = {"method": payment["method"], "amount": order.total}
    return await call("POST", "http://payments/charges", body)


async def reserve(order: Order) -> Any:
    """Have it packed."""
    return await call("POST", "http://warehouse/reservations", {"order": order.order})


async def give_back(context: Context[Order]) -> Any:
    """Give the money back."""
    body = {"charge": context.results["charge"]["id"], "amount": context.input.total}
    return await call("POST", "http://payments/refunds", body)


ORDER = StateMachine[Order, Status, Happens](
    "order",
    Status.CREATED,
    {
        Status.CREATED: State(
            on={
                Happens.PAY: Transition(Status.PAID, guard=is_enough),
                Happens.CANCEL: Status.CANCELLED,
            },
            after={1800: Status.CANCELLED},
        ),
        Status.PAID: State(
            entry=Action(charge, retry=Retry(5, delay_s=1, backoff="exponential")),
            on={
                Happens.PROCESS: Status.PROCESSING,
                Happens.CANCEL: Status.REFUNDED,
                # The charge has failed for good: nothing to give back.
                Happens.ERROR: Status.CANCELLED,
            },
        ),
        Status.PROCESSING: State(
            entry=reserve,
            on={
                Happens.SHIP: Transition(
                    Status.SHIPPED, guard="${reserve.response.is_complete}"
                ),
                Happens.CANCEL: Status.REFUNDED,
                Happens.ERROR: Status.REFUNDED,
            },
        ),
        Status.SHIPPED: State(
            on={
                Happens.DELIVER: Status.DELIVERED,
                Happens.REFUND: Transition(Status.REFUNDED, guard=is_lost),
            }
        ),
        Status.DELIVERED: State(
            on={Happens.REFUND: Transition(Status.REFUNDED, guard=is_faulty)},
            after={14 * DAY_S: Status.CLOSED},
        ),
        Status.REFUNDED: State(entry=give_back, final=True),
        Status.CANCELLED: State(final=True),
        Status.CLOSED: State(final=True),
    },
)


async def run(given: dict[str, Any]) -> dict[str, Any]:
    """Return the state that all events have led to, and those that were refused."""
    refused: list[str] = []
    async with ORDER.start(Order(given["order"], given["total"])) as order:
        for event in given["events"]:
            try:
                await order.send(Happens(event["name"]), event["payload"])
            except EventRefused:
                refused.append(event["name"])
        return {"state": order.state.value, "refused": refused}

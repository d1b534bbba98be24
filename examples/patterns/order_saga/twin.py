"""The order in Python: a Saga."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from examples.patterns.calling import call
from plait.patterns import Context, Retry, Saga, SagaStep
from plait.resilience import Fallback, RetryPolicy

AGAIN = Retry(max_attempts=3, delay_s=0.02, backoff="exponential")


@dataclass
class Order:
    """What a customer wants."""

    customer: str
    sku: str
    quantity: int


async def reserve(order: Order) -> Any:
    """Keep goods from others."""
    body = {"sku": order.sku, "quantity": order.quantity}
    return await call("POST", "http://inventory/reservations", body)


async def release(done: Context[Order]) -> None:
    """Let others have them."""
    reservation = done.results["reservation"]["id"]
    await call("DELETE", f"http://inventory/reservations/{reservation}")


async def place(context: Context[Order]) -> Any:
    """Put the order into the book."""
    order, reserved = context.input, context.results["reservation"]
    body = {
        "customer": order.customer,
        "sku": order.sku,
        "quantity": order.quantity,
        "total_cents": reserved["unit_cents"] * order.quantity,
    }
    return await call("POST", "http://orders/orders", body)


async def cancel(done: Context[Order]) -> None:
    """Take it out again."""
    await call("POST", f"http://orders/orders/{done.results['order']['id']}/cancel")


async def pick(context: Context[Order]) -> Any:
    """Take the goods from the shelf."""
    order = context.input
    body = {"order": context.results["order"]["id"], "sku": order.sku}
    return await call("POST", "http://stock/pickings", {**body, "quantity": order.quantity})


async def put_back(done: Context[Order]) -> None:
    """Put them back."""
    await call("DELETE", f"http://stock/pickings/{done.results['picking']['id']}")


# No reason to take an order back: policies around a function are its own business.
@Fallback({"accepted": False})
@RetryPolicy(max_attempts=3, delay_s=0.02, backoff="exponential")
async def notify(context: Context[Order]) -> Any:
    """Tell the customer."""
    text = f"Order {context.results['order']['id']} is on its way."
    body = {"to": context.input.customer, "text": text}
    return await call("POST", "http://notification/messages", body)


ORDER_SAGA = Saga[Order](
    "order-saga",
    [
        SagaStep("reservation", reserve, release, retry=AGAIN),
        SagaStep("order", place, cancel, retry=AGAIN),
        SagaStep("picking", pick, put_back, retry=AGAIN),
        SagaStep("notice", notify),
    ],
)


async def run(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the document returns.

    With `journal="orders.db", key=…` the saga survives its process.
    """
    done = (await ORDER_SAGA.run(Order(**given))).output
    return {
        "order": done["order"]["id"],
        "total_cents": done["order"]["total_cents"],
        "picking": done["picking"]["id"],
        "notified": done["notice"]["accepted"],
    }

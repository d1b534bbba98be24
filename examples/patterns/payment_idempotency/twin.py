"""The payment in Python: one step, its key made of the order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from examples.patterns.calling import call
from plait.patterns import Pipeline, Retry


@dataclass
class Payment:
    """What is to be paid."""

    order: str
    card: str
    amount_cents: int


@dataclass
class Paid:
    """What was paid."""

    payment: str
    amount_cents: int


async def pay(payment: Payment) -> Paid:
    """Take the money; every attempt, and every second click, has the same key."""
    body = {"card": payment.card, "amount_cents": payment.amount_cents}
    key = {"Idempotency-Key": f"payment-of-{payment.order}"}
    paid = await call("POST", "http://bank/payments", body, key)
    return Paid(paid["id"], paid["amount_cents"])


PAYMENT = Pipeline.begin(
    "payment-idempotency",
    pay,
    timeout_s=3,
    attempt_timeout_s=1,
    retry=Retry(max_attempts=3, delay_s=0.02, backoff="exponential"),
)


async def run(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the document returns."""
    return asdict((await PAYMENT.run(Payment(**given))).output)

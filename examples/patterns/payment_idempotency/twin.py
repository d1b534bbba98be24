"""The payment in Python: one step behind a guard, its key made of the order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from examples.patterns.calling import call
from plait.patterns import Pipeline, Retry
from plait.resilience import IdempotencyGuard


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


# What failed is no answer: the next attempt asks the bank again.
GUARD = IdempotencyGuard(
    key=lambda key, _: key, ttl_s=24 * 3600, retry_on=Exception, name="payments"
)


@GUARD
async def ask_bank(key: str, body: dict[str, Any]) -> Any:
    """Ask for the money, once for each key."""
    return await call("POST", "http://bank/payments", body, {"Idempotency-Key": key})


async def pay(payment: Payment) -> Paid:
    """Take the money; every attempt, and every second click, has the same key."""
    body = {"card": payment.card, "amount_cents": payment.amount_cents}
    paid = await ask_bank(f"payment-of-{payment.order}", body)
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

"""A bank that takes money once per idempotency key, and loses an answer now and then."""

from __future__ import annotations

from typing import Any

from examples.patterns.serving import Call, LostAnswer, Refusal, Reply, Service, route

SCENES = {
    "An impatient customer presses twice: one payment": [
        {"order": "ord-1", "card": "visa-4242", "amount_cents": 4900},
        {"order": "ord-1", "card": "visa-4242", "amount_cents": 4900},
    ],
    "The money is taken, but the answer is lost: the retry finds the payment": [
        {"order": "ord-2", "card": "visa-lost", "amount_cents": 1200}
    ],
    "The same order with another amount is a mistake, and takes nothing": [
        {"order": "ord-1", "card": "visa-4242", "amount_cents": 9900}
    ],
    "Declined: asked once, and never again by itself": [
        {"order": "ord-3", "card": "visa-0002", "amount_cents": 700}
    ],
    "The next payment is number 3: so far, money was taken twice": [
        {"order": "ord-4", "card": "visa-4242", "amount_cents": 300}
    ],
}


class Bank(Service):
    """Payments, by their keys."""

    host = "bank"

    def __init__(self) -> None:
        super().__init__()
        self.payments: dict[str, dict[str, Any]] = {}

    @route("POST", "/payments")
    def pay(self, call: Call) -> Reply:
        """Take the money, or answer again for a key that is known."""
        key, body = call.headers["idempotency-key"], call.body
        if body["card"] == "visa-0002":
            raise Refusal(402, "declined", "the card was declined")
        is_known = key in self.payments
        payment = self.payments.setdefault(
            key, {**body, "id": f"pay-{len(self.payments) + 1}"}
        )
        if payment["amount_cents"] != body["amount_cents"]:
            raise Refusal(422, "key_reused", "this key was used for another payment")
        if body["card"] == "visa-lost" and not is_known:
            raise LostAnswer
        return Reply({"id": payment["id"], "amount_cents": payment["amount_cents"]}, 201)


def services() -> list[Service]:
    """Return the bank, new."""
    return [Bank()]

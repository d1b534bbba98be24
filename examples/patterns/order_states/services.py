"""What an order needs on its way: somebody who takes the money, and a warehouse."""

from __future__ import annotations

from typing import Any

from examples.patterns.serving import Call, Input, Refusal, Reply, Service, route


def order(number: str, *events: dict[str, Any]) -> Input:
    """Return the input of an order, and what happens to it, in this order."""
    return {"order": number, "total": 40, "events": list(events)}


def event(name: str, to: str = "", **payload: Any) -> dict[str, Any]:
    """Return an event, and the state that it leads to; none where it is refused."""
    return {"name": name, "to": to, "payload": payload}


PAY = event("pay", to="paid", method="card-7", amount=40)
PROCESS = event("process", to="processing")
SHIP = event("ship", to="shipped")
DELIVER = event("deliver", to="delivered")
SCENES = {
    "Paid, packed, sent, delivered": [order("A-1", PAY, PROCESS, SHIP, DELIVER)],
    "Cancelled before anybody has paid": [order("A-2", event("cancel", to="cancelled"))],
    "Cancelled while it is packed: the money goes back": [
        order("A-3", PAY, PROCESS, event("cancel", to="refunded"))
    ],
    "Too little money, and a cancel of what is on its way, are refused": [
        order(
            "A-4",
            event("pay", method="card-7", amount=39),
            *(PAY, PROCESS, SHIP),
            event("cancel"),
        )
    ],
    "Delivered, but broken: the money goes back; to be lost it is too late": [
        order(
            "A-5",
            *(PAY, PROCESS, SHIP, DELIVER),
            event("refund", reason="lost"),
            event("refund", to="refunded", reason="broken"),
        )
    ],
    "The card is declined: the order is cancelled": [
        order("A-6", event("pay", to="cancelled", method="card-0", amount=40))
    ],
}


class Payments(Service):
    """Takes money, and gives it back."""

    host = "payments"

    def __init__(self, seen: list[str]) -> None:
        super().__init__(seen)
        self.charge_count = 0

    @route("POST", "/charges")
    def charge(self, call: Call) -> Reply:
        """Take money."""
        if call.body["method"] == "card-0":
            raise Refusal(402, "declined", "the card was declined")
        self.charge_count += 1
        return Reply({"id": f"ch-{self.charge_count}"}, 201)

    @route("POST", "/refunds")
    def refund(self, call: Call) -> Reply:
        """Give the money of a charge back."""
        return Reply({"id": call.body["charge"].replace("ch", "re")}, 201)


class Warehouse(Service):
    """Packs orders."""

    host = "warehouse"

    @route("POST", "/reservations")
    def reserve(self, call: Call) -> Reply:
        """Put the goods of an order aside."""
        return Reply({"is_complete": True}, 201)


def services() -> list[Service]:
    """Return both, new."""
    seen: list[str] = []
    return [Payments(seen), Warehouse(seen)]

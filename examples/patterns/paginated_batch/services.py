"""A list of orders in pages, and a billing service that is not always in the mood."""

from __future__ import annotations

from examples.patterns.serving import Call, Refusal, Reply, Service, route

SCENES = {
    "October: seven orders on three pages, one of them cannot be billed": [
        {"month": "2025-10"}
    ],
    "October again: no order is billed twice": [{"month": "2025-10"}],
    "A month without orders": [{"month": "2025-11"}],
    "The second page of September cannot be read": [{"month": "2025-09"}],
}
PAGE_SIZE = 3
MONTHS = {
    "2025-09": [f"ord-{number}" for number in range(1, 5)],
    "2025-10": [f"ord-{number}" for number in range(11, 18)],
}


class Orders(Service):
    """Orders by month; `after` is the last order of the page before."""

    host = "orders"

    @route("GET", "/orders")
    def page(self, call: Call) -> Reply:
        """Answer with one page, and where the next one begins."""
        orders = MONTHS.get(call.query["month"], [])
        after = call.query.get("after")
        if call.query["month"] == "2025-09" and after is not None:
            raise Refusal(500, "broken", "this page cannot be read")
        start = 0 if after is None else orders.index(after) + 1
        page, rest = orders[start : start + PAGE_SIZE], orders[start + PAGE_SIZE :]
        found = [{"id": order, "total_cents": 100 * int(order[4:])} for order in page]
        return Reply({"orders": found, "next": page[-1] if rest else None})


class Billing(Service):
    """Makes one invoice per idempotency key. `ord-12` makes it stumble once, and the
    customer of `ord-15` has no address."""

    host = "billing"

    def __init__(self, seen: list[str]) -> None:
        super().__init__(seen)
        self.keys: set[str] = set()
        self.stumbled = False

    @route("POST", "/invoices")
    def invoice(self, call: Call) -> Reply:
        """Make an invoice, or answer with the one that was made under this key."""
        key, order = call.headers["idempotency-key"], call.body["order"]
        if order == "ord-15":
            raise Refusal(422, "no_address", "the customer has no address")
        if order == "ord-12" and not self.stumbled:
            self.stumbled = True
            raise Refusal(503, "busy", "try again")
        status = 200 if key in self.keys else 201
        self.keys.add(key)
        return Reply({"id": f"inv-{order[4:]}"}, status)


def services() -> list[Service]:
    """Return both, new."""
    seen: list[str] = []
    return [Orders(seen), Billing(seen)]

"""Four services that an order needs: inventory, orders, stock, notification.

The warehouse has one teapot fewer than the inventory believes: an order for all of them
gets as far as the picking, and everything before it has to be undone.
"""

from __future__ import annotations

from examples.patterns.serving import Call, Refusal, Reply, Service, route

SCENES = {
    "Two kettles: all four take part": [
        {"customer": "ada@example.com", "sku": "kettle", "quantity": 2}
    ],
    "Three teapots: one is broken, so the order is undone, the latest step first": [
        {"customer": "ada@example.com", "sku": "teapot", "quantity": 3}
    ],
    "Notification is down for this customer: the order stands all the same": [
        {"customer": "nobody@example.com", "sku": "teapot", "quantity": 2}
    ],
}


class Inventory(Service):
    """What may be sold; a reservation keeps it from others."""

    host = "inventory"

    def __init__(self, seen: list[str]) -> None:
        super().__init__(seen)
        self.free = {"kettle": 5, "teapot": 3}
        self.reservations: dict[str, tuple[str, int]] = {}
        self.reservation_count = 0

    @route("POST", "/reservations")
    def reserve(self, call: Call) -> Reply:
        sku, quantity = call.body["sku"], call.body["quantity"]
        if self.free.get(sku, 0) < quantity:
            raise Refusal(409, "sold_out", f"{self.free.get(sku, 0)} of {sku} are left")
        self.free[sku] -= quantity
        self.reservation_count += 1
        number = f"res-{self.reservation_count}"
        self.reservations[number] = sku, quantity
        return Reply({"id": number, "unit_cents": 2450}, 201)

    @route("DELETE", "/reservations/{id}")
    def release(self, call: Call) -> Reply:
        sku, quantity = self.reservations.pop(call.params["id"], ("", 0))
        self.free[sku] = self.free.get(sku, 0) + quantity
        return Reply({"released": quantity})


class Orders(Service):
    """The order book."""

    host = "orders"

    def __init__(self, seen: list[str]) -> None:
        super().__init__(seen)
        self.status: dict[str, str] = {}

    @route("POST", "/orders")
    def create(self, call: Call) -> Reply:
        number = f"ord-{len(self.status) + 1}"
        self.status[number] = "open"
        return Reply({"id": number, "total_cents": call.body["total_cents"]}, 201)

    @route("POST", "/orders/{id}/cancel")
    def cancel(self, call: Call) -> Reply:
        self.status[call.params["id"]] = "cancelled"
        return Reply({"id": call.params["id"], "status": "cancelled"})


class Stock(Service):
    """The shelves: what is really there."""

    host = "stock"

    def __init__(self, seen: list[str]) -> None:
        super().__init__(seen)
        self.on_shelf = {"kettle": 5, "teapot": 2}
        self.picked: dict[str, tuple[str, int]] = {}

    @route("POST", "/pickings")
    def pick(self, call: Call) -> Reply:
        sku, quantity = call.body["sku"], call.body["quantity"]
        if self.on_shelf[sku] < quantity:
            raise Refusal(409, "missing", f"{self.on_shelf[sku]} of {sku} are on the shelf")
        self.on_shelf[sku] -= quantity
        number = f"p-{len(self.picked) + 1}"
        self.picked[number] = sku, quantity
        return Reply({"id": number}, 201)

    @route("DELETE", "/pickings/{id}")
    def put_back(self, call: Call) -> Reply:
        sku, quantity = self.picked[call.params["id"]]
        self.on_shelf[sku] += quantity
        return Reply({"put_back": quantity})


class Notification(Service):
    """Messages to customers."""

    host = "notification"

    @route("POST", "/messages")
    def send(self, call: Call) -> Reply:
        if call.body["to"].startswith("nobody@"):
            raise Refusal(503, "unreachable", "their mail server does not answer")
        return Reply({"accepted": True}, 202)


def services() -> list[Service]:
    """Return all four, new."""
    seen: list[str] = []
    return [Inventory(seen), Orders(seen), Stock(seen), Notification(seen)]

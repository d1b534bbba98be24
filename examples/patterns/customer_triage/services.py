"""What triage and the departments ask: a language service, and the shop's books."""

from __future__ import annotations

from examples.patterns.serving import Call, Refusal, Reply, Service, route

SCENES = {
    "Charged twice for a lamp: billing, then refunds": [
        {"order": "ord-1", "text": "You charged me twice!"}
    ],
    "Charged twice for a sofa: billing, then disputes, as it is much money": [
        {"order": "ord-2", "text": "You charged me twice!"}
    ],
    "A broken radio in warranty: technical, then replacement": [
        {"order": "ord-3", "text": "It is broken."}
    ],
    "A broken lamp out of warranty: technical": [
        {"order": "ord-1", "text": "It is broken."}
    ],
    "A broken clock that was never paid for: technical hands it over to billing": [
        {"order": "ord-4", "text": "It is broken."}
    ],
    "A case that both departments hand to each other is given up": [
        {"order": "ord-5", "text": "It is broken."}
    ],
    "Nobody can tell what it is about: triage asks back": [
        {"order": "ord-1", "text": "Hello?"}
    ],
    "No such order": [{"order": "ord-9", "text": "It is broken."}],
}
TOPICS = {"charged": "billing", "invoice": "billing", "broken": "technical"}
SOLD = {
    "ord-1": ("lamp", 3900),
    "ord-2": ("sofa", 89900),
    "ord-3": ("radio", 5900),
    "ord-4": ("clock", 2900),
    "ord-5": ("piano", 4900),
}
UNPAID = ("clock", "piano")


class Language(Service):
    """Tells what a text is about, by the words in it."""

    host = "language"

    @route("POST", "/topics")
    def topic(self, call: Call) -> Reply:
        """Answer with the topic of a text."""
        text = call.body["text"].lower()
        topics = [topic for word, topic in TOPICS.items() if word in text]
        return Reply({"topic": topics[0] if topics else "unknown"})


class Shop(Service):
    """Orders, what they cost, and what was sold."""

    host = "shop"

    def find(self, call: Call) -> tuple[str, str, int]:
        """Return number, goods and price of the order that a call names."""
        order = call.params["id"]
        if order not in SOLD:
            raise Refusal(404, "unknown", "there is no such order")
        sku, amount_cents = SOLD[order]
        return order[4:], sku, amount_cents

    @route("GET", "/orders/{id}/invoice")
    def invoice(self, call: Call) -> Reply:
        """Answer with an order's invoice."""
        number, sku, amount_cents = self.find(call)
        return Reply(
            {
                "id": f"inv-{number}",
                "amount_cents": amount_cents,
                "is_paid": sku not in UNPAID,
                "is_for_repair": sku == "piano",
            }
        )

    @route("GET", "/orders/{id}/device")
    def device(self, call: Call) -> Reply:
        """Answer with what was sold, and whether its warranty still holds."""
        _, sku, _ = self.find(call)
        is_paid = sku not in UNPAID
        return Reply({"sku": sku, "in_warranty": sku != "lamp", "is_paid": is_paid})

    @route("POST", "/invoices/{id}/refund")
    def refund(self, call: Call) -> Reply:
        """Give the money back."""
        return Reply({"id": f"ref-{call.params['id'][4:]}"}, 201)

    @route("POST", "/parcels")
    def send(self, call: Call) -> Reply:
        """Send goods."""
        return Reply({"id": f"parcel-{call.body['sku']}"}, 201)


def services() -> list[Service]:
    """Return both, new."""
    seen: list[str] = []
    return [Language(seen), Shop(seen)]

"""Who writes (crm), what about (language), and where it goes (desk)."""

from __future__ import annotations

from examples.patterns.serving import Call, Refusal, Reply, Service, route

SCENES = {
    "A refund: billing gets it, with the order it is about": [
        {"customer": "tomas", "text": "I want my money back, the lamp came broken."}
    ],
    "A VIP with the same wish: her account manager, at once": [
        {"customer": "maren", "text": "I want my money back, the lamp came broken."}
    ],
    "A technical question: support": [
        {"customer": "tomas", "text": "The app shows an error when I log in."}
    ],
    "Nobody can tell what it is about: a person reads it": [
        {"customer": "tomas", "text": "Hello?"}
    ],
    "Somebody that the crm does not know": [{"customer": "nobody", "text": "Hello?"}],
}
CUSTOMERS = {
    "maren": {"name": "Maren Holt", "vip": True, "manager": "ingrid"},
    "tomas": {"name": "Tomás Rivera", "vip": False, "manager": None},
}
WORDS = {"refund": ["money back", "refund"], "technical": ["error", "crash", "log in"]}


class Crm(Service):
    """Customers."""

    host = "crm"

    @route("GET", "/customers/{id}")
    def customer(self, call: Call) -> Reply:
        """Answer with a customer."""
        if call.params["id"] not in CUSTOMERS:
            raise Refusal(404, "unknown", "there is no such customer")
        return Reply(CUSTOMERS[call.params["id"]])

    @route("GET", "/customers/{id}/last-order")
    def last_order(self, call: Call) -> Reply:
        """Answer with the customer's latest order."""
        return Reply({"id": "ord-502", "total_cents": 7900})


class Language(Service):
    """Tells what a text is about, by the words in it."""

    host = "language"

    @route("POST", "/intents")
    def intent(self, call: Call) -> Reply:
        """Answer with the likeliest intent."""
        text = call.body["text"].lower()
        hits = {name: sum(w in text for w in words) for name, words in WORDS.items()}
        best = max(hits, key=lambda name: hits[name])
        return Reply({"name": best, "confidence": 0.9 if hits[best] else 0.3})


class Desk(Service):
    """Queues of tickets, by who works on them."""

    host = "desk"

    def __init__(self, seen: list[str]) -> None:
        super().__init__(seen)
        self.ticket_count = 0

    @route("POST", "/queues/{queue}/tickets")
    def open_ticket(self, call: Call) -> Reply:
        """Put a ticket into a queue."""
        self.ticket_count += 1
        return Reply({"id": f"{call.params['queue']}-{self.ticket_count}"}, 201)


def services() -> list[Service]:
    """Return all three, new."""
    seen: list[str] = []
    return [Crm(seen), Language(seen), Desk(seen)]

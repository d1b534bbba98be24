"""A catalog that can be relied on, and an exchange service that cannot.

The exchange answers its first call, refuses the next three, and is well again after that:
whoever leaves it alone for a while finds it so.
"""

from __future__ import annotations

from examples.patterns.serving import Call, Pause, Refusal, Reply, Service, route

KETTLE = {"sku": "kettle", "currency": "EUR"}
SCENES = {
    "The exchange answers": [KETTLE],
    "It goes down: three failures, and an estimate for each": [KETTLE, KETTLE, KETTLE],
    "The breaker is open: the exchange is not even asked": [KETTLE, KETTLE],
    "After two seconds one call is let through, and closes it": [
        Pause(2.1),
        KETTLE,
        KETTLE,
    ],
    "What the catalog does not know is nobody's outage": [
        {"sku": "nothing", "currency": "EUR"}
    ],
}


class Catalog(Service):
    """Prices in dollars."""

    host = "catalog"

    @route("GET", "/prices/{sku}")
    def price(self, call: Call) -> Reply:
        """Answer with a price."""
        if call.params["sku"] != "kettle":
            raise Refusal(404, "unknown", "there is no such article")
        return Reply({"usd": 50})


class Exchange(Service):
    """Rates of the dollar."""

    host = "exchange"

    def __init__(self, seen: list[str]) -> None:
        super().__init__(seen)
        self.call_count = 0

    @route("GET", "/rates/{currency}")
    def rate(self, call: Call) -> Reply:
        """Answer with today's rate, on a good day."""
        self.call_count += 1
        if 2 <= self.call_count <= 4:
            raise Refusal(503, "down", "the exchange is closed for repairs")
        rate = {"EUR": 0.92, "GBP": 0.79, "JPY": 151.2}[call.params["currency"]]
        return Reply({"rate": rate, "as_of": "2025-11-21"})


def services() -> list[Service]:
    """Return both, new."""
    seen: list[str] = []
    return [Catalog(seen), Exchange(seen)]

"""What the examples of patterns answer, and what their services see meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Told:
    """One answer: the body, or the error's code, and the calls that were made for it.

    Attributes:
        any_order: Of what is expected: the calls may come in another order.
    """

    status: int
    said: Any
    calls: list[str]
    any_order: bool = False

    def comparable(self, expected: Told) -> tuple[int, Any, list[str]]:
        """Return what has to be equal to the same of `expected`."""
        calls = sorted(self.calls) if expected.any_order else self.calls
        return self.status, self.said, calls

    def as_twin(self, expected: Told) -> tuple[Any, list[str]]:
        """The same for a twin, which has no status, and errors of its own."""
        status, said, calls = self.comparable(expected)
        return ("failed" if not 200 <= status < 400 else said), calls


def ok(said: Any, *calls: str, status: int = 200, any_order: bool = False) -> Told:
    """Return an answer with a body."""
    return Told(status, said, sorted(calls) if any_order else list(calls), any_order)


def refused(status: int, code: str, *calls: str, any_order: bool = False) -> Told:
    """Return an answer with an error."""
    return Told(status, code, sorted(calls) if any_order else list(calls), any_order)


TOLD: dict[str, dict[str, list[Told]]] = {
    "order_saga": {
        "Two kettles: all four take part": [
            ok(
                {"order": "ord-1", "total_cents": 4900, "picking": "p-1", "notified": True},
                "POST inventory/reservations",
                "POST orders/orders",
                "POST stock/pickings",
                "POST notification/messages",
            )
        ],
        "Three teapots: one is broken, so the order is undone, the latest step first": [
            refused(
                409,
                "connector.http.409",
                "POST inventory/reservations",
                "POST orders/orders",
                "POST stock/pickings",
                "POST orders/orders/ord-2/cancel",
                "DELETE inventory/reservations/res-2",
            )
        ],
        "Notification is down for this customer: the order stands all the same": [
            ok(
                {
                    "order": "ord-3",
                    "total_cents": 4900,
                    "picking": "p-2",
                    "notified": False,
                },
                "POST inventory/reservations",
                "POST orders/orders",
                "POST stock/pickings",
                *["POST notification/messages"] * 3,
            )
        ],
    },
}

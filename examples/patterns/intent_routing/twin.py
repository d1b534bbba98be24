"""The message in Python: who and what at the same time, then a Router."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from examples.patterns.calling import call
from plait.patterns import FanOutFanIn, Retry, Route, Router, Task

AGAIN = Retry(max_attempts=2, delay_s=0.02)


@dataclass
class Message:
    """What somebody writes."""

    customer: str
    text: str


@dataclass
class Known:
    """The message, and what was found out about it."""

    message: Message
    manager: str | None
    is_vip: bool
    intent: str


async def customer_of(message: Message) -> Any:
    """Ask the crm."""
    return await call("GET", f"http://crm/customers/{message.customer}")


async def intent_of(message: Message) -> str:
    """Ask the language service; what it is not sure of is unclear."""
    found = await call("POST", "http://language/intents", {"text": message.text})
    return str(found["name"]) if found["confidence"] >= 0.6 else "unclear"


ASKING = FanOutFanIn[Message, dict[str, Any]](
    "intent-asking",
    [
        Task("customer", customer_of, timeout_s=2, retry=AGAIN, effect="read"),
        Task("intent", intent_of, timeout_s=2, retry=AGAIN, effect="read"),
    ],
)


def ticket_in(queue: str) -> Callable[[Known], Awaitable[str]]:
    """Return what opens a ticket in a queue."""

    async def open_ticket(known: Known) -> str:
        return await ticket(queue, known, known.message.text)

    return open_ticket


async def ticket(queue: str, known: Known, text: str) -> str:
    """Open a ticket and return its id."""
    body = {"customer": known.message.customer, "text": text, "urgent": known.is_vip}
    opened = await call("POST", f"http://desk/queues/{queue}/tickets", body)
    return str(opened["id"])


async def to_manager(known: Known) -> str:
    """A VIP has somebody of her own."""
    return await ticket(str(known.manager), known, known.message.text)


async def to_billing(known: Known) -> str:
    """Say which order it is about."""
    url = f"http://crm/customers/{known.message.customer}/last-order"
    order = await call("GET", url)
    return await ticket("billing", known, f"Refund of {order['id']}: {known.message.text}")


def is_vip(known: Known) -> bool:
    """Tell whether a VIP writes."""
    return known.is_vip


def is_about(intent: str) -> Callable[[Known], bool]:
    """Return whether somebody wants this."""

    def wants(known: Known) -> bool:
        return known.intent == intent

    return wants


ROUTING = Router(
    "intent-routing",
    [
        Route("vip", to_manager, is_vip, priority=10, timeout_s=2, retry=AGAIN),
        Route("refund", to_billing, is_about("refund"), timeout_s=2, retry=AGAIN),
        Route("technical", ticket_in("support"), is_about("technical"), retry=AGAIN),
    ],
    default=ticket_in("inbox"),
)


async def run(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the document returns."""
    message = Message(**given)
    found = (await ASKING.run(message)).output
    customer = found["customer"]
    known = Known(message, customer["manager"], customer["vip"], found["intent"])
    routed = await ROUTING.run(known)
    return {"route": routed.route, "intent": known.intent, "ticket": routed.output}

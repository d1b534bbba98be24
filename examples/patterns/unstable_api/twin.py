"""The price in Python: two calls at once, one of them behind a circuit breaker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from examples.patterns.calling import call
from plait.patterns import FanOutFanIn, Task
from plait.resilience import BreakerSettings, CircuitBreaker, Timeout

LAST_YEAR = {"EUR": 0.9, "GBP": 0.8, "JPY": 150.0}
# One for the service, shared by all that call it.
EXCHANGE = CircuitBreaker(BreakerSettings(failure_threshold=3, open_s=2), name="exchange")


@dataclass
class Wanted:
    """Which price, in which currency."""

    sku: str
    currency: str


async def price_of(wanted: Wanted) -> Any:
    """Ask the catalog."""
    return (await call("GET", f"http://catalog/prices/{wanted.sku}"))["usd"]


@EXCHANGE
@Timeout(0.5)
async def rate_of(currency: str) -> Any:
    """Ask the exchange, unless it is left alone just now."""
    return await call("GET", f"http://exchange/rates/{currency}")


async def rate_or_estimate(wanted: Wanted) -> Any:
    """Return today's rate, or last year's average."""
    try:
        return await rate_of(wanted.currency)
    except Exception:  # whatever it is: an estimate is better than nothing
        return {"rate": LAST_YEAR[wanted.currency], "as_of": None}


PRICE = FanOutFanIn[Wanted, dict[str, Any]](
    "unstable-api",
    [Task("price", price_of, timeout_s=2), Task("rate", rate_or_estimate)],
)


async def run(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the document returns."""
    wanted = Wanted(**given)
    found = (await PRICE.run(wanted)).output
    return {
        "amount": found["price"] * found["rate"]["rate"],
        "currency": wanted.currency,
        "is_estimate": found["rate"]["as_of"] is None,
    }

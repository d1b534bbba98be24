"""The billing run in Python: an AsyncIteratorLoop over the pages of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from examples.patterns.calling import CallFailed, call, call_and_status
from plait.patterns import AsyncIteratorLoop, Retry
from plait.resilience import RetryPolicy

PAGE_SIZE = 3


@dataclass
class Billed:
    """What has been done so far."""

    pages: int = 0
    billed: int = 0
    made: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)


@RetryPolicy(max_attempts=3, delay_s=0.02)
async def page_after(month: str, last: str | None) -> Any:
    """Fetch one page."""
    query = {"month": month} if last is None else {"month": month, "after": last}
    return await call("GET", f"http://orders/orders?{urlencode(query)}")


async def orders_of(month: str) -> AsyncIterator[dict[str, Any]]:
    """Yield all orders of a month; a page is fetched when the one before is used up."""
    last: str | None = None
    while True:
        page = await page_after(month, last)
        for order in page["orders"]:
            yield order
        last = page["next"]
        if last is None:
            return


async def bill(order: dict[str, Any]) -> dict[str, Any]:
    """Make an invoice; what cannot be billed is named, and stops nobody else."""
    body = {"order": order["id"], "amount_cents": order["total_cents"]}
    key = {"Idempotency-Key": f"invoice-{order['id']}"}  # a second run bills nobody twice
    try:
        status, _ = await call_and_status("POST", "http://billing/invoices", body, key)
    except CallFailed as error:
        if not error.is_final:
            raise
        return {"order": order["id"], "why": error.code}
    return {"is_new": status == 201}


def summed_up(before: Billed | None, page: list[dict[str, Any]]) -> Billed:
    """Add a page to what has been done."""
    so_far = before or Billed()
    done = [one for one in page if "why" not in one]
    return Billed(
        pages=so_far.pages + 1,
        billed=so_far.billed + len(done),
        made=so_far.made + sum(one["is_new"] for one in done),
        failed=[*so_far.failed, *(one for one in page if "why" in one)],
    )


BILLING = AsyncIteratorLoop[dict[str, Any], Billed](
    "paginated-batch",
    orders_of,
    bill,
    reduce=summed_up,
    page_size=PAGE_SIZE,
    max_concurrency=4,
    retry=Retry(max_attempts=3, delay_s=0.02),
)


async def run(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the document returns."""
    done = (await BILLING.run(given["month"])).output
    return {
        "pages": done.pages,
        "billed": done.billed,
        "made": done.made,
        "failed": done.failed,
    }

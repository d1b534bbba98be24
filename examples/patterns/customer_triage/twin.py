"""The case in Python: a HierarchicalRouter over three levels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from examples.patterns.calling import call
from plait.patterns import Desk, HierarchicalRouter, Retry, Transfer

AGAIN = Retry(max_attempts=2, delay_s=0.02)


@dataclass
class Case:
    """What a customer says, and what the desks before have found out."""

    order: str
    text: str
    found: dict[str, Any] | None = None


async def triage(case: Case) -> Transfer | str:
    """Read the message."""
    topic = (await call("POST", "http://language/topics", {"text": case.text}))["topic"]
    if topic in ("billing", "technical"):
        return Transfer(topic, case)
    return "Please tell us a little more."


async def billing(case: Case) -> Transfer | str:
    """Look at the invoice; much money goes to disputes."""
    invoice = await call("GET", f"http://shop/orders/{case.order}/invoice")
    if invoice["is_for_repair"]:
        return Transfer("technical", case)
    if invoice["amount_cents"] > 10_000:
        return Transfer("disputes", replace(case, found=invoice))
    if invoice["is_paid"]:
        return Transfer("refunds", replace(case, found=invoice))
    return f"{invoice['id']} is not paid yet."


def disputes(case: Case) -> str:
    """A person decides."""
    return f"We look into {_found(case)['id']}."


async def refunds(case: Case) -> str:
    """Give the money back."""
    refund = await call("POST", f"http://shop/invoices/{_found(case)['id']}/refund")
    return f"{refund['id']} is on its way."


async def technical(case: Case) -> Transfer | str:
    """Look at what was sold, and at its warranty; what is not paid is not theirs."""
    device = await call("GET", f"http://shop/orders/{case.order}/device")
    if not device["is_paid"]:
        return Transfer("billing", case)
    if device["in_warranty"]:
        return Transfer("replacement", replace(case, found=device))
    return f"Send your {device['sku']} in to be repaired."


async def replacement(case: Case) -> str:
    """Send a new one."""
    parcel = await call("POST", "http://shop/parcels", {"sku": _found(case)["sku"]})
    return f"A new one is under way, {parcel['id']}."


def _found(case: Case) -> dict[str, Any]:
    assert case.found is not None
    return case.found


TRIAGE = HierarchicalRouter[Case, str](
    "customer-triage",
    [
        Desk("triage", triage, to=("billing", "technical"), retry=AGAIN, effect="read"),
        Desk("billing", billing, to=("technical", "disputes", "refunds"), retry=AGAIN),
        Desk("disputes", disputes),
        Desk("refunds", refunds, retry=AGAIN),
        Desk("technical", technical, to=("billing", "replacement"), retry=AGAIN),
        Desk("replacement", replacement, retry=AGAIN),
    ],
)


async def run(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the document returns."""
    outcome = await TRIAGE.run(Case(**given))
    return {"path": list(outcome.path), "answer": outcome.output}

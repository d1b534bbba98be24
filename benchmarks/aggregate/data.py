"""What the upstream answers, and what every peer must make of it."""

from __future__ import annotations

from typing import Any, Final

VIP_ID: Final = "1001"
PLAIN_ID: Final = "1002"
INVALID_ID: Final = "not-a-number"
CALL_TIMEOUT_MS: Final = 800


def user(user_id: str) -> dict[str, Any]:
    """Return the reply of /api/users/{user_id}."""
    return {
        "id": user_id,
        "name": "Maren Holt",
        "email": "maren.holt@example.com",
        "vip": user_id == VIP_ID,
        "address": {"street": "Harbour Road 12", "city": "Bergen", "country": "NO"},
    }


def orders(user_id: str) -> dict[str, Any]:
    """Return the reply of /api/orders?user_id=…"""
    return {
        "orders": [
            {
                "id": f"ord-{user_id}-{number}",
                "placed_on": f"2025-0{number}-17",
                "status": "delivered",
                "total_cents": 1290 * number,
                "items": [{"sku": "kb-75", "title": "Keyboard, 75 %", "quantity": number}],
            }
            for number in range(1, 6)
        ]
    }


def offers(user_id: str) -> dict[str, Any]:
    """Return the reply of /api/offers/{user_id}."""
    texts = ["Free shipping", "Ten percent off desks", "Early access to the sale"]
    return {
        "user_id": user_id,
        "offers": [{"id": n, "text": t} for n, t in enumerate(texts)],
    }


def composite(user_id: str) -> dict[str, Any]:
    """Return what every peer answers for /profiles/{user_id}."""
    return {
        "user": user(user_id),
        "orders": orders(user_id)["orders"],
        "offers": offers(user_id) if user_id == VIP_ID else None,
    }

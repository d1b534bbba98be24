"""The orders service: what somebody bought, and is about to buy.

GET /api/orders?user_id=…       orders, newest first
GET /api/carts/{user_id}        the open cart
"""

from __future__ import annotations

import sqlite3
from typing import Any

from service import Refusal, Reply, Request, Route, Service, one_row, rows, run_service

# A cart is an order that has not been placed yet.
SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    placed_on TEXT,
    status TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS items (
    order_id TEXT NOT NULL REFERENCES orders (id),
    sku TEXT NOT NULL,
    title TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    unit_cents INTEGER NOT NULL,
    PRIMARY KEY (order_id, sku)
);
INSERT OR IGNORE INTO orders VALUES
    ('ord-501', '1001', '2025-03-02', 'delivered'),
    ('ord-502', '1001', '2025-04-18', 'shipped'),
    ('ord-503', '1002', '2025-02-11', 'delivered'),
    ('ord-504', '1003', '2025-04-30', 'paid'),
    ('cart-91', '1001', NULL, 'cart'),
    ('cart-92', '1002', NULL, 'cart'),
    ('cart-93', '1003', NULL, 'cart');
INSERT OR IGNORE INTO items VALUES
    ('ord-501', 'kb-75', 'Keyboard, 75 %', 1, 12900),
    ('ord-501', 'cap-pbt', 'Keycaps, PBT', 1, 4500),
    ('ord-502', 'lamp-2', 'Desk lamp', 2, 3950),
    ('ord-503', 'mug-blue', 'Mug, blue', 4, 890),
    ('ord-504', 'chair-9', 'Office chair', 1, 34900),
    ('cart-91', 'desk-160', 'Desk, 160 cm', 1, 27900),
    ('cart-91', 'mat-xl', 'Desk mat, XL', 1, 2490),
    ('cart-92', 'mug-blue', 'Mug, blue', 2, 890);
"""


def list_orders(connection: sqlite3.Connection, request: Request) -> Reply:
    """Answer with a user's placed orders; an unknown user simply has none."""
    user_id = request.query.get("user_id")
    if not user_id:
        raise Refusal(400, "user_id_missing", "the query needs user_id")
    statement = (
        "SELECT id, placed_on, status FROM orders "
        "WHERE user_id = ? AND status <> 'cart' ORDER BY placed_on DESC"
    )
    orders = [filled(connection, order) for order in rows(connection, statement, user_id)]
    return Reply({"orders": orders})


def get_cart(connection: sqlite3.Connection, request: Request) -> Reply:
    """Answer with a user's cart, which may be empty."""
    user_id = request.params["user_id"]
    statement = "SELECT id, user_id FROM orders WHERE user_id = ? AND status = 'cart'"
    cart = one_row(connection, f"cart of user {user_id}", statement, user_id)
    return Reply(filled(connection, cart))


def filled(connection: sqlite3.Connection, order: dict[str, Any]) -> dict[str, Any]:
    """Return `order` with its items and their total."""
    statement = (
        "SELECT sku, title, quantity, unit_cents FROM items "
        "WHERE order_id = ? ORDER BY rowid"
    )
    items = rows(connection, statement, order["id"])
    total_cents = sum(item["quantity"] * item["unit_cents"] for item in items)
    return {**order, "items": items, "total_cents": total_cents}


ORDERS = Service(
    name="orders",
    schema=SCHEMA,
    routes=[
        Route("GET", "/api/orders", list_orders),
        Route("GET", "/api/carts/{user_id}", get_cart),
    ],
    latency_ms=70,
)

if __name__ == "__main__":
    run_service(ORDERS)

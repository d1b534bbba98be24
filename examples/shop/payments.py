"""The payments service: what somebody owes, and taking their money once.

    GET  /api/invoices?user_id=…&status=open
    GET  /api/methods?user_id=…
    GET  /api/accounts/{account}/rewards
    POST /api/payments                          needs Idempotency-Key
    GET  /api/payments/count                    requests seen, payments taken

A payment request whose key is known gets the first answer again, marked by
`Idempotent-Replay: true`; the same key with other contents is refused.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from service import Refusal, Reply, Request, Route, Service, one_row, rows, run_service

SCHEMA = """
CREATE TABLE IF NOT EXISTS invoices (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    amount_cents INTEGER NOT NULL,
    due_on TEXT NOT NULL,
    status TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS methods (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rewards (
    account TEXT PRIMARY KEY,
    tier TEXT NOT NULL,
    points INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS payments (
    number INTEGER PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    contents TEXT NOT NULL,
    request_count INTEGER NOT NULL DEFAULT 1
);
INSERT OR IGNORE INTO invoices VALUES
    ('inv-301', '1001', 7900, '2025-05-18', 'open'),
    ('inv-302', '1001', 17400, '2025-04-01', 'paid'),
    ('inv-303', '1003', 34900, '2025-05-30', 'open');
INSERT OR IGNORE INTO methods VALUES
    ('pm-11', '1001', 'card', 'Card ending in 4242'),
    ('pm-12', '1001', 'sepa', 'Account ending in 3000'),
    ('pm-13', '1002', 'card', 'Card ending in 1881'),
    ('pm-14', '1003', 'card', 'Card ending in 0005');
INSERT OR IGNORE INTO rewards VALUES
    ('acc-7001', 'gold', 4820),
    ('acc-7003', 'silver', 1310);
"""

AMOUNT_CENTS_MAX = 1_000_000


def list_invoices(connection: sqlite3.Connection, request: Request) -> Reply:
    """Answer with a user's invoices, the one due first on top."""
    statement = (
        "SELECT id, amount_cents, due_on, status FROM invoices "
        "WHERE user_id = ? AND status = coalesce(?, status) ORDER BY due_on"
    )
    query = request.query
    found = rows(connection, statement, query.get("user_id"), query.get("status"))
    return Reply({"invoices": found})


def list_methods(connection: sqlite3.Connection, request: Request) -> Reply:
    """Answer with the ways in which a user can pay."""
    statement = "SELECT id, kind, label FROM methods WHERE user_id = ? ORDER BY id"
    return Reply({"methods": rows(connection, statement, request.query.get("user_id"))})


def get_rewards(connection: sqlite3.Connection, request: Request) -> Reply:
    """Answer with an account's loyalty points."""
    account = request.params["account"]
    statement = "SELECT account, tier, points FROM rewards WHERE account = ?"
    return Reply(one_row(connection, f"account {account}", statement, account))


def post_payment(connection: sqlite3.Connection, request: Request) -> Reply:
    """Take a payment, or answer again for one that was taken under the same key."""
    key = request.headers.get("idempotency-key")
    if not key:
        raise Refusal(400, "key_missing", "a payment needs the header Idempotency-Key")
    contents = json.dumps(payment_contents(connection, request.body), sort_keys=True)
    statement = (
        "INSERT INTO payments (idempotency_key, contents) VALUES (?, ?) "
        "ON CONFLICT (idempotency_key) DO UPDATE SET request_count = request_count + 1 "
        "RETURNING number, contents, request_count"
    )
    with connection:  # one statement decides, so two requests at once cannot both pay
        (taken,) = rows(connection, statement, key, contents)
    if taken["contents"] != contents:
        raise Refusal(422, "key_reused", "this key was used for another payment")
    return payment_reply(taken)


def payment_contents(connection: sqlite3.Connection, body: Any) -> dict[str, Any]:
    """Return the checked contents of a payment request.

    Raises:
        Refusal: A part is missing, of the wrong type, or not the user's.
    """
    wanted = {"user_id": str, "method_id": str, "amount_cents": int, "reference": str}
    if not isinstance(body, dict) or any(
        type(body.get(name)) is not kind for name, kind in wanted.items()
    ):
        raise Refusal(400, "invalid", f"a payment needs {', '.join(wanted)}")
    if not 0 < body["amount_cents"] <= AMOUNT_CENTS_MAX:
        raise Refusal(400, "invalid", f"amount_cents must be 1 to {AMOUNT_CENTS_MAX}")
    statement = "SELECT id FROM methods WHERE id = ? AND user_id = ?"
    method, user = body["method_id"], body["user_id"]
    one_row(connection, f"method {method} of user {user}", statement, method, user)
    return {name: body[name] for name in wanted}


def payment_reply(taken: dict[str, Any]) -> Reply:
    """Return the answer for a payment, the same however often it is asked for."""
    contents = json.loads(taken["contents"])
    body = {
        "id": f"pay-{taken['number']}",
        "status": "captured",
        "amount_cents": contents["amount_cents"],
        "reference": contents["reference"],
    }
    is_replay = taken["request_count"] > 1
    return Reply(body, 201, {"Idempotent-Replay": "true"} if is_replay else {})


def count_payments(connection: sqlite3.Connection, request: Request) -> Reply:
    """Answer with how often payment was asked for, and how often it was taken."""
    del request
    statement = (
        "SELECT coalesce(sum(request_count), 0) AS requests, count(*) AS payments "
        "FROM payments"
    )
    return Reply(rows(connection, statement)[0])


PAYMENTS = Service(
    name="payments",
    schema=SCHEMA,
    routes=[
        Route("GET", "/api/invoices", list_invoices),
        Route("GET", "/api/methods", list_methods),
        Route("GET", "/api/accounts/{account}/rewards", get_rewards),
        Route("POST", "/api/payments", post_payment),
        Route("GET", "/api/payments/count", count_payments),
    ],
    latency_ms=50,
)

if __name__ == "__main__":
    run_service(PAYMENTS)

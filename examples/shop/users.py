"""The users service: who somebody is.

GET /api/users/{user_id}
"""

from __future__ import annotations

import sqlite3

from service import Reply, Request, Route, Service, one_row, run_service

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    vip INTEGER NOT NULL,
    account TEXT NOT NULL UNIQUE
);
INSERT OR IGNORE INTO users VALUES
    ('1001', 'Maren Holt', 'maren.holt@example.com', 1, 'acc-7001'),
    ('1002', 'Tomás Rivera', 'tomas.rivera@example.com', 0, 'acc-7002'),
    ('1003', 'Aiko Tanabe', 'aiko.tanabe@example.com', 1, 'acc-7003'),
    ('1004', 'Kwame Mensah', 'kwame.mensah@example.com', 0, 'acc-7004'),
    ('1005', 'Ingrid Solheim', 'ingrid.solheim@example.com', 0, 'acc-7005');
"""


def get_user(connection: sqlite3.Connection, request: Request) -> Reply:
    """Answer with one user."""
    user_id = request.params["user_id"]
    statement = "SELECT id, name, email, vip, account FROM users WHERE id = ?"
    user = one_row(connection, f"user {user_id}", statement, user_id)
    return Reply({**user, "vip": bool(user["vip"])})


USERS = Service(
    name="users",
    schema=SCHEMA,
    routes=[Route("GET", "/api/users/{user_id}", get_user)],
    latency_ms=40,
)

if __name__ == "__main__":
    run_service(USERS)

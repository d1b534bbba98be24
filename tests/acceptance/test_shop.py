"""The shop's services, each on its own: what the demo's figures rest on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"
PAYMENT = {"user_id": "1001", "method_id": "pm-11", "amount_cents": 500, "reference": "x"}

Ask = Callable[..., tuple[int, dict[str, str], Any]]


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ask]:
    """A running service, named by the parameter, as a function that asks it something."""
    script = str(SHOP / f"{request.param}.py")
    arguments = ["--data", str(tmp_path), "--latency-ms", "0"]
    command = [sys.executable, str(SHOP / "tether.py"), script, *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    found = re.search(r"listening on http://(\S+)", process.stdout.readline())
    assert found is not None
    address = found[1]

    def ask(
        method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        connection = HTTPConnection(address, timeout=10)
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, headers or {})
        response = connection.getresponse()
        replied = json.loads(response.read())
        connection.close()
        return response.status, dict(response.getheaders()), replied

    yield ask
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


@pytest.mark.parametrize("service", ["payments"], indirect=True)
def test_payment_with_a_known_key_is_answered_again_and_taken_once(service: Ask) -> None:
    key = {"Idempotency-Key": "k1"}
    first = service("POST", "/api/payments", PAYMENT, key)
    again = service("POST", "/api/payments", PAYMENT, key)
    assert first[0] == again[0] == 201
    assert first[2] == again[2]
    assert "Idempotent-Replay" not in first[1]
    assert again[1]["Idempotent-Replay"] == "true"
    assert service("GET", "/api/payments/count")[2] == {"requests": 2, "payments": 1}


@pytest.mark.parametrize("service", ["payments"], indirect=True)
def test_payment_is_refused_without_key_with_a_reused_key_or_a_foreign_method(
    service: Ask,
) -> None:
    key = {"Idempotency-Key": "k1"}
    assert service("POST", "/api/payments", PAYMENT)[0] == 400
    nothing, foreign = {**PAYMENT, "amount_cents": 0}, {**PAYMENT, "method_id": "pm-13"}
    assert service("POST", "/api/payments", nothing, key)[0] == 400
    assert service("POST", "/api/payments", foreign, key)[0] == 404
    assert service("GET", "/api/payments/count")[2] == {"requests": 0, "payments": 0}
    assert service("POST", "/api/payments", PAYMENT, key)[0] == 201
    assert service("POST", "/api/payments", {**PAYMENT, "amount_cents": 501}, key)[0] == 422


@pytest.mark.parametrize("service", ["orders"], indirect=True)
def test_orders_tell_items_and_totals_and_leave_the_cart_out(service: Ask) -> None:
    orders = service("GET", "/api/orders?user_id=1001")[2]["orders"]
    assert [(order["id"], order["total_cents"]) for order in orders] == [
        ("ord-502", 7900),
        ("ord-501", 17400),
    ]
    cart = service("GET", "/api/carts/1001")[2]
    assert cart["total_cents"] == sum(
        item["quantity"] * item["unit_cents"] for item in cart["items"]
    )
    assert service("GET", "/api/carts/1003")[2]["items"] == []
    assert service("GET", "/api/orders?user_id=9999")[2] == {"orders": []}


@pytest.mark.parametrize("service", ["users"], indirect=True)
def test_unknown_users_paths_and_methods_are_told_apart(service: Ask) -> None:
    assert service("GET", "/api/users/1001")[2]["vip"] is True
    assert service("GET", "/api/users/9999")[0] == 404
    assert service("GET", "/api/nothing")[0] == 404
    assert service("POST", "/api/users/1001")[0] == 405


@pytest.mark.parametrize("module", ["drawing", "service", "children"])
def test_examples_in_the_docstrings_hold(module: str) -> None:
    command = [sys.executable, "-m", "doctest", str(SHOP / f"{module}.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

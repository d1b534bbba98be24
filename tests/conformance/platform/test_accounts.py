"""Keys and users over HTTP: what admins make, and what nobody is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from plait.gateway.message import Request
from plait.security.keys import parsed
from tests.conformance.platform.test_audit import asking
from tests.conformance.platform.test_roles_over_http import PASSWORD, Known
from tests.conformance.platform.whole import whole

MANY = {f"{number:093}": "operator" for number in range(1_000)}


async def test_a_key_is_shown_once_and_counts_for_what_it_was_made_for(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path) as own:
        wanted = {"name": "ci", "role": "viewer", "grants": {"order": "operator"}}
        status, made = await own.ask("POST", "/keys", {**wanted, "expires_in": "1h"})
        assert status == 201
        found = parsed(made["key"])
        assert found is not None
        assert found[0] == made["id"]
        # Two looks at the clock.
        assert 3_590_000 < made["expires_at_ms"] - made["created_at_ms"] <= 3_600_000
        _, listed = await own.ask("GET", "/keys")
        assert [one["id"] for one in listed["keys"]] == [made["id"]]
        assert found[1] not in repr(listed)
        assert "sha256" not in repr(listed)
        _, revoked = await own.ask("DELETE", f"/keys/{made['id']}", {})
        assert revoked["revoked_at_ms"] is not None
        assert found[1] not in repr(await own.entries())


async def test_a_user_is_added_changed_and_removed_and_no_password_is_told(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path) as own:
        wanted = {"name": "Ann", "role": "editor", "password": PASSWORD}
        status, made = await own.ask("POST", "/users", wanted)
        assert (status, made["name"], made["tenant"]) == (201, "ann", "default")
        assert (await own.ask("POST", "/users", wanted))[0] == 409
        other = {"password": PASSWORD + "!"}
        status, changed = await own.ask("PUT", "/users/ann/password", other)
        assert (status, changed["password_number"]) == (200, 2)
        _, listed = await own.ask("GET", "/users")
        assert [one["name"] for one in listed["users"]] == ["ann"]
        assert (await own.ask("DELETE", "/users/ann", {}))[0] == 200
        assert (await own.ask("DELETE", "/users/ann", {}))[0] == 404
        told = repr([made, changed, listed, await own.entries()])
        assert PASSWORD not in told
        assert "argon2" not in told


async def test_what_makes_no_sense_is_refused_without_quoting_a_password(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path) as own:
        for path, body in (
            ("/keys", {"name": "ci"}),
            ("/keys", {"name": "ci", "role": "king"}),
            ("/keys", {"name": "ci", "role": "viewer", "tenant": "acme"}),
            ("/keys", {"name": "ci", "role": "viewer", "expires_in": "soon"}),
            ("/keys", {"name": "ci", "role": "viewer", "expires_in": "9" * 30 + "d"}),
            ("/keys", {"name": "\n", "role": "viewer"}),
            ("/keys", {"name": "ci", "grants": MANY}),
            ("/users", {"name": "ann", "grants": MANY, "password": PASSWORD}),
            ("/users", {"name": "ann", "role": "viewer", "password": "s3cr3t"}),
            ("/users", {"name": "a b", "role": "viewer", "password": PASSWORD}),
            ("/users", {"name": "ann", "role": "viewer", "password": 7}),
        ):
            status, told = await own.ask("POST", path, body)
            assert status == 400, (path, body, told)
            assert "s3cr3t" not in repr(told)
            assert PASSWORD not in repr(told)
        assert (await own.ask("GET", "/keys"))[1] == {"keys": []}


async def test_an_admin_makes_nothing_and_sees_nothing_of_another_tenant(
    tmp_path: Path,
) -> None:
    async with whole(tmp_path, Known()) as gateway:

        async def ask(tenant: str, method: str, path: str, body: Any = None) -> Any:
            headers = {
                b"authorization": f"Bearer admin {tenant}".encode(),
                b"content-type": b"application/json",
            }
            data = b"" if body is None else orjson.dumps(body)
            request = Request(method, f"/api/v1{path}", "", headers, data)
            reply = await gateway.handle(request)
            return reply.status, orjson.loads(reply.body)

        _, key = await ask("acme", "POST", "/keys", {"name": "ci", "role": "admin"})
        assert key["tenant"] == "acme"
        user = {"name": "bob", "role": "admin", "password": PASSWORD}
        assert (await ask("acme", "POST", "/users", user))[1]["tenant"] == "acme"
        assert (await ask("default", "GET", "/keys"))[1] == {"keys": []}
        assert (await ask("default", "GET", "/users"))[1] == {"users": []}
        for method, path, body in (
            ("DELETE", f"/keys/{key['id']}", {}),
            ("DELETE", "/users/bob", {}),
            ("PUT", "/users/bob/password", {"password": PASSWORD}),
        ):
            assert (await ask("default", method, path, body))[0] == 404
        assert len((await ask("acme", "GET", "/users"))[1]["users"]) == 1

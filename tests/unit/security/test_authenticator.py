"""The authenticator: what in a request's headers makes it whose."""

from __future__ import annotations

import asyncio

import pytest

from plait.model.caller import LOCAL, LOCAL_PROGRAM, Forbidden, require
from plait.ports.identity import Unauthenticated
from plait.security.anonymous import anybody, chosen, is_local, local_only, nobody
from plait.security.authenticator import HeaderAuthenticator, shown_in
from tests.unit.security.rooms import START_MS, FarRecords, SecurityRoom

PEER = "127.0.0.1"


def door(room: SecurityRoom, anonymous: object = nobody) -> HeaderAuthenticator:
    return HeaderAuthenticator(
        room.keys,
        room.verifier.verify,
        anonymous,  # type: ignore[arg-type]
        kept_ms=5_000,
        now_ms=room.ms,
    )


async def with_key(room: SecurityRoom, expires_at_ms: int | None = None) -> str:
    key, _ = await room.keys.create(
        "test", tenant="acme", role="editor", grants={}, expires_at_ms=expires_at_ms
    )
    return key


async def test_both_headers_carry_a_key_and_a_token() -> None:
    room = SecurityRoom()
    key = await with_key(room)
    token, _ = await room.tokens.issue((await room.keys.check(key)).caller())
    for shown in (key, token):
        for headers in (
            {"authorization": f"Bearer {shown}"},
            {"authorization": f"bearer  {shown} "},
            {"x-api-key": shown},
            {"x-api-key": shown, "authorization": f"Bearer {shown}"},
        ):
            caller = await door(room).authenticate(headers, PEER)
            assert (caller.tenant, caller.role) == ("acme", "editor")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer a, Bearer b"},
        {"authorization": ""},
        {"x-api-key": ""},
        {"x-api-key": "plait_nope"},
        {"x-api-key": "a", "authorization": "Bearer b"},
        {"x-api-key": "x" * 9_000},
        {"x-api-key": "\xff\xfe"},
        {"cookie": "session=1"},
    ],
)
async def test_everything_else_is_nobody(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await door(SecurityRoom()).authenticate(headers, PEER)
    assert caught.value.code == "request.unauthenticated"
    assert dict(caught.value.headers)["www-authenticate"].startswith("Bearer ")


async def test_a_wrong_key_is_not_taken_for_no_key() -> None:
    room = SecurityRoom()
    with pytest.raises(Unauthenticated):
        await door(room, anybody).authenticate({"x-api-key": "plait_wrong"}, PEER)
    assert await door(room, anybody).authenticate({}, PEER) == LOCAL


async def test_a_key_that_was_revoked_elsewhere_ends_within_five_seconds() -> None:
    room = SecurityRoom()
    gate, key = door(room), await with_key(room)
    headers = {"x-api-key": key}
    await gate.authenticate(headers, PEER)
    (kept,) = await room.keys.list()
    await room.keys.revoke(kept.id)
    await gate.authenticate(headers, PEER)
    room.advance(5)
    with pytest.raises(Unauthenticated):
        await gate.authenticate(headers, PEER)


async def test_a_key_that_was_revoked_here_ends_at_once() -> None:
    room = SecurityRoom()
    gate, key = door(room), await with_key(room)
    await gate.authenticate({"x-api-key": key}, PEER)
    (kept,) = await room.keys.list()
    await room.keys.revoke(kept.id)
    gate.forget()
    with pytest.raises(Unauthenticated):
        await gate.authenticate({"x-api-key": key}, PEER)


async def test_what_was_read_before_a_key_was_revoked_is_not_remembered_after_it() -> None:
    records = FarRecords()
    room = SecurityRoom(records)
    gate, key = door(room), await with_key(room)
    (kept,) = await room.keys.list()
    await room.keys.check(key)  # from now on for an hour its use is not noted
    may_tell = records.may_tell = asyncio.Event()
    under_way = asyncio.create_task(gate.authenticate({"x-api-key": key}, PEER))
    await records.was_read.wait()
    await room.keys.revoke(kept.id)
    gate.forget()
    may_tell.set()
    assert (await under_way).tenant == "acme"
    with pytest.raises(Unauthenticated):
        await gate.authenticate({"x-api-key": key}, PEER)


async def test_a_key_is_not_remembered_beyond_its_end() -> None:
    room = SecurityRoom()
    gate, key = door(room), await with_key(room, START_MS + 1_000)
    await gate.authenticate({"x-api-key": key}, PEER)
    room.advance(1)
    with pytest.raises(Unauthenticated):
        await gate.authenticate({"x-api-key": key}, PEER)


async def test_no_secret_is_remembered_in_clear() -> None:
    room = SecurityRoom()
    gate, key = door(room), await with_key(room)
    await gate.authenticate({"x-api-key": key}, PEER)
    assert key.rpartition("_")[2] not in repr(gate._kept)


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ({}, "127.0.0.1"),
        ({"host": "localhost"}, "127.0.0.1"),
        ({"host": "Gateway:8080"}, "127.0.0.1"),
        ({"host": "127.0.0.1:8080"}, "127.0.0.1"),
        ({"host": "[::1]:8080"}, "::1"),
        ({"host": "plait.localhost:80"}, "::ffff:127.0.0.1"),
        ({"host": "localhost:80", "origin": "http://localhost:80"}, "127.0.0.1"),
        ({"host": "localhost", "sec-fetch-site": "same-origin"}, "127.0.0.1"),
    ],
)
async def test_a_program_of_this_machine_needs_no_key(
    headers: dict[str, str], peer: str
) -> None:
    caller = await door(SecurityRoom(), local_only).authenticate(headers, peer)
    assert caller == LOCAL_PROGRAM


def test_without_a_key_nobody_is_an_admin_and_is_told_what_to_show() -> None:
    require(LOCAL_PROGRAM, "editor")
    with pytest.raises(Forbidden, match="lacks the role 'admin'; show a key"):
        require(LOCAL_PROGRAM, "admin")


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ({}, "10.0.0.1"),
        ({}, ""),
        ({"host": "localhost"}, "8.8.8.8"),
        ({"host": "rebound.example:8080"}, "127.0.0.1"),
        ({"host": "localhost.evil.example"}, "127.0.0.1"),
        ({"host": "127.0.0.1.evil.example"}, "127.0.0.1"),
        ({"host": "[::1"}, "127.0.0.1"),
        ({"host": "[2001:db8::1]"}, "127.0.0.1"),
        ({"host": "10.0.0.1"}, "127.0.0.1"),
        ({"host": "evil.example."}, "127.0.0.1"),
        ({"host": ""}, "127.0.0.1"),
        ({"host": "localhost", "origin": "https://evil.example"}, "127.0.0.1"),
        ({"host": "localhost:80", "origin": "http://localhost:3000"}, "127.0.0.1"),
        ({"host": "localhost", "origin": "null"}, "127.0.0.1"),
        ({"host": "localhost", "sec-fetch-site": "cross-site"}, "127.0.0.1"),
        ({"host": "localhost", "sec-fetch-site": "same-site"}, "127.0.0.1"),
        ({"host": "localhost", "x-forwarded-for": "127.0.0.1"}, "127.0.0.1"),
        ({"host": "localhost", "forwarded": "for=1.2.3.4"}, "127.0.0.1"),
        ({"host": "localhost", "via": "1.1 proxy"}, "127.0.0.1"),
        ({"host": "localhost", "x-forwarded-proto": "https"}, "127.0.0.1"),
        ({"host": "localhost", "x-real-ip": "1.2.3.4"}, "127.0.0.1"),
        ({"host": "localhost", "cf-connecting-ip": "1.2.3.4"}, "127.0.0.1"),
    ],
)
async def test_pages_of_others_and_proxies_are_not(
    headers: dict[str, str], peer: str
) -> None:
    assert not is_local(headers, peer)
    with pytest.raises(Unauthenticated):
        await door(SecurityRoom(), local_only).authenticate(headers, peer)


def test_what_the_settings_say_decides_for_requests_without_a_key() -> None:
    assert chosen(is_required=True, is_open=True) is nobody
    assert chosen(is_required=False, is_open=True) is anybody
    assert chosen(is_required=False, is_open=False) is local_only
    assert chosen(is_required=False, is_open=False, is_proxied=True) is nobody
    assert chosen(is_required=False, is_open=True, is_proxied=True) is anybody


def test_a_key_alone_in_a_header_is_what_is_shown() -> None:
    assert shown_in({"x-api-key": "k"}) == "k"

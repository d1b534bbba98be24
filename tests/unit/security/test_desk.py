"""The token desk: what is given for a password, for a key, for a refresh token."""

from __future__ import annotations

import asyncio
from base64 import b64encode, urlsafe_b64decode
from typing import Any

import orjson
import pytest

from plait.model.caller import Caller
from plait.ports.audit import Search
from plait.ports.identity import RateExceeded, Unauthenticated
from plait.ports.journal import StoreUnavailable
from plait.ports.records import Change
from plait.security.desk import TokenRefused
from plait.security.signing import OwnTokens
from plait.security.tokens import TokenVerifier
from tests.unit.security.rooms import START_MS, TOKEN_TTL_MS, SecurityRoom

PASSWORD = "correct horse battery"
HOME = "192.0.2.1"


@pytest.fixture
async def room() -> SecurityRoom:
    made = SecurityRoom()
    await made.users.add(
        "ann", PASSWORD, tenant="acme", role="editor", grants={"x": "admin"}
    )
    return made


async def logged_in(room: SecurityRoom, client: str = HOME, **form: str) -> dict[str, Any]:
    told = {"grant_type": "password", "username": "ann", "password": PASSWORD, **form}
    return dict(await room.desk.give(told, {}, client))


async def renewed(room: SecurityRoom, token: str) -> dict[str, Any]:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return dict(await room.desk.give(form, {}, HOME))


async def error_of(work: Any) -> str:
    with pytest.raises(TokenRefused) as caught:
        await work
    return str(caught.value.details["error"])


async def test_a_password_is_answered_with_a_token_of_its_user(room: SecurityRoom) -> None:
    given = await logged_in(room)
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 900)
    verified = await room.verifier.verify(given["access_token"])
    assert verified.caller == Caller("user:ann", "acme", "editor", {"x": "admin"})


async def test_a_token_ends(room: SecurityRoom) -> None:
    given = await logged_in(room)
    room.advance(TOKEN_TTL_MS / 1000 + 5)
    with pytest.raises(Unauthenticated):
        await room.verifier.verify(given["access_token"])


async def test_every_process_on_the_store_verifies_what_one_signed(
    room: SecurityRoom,
) -> None:
    given = await logged_in(room)
    other = OwnTokens(room.records, room.ms, TOKEN_TTL_MS)
    verifier = TokenVerifier([other.issuer()], room.s)
    assert (await verifier.verify(given["access_token"])).caller.subject == "user:ann"


async def test_another_store_does_not_know_the_token(room: SecurityRoom) -> None:
    given = await logged_in(room)
    with pytest.raises(Unauthenticated):
        await SecurityRoom().verifier.verify(given["access_token"])


async def test_no_private_key_and_no_token_lies_in_the_store(room: SecurityRoom) -> None:
    given = await logged_in(room)
    text = await room.kept_text()
    signing = room.tokens._signing
    assert signing is not None
    public = signing.key.public_key().public_bytes_raw()
    (kept,) = await room.records.find("token_key", None)
    assert urlsafe_b64decode(orjson.loads(kept.value)["public"]) == public
    assert signing.key.private_bytes_raw().hex() not in text
    for token in (given["access_token"], given["refresh_token"].split("_", 2)[2]):
        assert token not in text


async def test_signing_keys_are_replaced_and_old_ones_forgotten(room: SecurityRoom) -> None:
    first = await logged_in(room)
    room.advance(24 * 3_600)
    await logged_in(room)
    assert len(await room.records.find("token_key", None)) == 2
    with pytest.raises(Unauthenticated):
        await room.verifier.verify(first["access_token"])
    room.advance(24 * 3_600 + 1_000)
    await logged_in(room)
    assert len(await room.records.find("token_key", None)) == 1


async def test_a_wrong_password_and_an_unknown_name_answer_alike(
    room: SecurityRoom,
) -> None:
    said = set()
    for form in ({"password": "wrong password"}, {"username": "bob"}, {"username": "a b"}):
        with pytest.raises(TokenRefused) as caught:
            await logged_in(room, **form)
        said.add((str(caught.value), caught.value.details["error"]))
    assert said == {("the name or the password is wrong", "invalid_grant")}


async def test_an_api_key_is_answered_with_a_token_and_no_refresh_token(
    room: SecurityRoom,
) -> None:
    key, kept = await room.keys.create("ci", tenant="acme", role="viewer", grants={})
    basic = "Basic " + b64encode(f"{kept.id}:{key}".encode()).decode()
    shown: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"client_secret": key}, {}),
        ({}, {"x-api-key": key}),
        ({}, {"authorization": basic}),
    ]
    for form, headers in shown:
        form = {"grant_type": "client_credentials", **form}
        given = await room.desk.give(form, headers, HOME)
        assert "refresh_token" not in given
        verified = await room.verifier.verify(str(given["access_token"]))
        assert verified.caller.subject == f"key:{kept.id}"


async def test_a_token_does_not_outlive_the_key_that_it_was_given_for(
    room: SecurityRoom,
) -> None:
    key, _ = await room.keys.create(
        "ci", tenant="a", role="viewer", grants={}, expires_at_ms=START_MS + 60_000
    )
    form = {"grant_type": "client_credentials", "client_secret": key}
    assert (await room.desk.give(form, {}, HOME))["expires_in"] == 60


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "invalid_client"),
        ({"grant_type": "client_credentials", "client_secret": "x"}, "invalid_client"),
        ({"grant_type": "refresh_token"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "plaitr_x"}, "invalid_grant"),
        ({"grant_type": "password", "password": "x" * 2_001}, "invalid_request"),
    ],
)
async def test_what_is_no_grant_is_named_as_oauth_names_it(
    room: SecurityRoom, form: dict[str, str], error: str
) -> None:
    assert await error_of(room.desk.give(form, {}, HOME)) == error


async def test_basic_that_is_none_is_refused(room: SecurityRoom) -> None:
    form = {"grant_type": "client_credentials"}
    headers = {"authorization": "Basic !!!"}
    assert await error_of(room.desk.give(form, headers, HOME)) == "invalid_request"


async def test_a_refresh_token_counts_once_and_brings_the_next(room: SecurityRoom) -> None:
    first = await logged_in(room)
    second = await renewed(room, first["refresh_token"])
    third = await renewed(room, second["refresh_token"])
    assert len({one["refresh_token"] for one in (first, second, third)}) == 3
    verified = await room.verifier.verify(third["access_token"])
    assert verified.caller.subject == "user:ann"


async def test_a_refresh_token_that_comes_twice_ends_the_session_for_all(
    room: SecurityRoom,
) -> None:
    first = await logged_in(room)
    second = await renewed(room, first["refresh_token"])
    assert await error_of(renewed(room, first["refresh_token"])) == "invalid_grant"
    assert await error_of(renewed(room, second["refresh_token"])) == "invalid_grant"


async def test_of_two_who_show_the_same_token_at_once_one_is_answered(
    room: SecurityRoom,
) -> None:
    given = await logged_in(room)
    token = given["refresh_token"]
    answers = await asyncio.gather(
        *(renewed(room, token) for _ in range(2)), return_exceptions=True
    )
    assert sum(isinstance(one, dict) for one in answers) == 1


async def test_a_session_ends_with_its_time_its_password_and_its_user(
    room: SecurityRoom,
) -> None:
    late, changed, removed = [await logged_in(room) for _ in range(3)]
    room.advance(7 * 24 * 3_600)
    assert await error_of(renewed(room, late["refresh_token"])) == "invalid_grant"
    room.now_ms = START_MS
    await room.users.set_password("ann", "another password")
    assert await error_of(renewed(room, changed["refresh_token"])) == "invalid_grant"
    await room.users.remove("ann")
    assert await error_of(renewed(room, removed["refresh_token"])) == "invalid_grant"
    assert await room.records.find("refresh_token", None) == []


@pytest.mark.parametrize("tenant", ["acme", "default"])
async def test_whoever_is_given_a_removed_user_s_name_is_not_given_their_session(
    room: SecurityRoom, tenant: str
) -> None:
    given = await logged_in(room)
    await room.users.remove("ann", "acme")
    await room.users.add("ann", "another password", tenant=tenant, role="admin", grants={})
    assert await error_of(renewed(room, given["refresh_token"])) == "invalid_grant"
    assert await room.records.find("refresh_token", None) == []
    mine = await logged_in(room, password="another password")
    assert (await renewed(room, mine["refresh_token"]))["token_type"] == "Bearer"


async def test_users_and_sessions_of_before_users_had_ids_go_on(room: SecurityRoom) -> None:
    given = await logged_in(room)
    for kind, name in (("user", "id"), ("refresh_token", "user_id")):
        (kept,) = await room.records.find(kind, None)
        told = orjson.loads(kept.value)
        del told[name]
        change = Change(kind, kept.tenant, kept.key, orjson.dumps(told), kept.version)
        await room.records.change([change], room.ms())
    second = await renewed(room, given["refresh_token"])
    await room.users.remove("ann")
    await room.users.add("ann", PASSWORD, tenant="acme", role="admin", grants={})
    assert await error_of(renewed(room, second["refresh_token"])) == "invalid_grant"


async def test_a_session_can_be_ended_by_its_owner(room: SecurityRoom) -> None:
    given = await logged_in(room)
    await room.desk.revoke(given["refresh_token"])
    await room.desk.revoke("nonsense")
    assert await error_of(renewed(room, given["refresh_token"])) == "invalid_grant"


async def test_sessions_that_are_over_leave_the_store(room: SecurityRoom) -> None:
    for _ in range(20):
        await logged_in(room)
    room.advance(8 * 24 * 3_600)
    for _ in range(20):
        await logged_in(room)
    assert len(await room.records.find("refresh_token", None)) < 40


# -- back-off ---------------------------------------------------------------------------


async def wrong(room: SecurityRoom, client: str = HOME, name: str = "ann") -> float:
    """Try a wrong password; return how long one has to wait before it counts at all."""
    try:
        await logged_in(room, client, username=name, password="wrong password")
    except TokenRefused:
        return 0.0
    except RateExceeded as error:
        return error.retry_after_s
    raise AssertionError("a wrong password was right")


async def test_whoever_guesses_waits_longer_with_each_failure(room: SecurityRoom) -> None:
    assert [await wrong(room) for _ in range(5)] == [0.0] * 5
    waits = []
    for _ in range(11):
        wait_s = await wrong(room)
        waits.append(wait_s)
        room.advance(wait_s)
        assert await wrong(room) == 0.0
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


async def test_the_right_password_waits_too_while_somebody_guesses(
    room: SecurityRoom,
) -> None:
    for _ in range(5):
        await wrong(room)
    with pytest.raises(RateExceeded) as caught:
        await logged_in(room)
    assert ("retry-after", "1") in caught.value.headers
    room.advance(1)
    await logged_in(room)


@pytest.mark.parametrize("is_written_well", [True, False])
@pytest.mark.parametrize(
    ("grant", "field", "form"),
    [
        ("refresh_token", "refresh_token", "plaitr_{:024x}_" + "b" * 43),
        ("client_credentials", "client_secret", "plait_{:a>12}_" + "b" * 52),
    ],
)
async def test_wrong_refresh_tokens_and_keys_wait_too_and_fill_no_log(
    room: SecurityRoom, grant: str, field: str, form: str, is_written_well: bool
) -> None:
    told: list[str] = []
    for number in range(100):
        shown = form.format(number) if is_written_well else f"wrong {number}"
        try:
            await room.desk.give({"grant_type": grant, field: shown}, {}, HOME)
        except (TokenRefused, RateExceeded) as error:
            told.append(error.code)
    assert 5 <= told.count("token.refused") <= 20
    admin = Caller("user:a", role="admin")
    found: Any = await room.audit.search(admin, Search(limit=500))
    assert len(found["entries"]) == told.count("token.refused")


async def test_nobody_waits_for_wrong_keys_and_tokens_of_others_at_the_same_address(
    room: SecurityRoom,
) -> None:
    key, _ = await room.keys.create("p", tenant="acme", role="editor", grants={})
    session = await logged_in(room)
    for grant, field, wrong_one in (
        ("client_credentials", "client_secret", f"plait_{'a' * 12}_{'b' * 52}"),
        ("refresh_token", "refresh_token", f"plaitr_{'0' * 24}_{'b' * 43}"),
    ):
        told: list[str] = []
        for _ in range(8):
            try:
                await room.desk.give({"grant_type": grant, field: wrong_one}, {}, HOME)
            except (TokenRefused, RateExceeded) as error:
                told.append(error.code)
        assert told.count("token.refused") == 5
    form = {"grant_type": "client_credentials", "client_secret": key}
    await room.desk.give(form, {}, HOME)
    await renewed(room, session["refresh_token"])


async def test_programs_that_log_in_at_the_same_time_do_not_wait(
    room: SecurityRoom,
) -> None:
    key, _ = await room.keys.create("p", tenant="acme", role="editor", grants={})
    form = {"grant_type": "client_credentials", "client_secret": key}
    await asyncio.gather(*(room.desk.give(form, {}, HOME) for _ in range(50)))


async def test_others_are_let_in_while_one_address_guesses(room: SecurityRoom) -> None:
    for _ in range(6):
        await wrong(room, "203.0.113.9")
    await logged_in(room)


async def test_an_address_that_tries_many_names_waits_whatever_the_name(
    room: SecurityRoom,
) -> None:
    for number in range(20):
        assert await wrong(room, name=f"user{number}") == 0.0
    assert await wrong(room, name="yet-another") == 1


async def test_a_name_that_is_guessed_from_everywhere_waits_ten_seconds_at_most(
    room: SecurityRoom,
) -> None:
    for number in range(110):
        await wrong(room, client=f"198.51.100.{number}")
        room.advance(10)
    await wrong(room, client="203.0.113.1")
    with pytest.raises(RateExceeded) as caught:
        await logged_in(room, "203.0.113.2")
    assert caught.value.retry_after_s <= 10


async def test_who_knows_their_password_can_log_in_all_day(room: SecurityRoom) -> None:
    for _ in range(150):
        await logged_in(room)


async def test_attempts_at_the_same_time_count_each(room: SecurityRoom) -> None:
    waits = await asyncio.gather(*(wrong(room) for _ in range(30)))
    assert sum(wait == 0.0 for wait in waits) == 5


async def test_right_passwords_at_the_same_time_wait_for_each_other_and_count_all(
    room: SecurityRoom,
) -> None:
    await asyncio.gather(*(logged_in(room) for _ in range(30)))
    for number in range(40):
        await room.users.add(
            f"u{number}", PASSWORD, tenant="acme", role="viewer", grants={}
        )
    await asyncio.gather(*(logged_in(room, username=f"u{one}") for one in range(40)))


async def test_a_right_password_among_wrong_ones_brings_them_no_more_guesses(
    room: SecurityRoom,
) -> None:
    for _ in range(4):
        await wrong(room)
    # One may still be wrong; whoever comes next waits to hear whether it is.
    tried = await asyncio.gather(
        *(wrong(room) for _ in range(10)), logged_in(room), return_exceptions=True
    )
    assert tried[:10].count(0.0) == 1
    assert isinstance(tried[10], RateExceeded)


async def test_an_attempt_that_is_broken_off_counts_as_failed_and_holds_up_nobody(
    room: SecurityRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as broken:
        broken.setattr(room.users, "checked", gone)
        for _ in range(4):
            with pytest.raises(StoreUnavailable):
                await logged_in(room)
    assert await wrong(room) == 0.0
    assert await wrong(room) == 1.0
    room.advance(1)
    await logged_in(room)


async def test_only_so_many_attempts_wait_for_others(
    room: SecurityRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_check, checked = asyncio.Event(), room.users.checked

    async def late(name: str, password: str) -> Any:
        await may_check.wait()
        return await checked(name, password)

    monkeypatch.setattr(room.users, "checked", late)
    tries = [asyncio.ensure_future(logged_in(room)) for _ in range(206)]
    done, _ = await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
    assert [type(one.exception()) for one in done] == [RateExceeded]
    may_check.set()
    ended = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, dict) for one in ended) == 205


async def test_failures_are_forgotten_after_a_quarter_of_an_hour(
    room: SecurityRoom,
) -> None:
    for _ in range(5):
        await wrong(room)
    room.advance(901)
    assert [await wrong(room) for _ in range(5)] == [0.0] * 5


async def test_who_was_given_a_token_is_recorded_and_who_was_refused() -> None:
    room = SecurityRoom()
    await room.users.add("ann", PASSWORD, tenant="acme", role="viewer", grants={})
    form = {"grant_type": "password", "username": "ann", "password": PASSWORD}
    await room.desk.give(form, {}, "10.0.0.1")
    with pytest.raises(TokenRefused):
        await room.desk.give({**form, "password": "wrong"}, {}, "10.0.0.2")
    entries: list[tuple[str, ...]] = []
    for tenant in ("acme", "default"):
        found: Any = await room.audit.search(Caller("eve", tenant, "admin"), Search())
        for one in found["entries"]:
            names = ("tenant", "who", "action", "subject", "outcome", "peer")
            entries.append(tuple(one[name] for name in names))
    assert entries == [
        ("acme", "user:ann", "token.issue", "password", "done", "10.0.0.1"),
        ("default", "user:ann", "token.issue", "password", "refused", "10.0.0.2"),
    ]


async def test_a_token_that_cannot_be_recorded_is_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = SecurityRoom()
    await room.users.add("ann", PASSWORD, tenant="acme", role="viewer", grants={})

    async def gone(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(room.audit, "note", gone)
    form = {"grant_type": "password", "username": "ann", "password": PASSWORD}
    with pytest.raises(StoreUnavailable):
        await room.desk.give(form, {}, "10.0.0.1")

"""API keys: what is one, what is kept of it, and until when it counts."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.model.caller import Caller
from plait.ports.identity import Unauthenticated
from plait.ports.journal import StoreUnavailable
from plait.security import keys as keys_module
from plait.security.first_key import first_admin_key
from plait.security.kept import BadScope
from plait.security.keys import ApiKeys, UnknownKey, parsed
from plait.stores.memory.records import MemoryRecords
from tests.unit.security.rooms import START_MS, SecurityRoom

LETTERS = st.sampled_from("abcdefghijklmnopqrstuvwxyz234567")
IDS = st.text(LETTERS, min_size=12, max_size=12)
SECRETS = st.text(LETTERS, min_size=52, max_size=52)


async def made(room: SecurityRoom, **scope: object) -> str:
    given_scope = {"tenant": "default", "role": "viewer", "grants": {}, **scope}
    key, _ = await room.keys.create("test", **given_scope)  # type: ignore[arg-type]
    return key


@given(IDS, SECRETS)
def test_what_is_put_together_is_taken_apart_again(key_id: str, secret: str) -> None:
    assert parsed(f"plait_{key_id}_{secret}") == (key_id, secret)


@given(IDS, SECRETS, st.data())
def test_a_key_with_any_character_changed_is_another_or_none(
    key_id: str, secret: str, data: st.DataObject
) -> None:
    key = f"plait_{key_id}_{secret}"
    place = data.draw(st.integers(0, len(key) - 1))
    char = data.draw(st.characters().filter(lambda one: one != key[place]))
    assert parsed(key[:place] + char + key[place + 1 :]) != (key_id, secret)


@given(st.text())
def test_no_text_makes_the_parser_raise(text: str) -> None:
    found = parsed(text)
    assert found is None or text == f"plait_{found[0]}_{found[1]}"


async def test_a_key_makes_its_bearer_who_it_was_made_for() -> None:
    room = SecurityRoom()
    key, kept = await room.keys.create(
        "ci", tenant="acme", role=None, grants={"orders": "operator"}
    )
    found = await room.keys.check(key)
    assert found.caller() == Caller(f"key:{kept.id}", "acme", None, {"orders": "operator"})


async def test_no_key_lies_in_the_store() -> None:
    room = SecurityRoom()
    key = await made(room)
    await room.keys.check(key)
    assert key.rpartition("_")[2] not in await room.kept_text()


async def test_two_keys_have_nothing_in_common() -> None:
    room = SecurityRoom()
    first, second = await made(room), await made(room)
    assert parsed(first) is not None
    assert not set(first.split("_")[1:]) & set(second.split("_")[1:])


async def test_a_wrong_secret_an_unknown_id_and_no_key_answer_alike() -> None:
    room = SecurityRoom()
    key = await made(room)
    swapped = key[:-1] + ("a" if key[-1] != "a" else "b")
    said = set()
    for wrong in (swapped, "plait_" + "a" * 12 + "_" + "b" * 52, "plait_x", "", "\ud800"):
        with pytest.raises(Unauthenticated) as caught:
            await room.keys.check(wrong)
        said.add((str(caught.value), caught.value.challenge))
    assert len(said) == 1


async def test_a_key_counts_until_it_expires() -> None:
    room = SecurityRoom()
    key = await made(room, expires_at_ms=START_MS + 1_000)
    room.advance(0.999)
    await room.keys.check(key)
    room.advance(0.001)
    with pytest.raises(Unauthenticated):
        await room.keys.check(key)


async def test_a_revoked_key_counts_no_more_and_its_hash_is_gone() -> None:
    room = SecurityRoom()
    key = await made(room)
    (kept,) = await room.keys.list()
    revoked = await room.keys.revoke(kept.id)
    assert revoked.revoked_at_ms == START_MS
    assert '"sha256":""' in await room.kept_text()
    with pytest.raises(Unauthenticated):
        await room.keys.check(key)
    assert await room.keys.revoke(kept.id) == revoked


async def test_a_key_that_was_used_since_can_be_revoked() -> None:
    room = SecurityRoom()
    key = await made(room)
    (kept,) = await room.keys.list()
    await room.keys.check(key)
    await room.keys.revoke(kept.id)
    (after,) = await room.keys.list()
    assert after.revoked_at_ms is not None


async def test_nobody_revokes_or_lists_the_keys_of_another_tenant() -> None:
    room = SecurityRoom()
    await made(room, tenant="acme")
    (kept,) = await room.keys.list("acme")
    assert await room.keys.list("other") == []
    with pytest.raises(UnknownKey):
        await room.keys.revoke(kept.id, "other")
    with pytest.raises(UnknownKey):
        await room.keys.revoke("../" * 400)


async def test_the_last_use_is_written_once_an_hour() -> None:
    room = SecurityRoom()
    key = await made(room)
    revisions = []
    for _ in range(4):
        await room.keys.check(key)
        revisions.append(await room.records.revision())
        room.advance(1_200)
    assert revisions[0] == revisions[1] == revisions[2] < revisions[3]
    (kept,) = await room.keys.list()
    assert kept.used_at_ms is not None
    assert kept.used_at_ms % 3_600_000 == 0


class FullRecords(MemoryRecords):
    """Records that can be read and not written."""

    is_full = False

    async def change(self, changes: object, at_ms: int) -> list[int]:
        if self.is_full:
            raise StoreUnavailable("full", "the disk is full")
        return await super().change(changes, at_ms)  # type: ignore[arg-type]


async def test_a_key_counts_also_while_nothing_can_be_written() -> None:
    records = FullRecords()
    room = SecurityRoom(records)
    key = await made(room)
    records.is_full = True
    assert (await room.keys.check(key)).used_at_ms is None


async def test_secrets_are_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(one: str, other: str) -> bool:
        lengths.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    room = SecurityRoom()
    await room.keys.check(await made(room))
    with pytest.raises(Unauthenticated):
        await room.keys.check("plait_" + "a" * 12 + "_" + "b" * 52)
    assert lengths == [(64, 64), (64, 64)]


@pytest.mark.parametrize(
    "scope",
    [
        {"role": "root"},
        {"role": None},
        {"tenant": "*"},
        {"tenant": ""},
        {"tenant": "a/b"},
        {"grants": {"../x": "viewer"}},
        {"grants": {"orders": "owner"}},
        {"expires_at_ms": START_MS},
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(scope: dict[str, object]) -> None:
    room = SecurityRoom()
    with pytest.raises(BadScope):
        await made(room, **scope)
    assert await room.keys.list() == []


async def test_more_keys_than_a_page_are_all_listed() -> None:
    room = SecurityRoom()
    for _ in range(501):
        await made(room)
    assert len(await room.keys.list()) == 501


async def test_the_first_admin_key_is_made_once_in_the_life_of_a_store() -> None:
    room = SecurityRoom()
    key = await first_admin_key(room.records, room.keys, room.now_ms)
    assert key is not None
    assert (await room.keys.check(key)).scope.role == "admin"
    assert await first_admin_key(room.records, room.keys, room.now_ms) is None
    (kept,) = await room.keys.list()
    await room.keys.revoke(kept.id)
    assert await first_admin_key(room.records, room.keys, room.now_ms) is None


async def test_no_first_key_is_made_where_somebody_made_an_admin_key_before() -> None:
    room = SecurityRoom()
    await made(room, role="admin")
    assert await first_admin_key(room.records, room.keys, room.now_ms) is None
    assert len(await room.keys.list()) == 1


async def test_of_two_first_starts_at_once_one_gets_the_key() -> None:
    room = SecurityRoom()

    class Late(ApiKeys):
        async def list(self, tenant: str | None = None) -> list[keys_module.ApiKey]:
            found = await super().list(tenant)
            # The other process is through with its first start just then.
            await first_admin_key(room.records, room.keys, room.now_ms)
            return found

    late = Late(room.records, room.ms)
    assert await first_admin_key(room.records, late, room.now_ms) is None
    assert len(await room.keys.list()) == 1

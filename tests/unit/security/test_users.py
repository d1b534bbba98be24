"""Users: their passwords, and what an attacker learns of either."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from plait.model.caller import Caller
from plait.security.kept import BadScope
from plait.security.passwords import Passwords
from plait.security.users import UnknownUser, User, UserExists, Users
from tests.unit.security.rooms import Cheap, SecurityRoom

PASSWORD = "correct horse battery"


async def with_ann(room: SecurityRoom) -> User:
    return await room.users.add(
        "Ann", PASSWORD, tenant="acme", role="operator", grants={"orders": "editor"}
    )


async def test_a_user_is_found_by_name_and_password_alone() -> None:
    room = SecurityRoom()
    await with_ann(room)
    found = await room.users.checked("ANN", PASSWORD)
    assert found is not None
    assert found.caller() == Caller("user:ann", "acme", "operator", {"orders": "editor"})
    assert await room.users.checked("ann", PASSWORD + "x") is None
    assert await room.users.checked("bob", PASSWORD) is None
    assert await room.users.checked("a/../b", PASSWORD) is None


async def test_no_password_lies_in_the_store() -> None:
    room = SecurityRoom()
    await with_ann(room)
    text = await room.kept_text()
    assert PASSWORD not in text
    assert "$argon2id$" in text


class Counting:
    """A hasher that counts what it verifies."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self.verified: list[str] = []

    def hash(self, password: bytes) -> str:
        return self._hasher.hash(password)

    def verify(self, kept: str, password: bytes) -> bool:
        self.verified.append(kept)
        return self._hasher.verify(kept, password)

    def check_needs_rehash(self, kept: str) -> bool:
        return self._hasher.check_needs_rehash(kept)


async def test_an_unknown_name_costs_as_much_as_a_wrong_password() -> None:
    room = SecurityRoom()
    hasher = Counting(Cheap.OLD)
    users = Users(room.records, Passwords(hasher), room.ms)  # type: ignore[arg-type]
    await with_ann(room)
    await users.checked("ann", "not the password")
    await users.checked("nobody", "not the password")
    await users.checked("nobody else", "not the password")
    own, unknown, unwritable = hasher.verified
    assert own != unknown == unwritable
    assert own.split("$")[:4] == unknown.split("$")[:4]  # the same parameters


async def test_the_hash_of_an_unknown_name_opens_nothing() -> None:
    passwords = Passwords(Cheap.OLD)
    assert not await passwords.is_right("", None)
    assert not await passwords.is_right("anything", "no hash at all")


async def test_a_hash_with_other_parameters_is_made_anew_when_it_is_used() -> None:
    room = SecurityRoom()
    await with_ann(room)
    before = await room.kept_text()
    newer = Users(room.records, Passwords(Cheap.NEW), room.ms)
    assert await newer.checked("ann", "wrong password") is None
    assert await room.kept_text() == before
    assert await newer.checked("ann", PASSWORD) is not None
    assert "m=16,t=2" in await room.kept_text()
    assert await newer.checked("ann", PASSWORD) is not None


async def test_a_name_is_taken_once_whatever_its_letters() -> None:
    room = SecurityRoom()
    await with_ann(room)
    with pytest.raises(UserExists):
        await with_ann(room)
    assert [one.name for one in await room.users.list("acme")] == ["ann"]
    assert await room.users.list("other") == []


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", "short"), ("ann", "x" * 1_001), ("", PASSWORD), ("ann bee", PASSWORD)],
)
async def test_a_user_that_makes_no_sense_is_not_made(name: str, password: str) -> None:
    room = SecurityRoom()
    with pytest.raises(BadScope):
        await room.users.add(name, password, tenant="acme", role="viewer", grants={})
    assert await room.users.list() == []


async def test_however_an_accent_is_typed_it_is_the_same_password() -> None:
    room = SecurityRoom()
    await room.users.add(
        "ann", "caf\u00e9 caf\u00e9 xyz", tenant="a", role="viewer", grants={}
    )
    assert await room.users.checked("ann", "cafe\u0301 cafe\u0301 xyz") is not None


async def test_a_user_who_was_removed_and_an_old_password_count_no_more() -> None:
    room = SecurityRoom()
    await with_ann(room)
    await room.users.set_password("ann", "another password")
    assert await room.users.checked("ann", PASSWORD) is None
    assert await room.users.checked("ann", "another password") is not None
    await room.users.remove("ann")
    assert await room.users.checked("ann", "another password") is None
    with pytest.raises(UnknownUser):
        await room.users.remove("ann")
    with pytest.raises(UnknownUser):
        await room.users.set_password("ann", PASSWORD)

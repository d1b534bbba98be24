"""Accounts: whoever counts no more is forgotten at once by whoever remembers callers."""

from __future__ import annotations

import pytest

from plait.model.caller import Caller
from plait.security.accounts import StoredAccounts
from plait.security.keys import UnknownKey
from plait.security.users import Users
from tests.unit.security.rooms import SecurityRoom

ADMIN = Caller("user:root", "acme", "admin")
PASSWORD = "correct horse battery"


async def test_a_revocation_another_password_and_a_removal_are_each_told() -> None:
    room, told = SecurityRoom(), list[str]()

    async def users() -> Users:
        return room.users

    own = StoredAccounts(room.keys, users, room.ms, forget=lambda: told.append("forget"))
    made = await own.create_key(ADMIN, "ci", role="viewer", grants={})
    await own.add_user(ADMIN, "ann", PASSWORD, role="viewer", grants={})
    assert told == []
    await own.revoke_key(ADMIN, str(made["id"]))
    assert len(told) == 1
    await own.set_password(ADMIN, "ann", PASSWORD + "!")
    assert len(told) == 2
    await own.remove_user(ADMIN, "ann")
    assert len(told) == 3


async def test_it_is_told_too_where_nobody_knows_whether_it_was_done() -> None:
    room, told = SecurityRoom(), list[str]()

    async def users() -> Users:
        return room.users

    own = StoredAccounts(room.keys, users, room.ms, forget=lambda: told.append("forget"))
    with pytest.raises(UnknownKey):
        await own.revoke_key(ADMIN, "a" * 12)
    assert told == ["forget"]

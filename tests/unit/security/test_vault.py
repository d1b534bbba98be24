"""The vault: what it keeps, who may open it, and what it makes of a damaged store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.model.caller import Caller, Forbidden
from plait.ports.credentials import (
    Credential,
    CredentialExists,
    CredentialForbidden,
    CredentialInvalid,
    CredentialUnknown,
    VaultDamaged,
    VaultKeyMissing,
)
from plait.ports.journal import StoreUnavailable
from plait.ports.records import Change
from plait.security.kept import UnreadableRecord
from plait.security.vault import KeyRing, StoredVault, check_use
from plait.security.vault.hosts import is_for, read_hosts
from plait.security.vault.kept import KIND
from plait.security.vault.kinds import KINDS
from plait.security.vault.ring import read_key
from plait.stores.memory.records import MemoryRecords
from tests.unit.security.rooms import FarRecords
from tests.unit.security.test_certificates import ANN

ADMIN = Caller("ann", "default", "admin")
OTHER = Caller("bob", "acme", "admin")
OLD, NEW = os.urandom(32), os.urandom(32)
SHOP: dict[str, object] = {
    "name": "shop",
    "type": "bearer",
    "hosts": ["api.example.com"],
    "fields": {"token": "s3cr3t"},
}


def vault(
    records: MemoryRecords,
    ring: KeyRing | None = None,
    now_ms: Callable[[], int] = lambda: 1_000,
) -> StoredVault:
    return StoredVault(records, ring or KeyRing({"old": OLD}), now_ms, kept_ms=5)


async def rewritten(records: MemoryRecords, key: str, **told: Any) -> None:
    """Change a record as somebody would who can write to the store."""
    kept = await records.get(KIND, "default", key)
    assert kept is not None
    value = orjson.dumps({**orjson.loads(kept.value), **told})
    await records.change([Change(KIND, "default", key, value)], 1)


async def test_a_credential_is_opened_by_name_and_lies_in_no_record_in_clear() -> None:
    records = MemoryRecords()
    await vault(records).add(ADMIN, SHOP)
    opened = await vault(records).open("default", "shop")
    assert opened.fields == {"token": "s3cr3t"}
    assert opened.hosts == ("https://api.example.com:443",)
    (kept,) = await records.find(KIND, None)
    assert b"s3cr3t" not in kept.value
    assert "s3cr3t" not in repr(opened)


async def test_whoever_looks_is_told_all_but_what_it_holds() -> None:
    records = MemoryRecords()
    own = vault(records)
    told = await own.add(ADMIN, SHOP)
    assert told == await own.get(ADMIN, "shop")
    assert set(told) == {
        *("name", "type", "hosts", "workflows", "number", "key"),
        *("created_at_ms", "changed_at_ms", "rotated_at_ms"),
    }
    assert (await own.list(ADMIN))["credentials"] == [told]


async def test_a_list_is_told_page_by_page() -> None:
    own = vault(MemoryRecords())
    for name in ("a", "b", "c"):
        await own.add(ADMIN, {**SHOP, "name": name})
    first: Any = await own.list(ADMIN, limit=2)
    second: Any = await own.list(ADMIN, after=first["next"], limit=2)
    pages = [[one["name"] for one in page["credentials"]] for page in (first, second)]
    assert pages == [["a", "b"], ["c"]]
    assert second["next"] is None


async def test_what_was_read_before_a_credential_was_removed_is_not_at_hand_after_it() -> (
    None
):
    records = FarRecords()
    own = vault(records)
    await own.add(ADMIN, SHOP)
    may_tell = records.may_tell = asyncio.Event()
    opening = asyncio.create_task(own.open("default", "shop"))
    await records.was_read.wait()
    await own.remove(ADMIN, "shop")
    may_tell.set()
    await opening
    assert own.at_hand("default", "shop") is None
    await own.add(ADMIN, SHOP)
    await own.open("default", "shop")
    assert own.at_hand("default", "shop") is not None


async def test_another_tenants_credential_does_not_exist() -> None:
    own = vault(MemoryRecords())
    await own.add(ADMIN, SHOP)
    with pytest.raises(CredentialUnknown):
        await own.open("acme", "shop")
    with pytest.raises(CredentialUnknown):
        await own.remove(OTHER, "shop")
    await own.add(OTHER, {**SHOP, "fields": {"token": "theirs"}})
    assert (await own.open("acme", "shop")).fields["token"] == "theirs"
    assert (await own.open("default", "shop")).fields["token"] == "s3cr3t"


@pytest.mark.parametrize("role", ["viewer", "operator", "editor"])
async def test_only_an_admin_may_ask_anything(role: str) -> None:
    own, caller = vault(MemoryRecords()), Caller("eve", "default", role)
    await own.add(ADMIN, SHOP)
    for asked in (
        own.list(caller),
        own.get(caller, "shop"),
        own.add(caller, SHOP),
        own.replace(caller, "shop", SHOP),
        own.remove(caller, "shop"),
    ):
        with pytest.raises(Forbidden):
            await asked


async def test_a_name_is_taken_once_and_free_again_when_it_was_removed() -> None:
    own = vault(MemoryRecords())
    await own.add(ADMIN, SHOP)
    with pytest.raises(CredentialExists):
        await own.add(ADMIN, SHOP)
    await own.remove(ADMIN, "shop")
    with pytest.raises(CredentialUnknown):
        await own.open("default", "shop")
    await own.add(ADMIN, SHOP)


async def test_a_replaced_credential_is_another_at_once_here_and_soon_elsewhere() -> None:
    records, now = MemoryRecords(), [1_000]
    own = vault(records, now_ms=lambda: now[0])
    elsewhere = vault(records, now_ms=lambda: now[0])
    await own.add(ADMIN, SHOP)
    assert await own.open("default", "shop") == own.at_hand("default", "shop")
    await elsewhere.open("default", "shop")
    told = await own.replace(ADMIN, "shop", {**SHOP, "fields": {"token": "new"}})
    assert told["number"] == 2
    assert own.at_hand("default", "shop") is None
    assert elsewhere.at_hand("default", "shop") is not None
    now[0] += 5
    assert elsewhere.at_hand("default", "shop") is None
    assert (await elsewhere.open("default", "shop")).fields == {"token": "new"}


@pytest.mark.parametrize(
    "told",
    [
        {"hosts": ["https://evil.example:443"]},
        {"hosts": ["https://api.example.com:443", "https://evil.example:443"]},
        {"type": "basic"},
        {"workflows": ["other"]},
        {"number": 2},
        {"id": "0" * 16},
        {"box": "AAAA"},
        {"box": "no base64"},
    ],
)
async def test_what_somebody_changed_in_the_store_cannot_be_opened(told: Any) -> None:
    records = MemoryRecords()
    await vault(records).add(ADMIN, SHOP)
    await rewritten(records, "shop", **told)
    with pytest.raises(VaultDamaged):
        await vault(records).open("default", "shop")


async def test_a_record_moved_to_another_tenant_or_name_cannot_be_opened() -> None:
    records = MemoryRecords()
    await vault(records).add(ADMIN, SHOP)
    kept = await records.get(KIND, "default", "shop")
    assert kept is not None
    moved = [
        Change(KIND, "acme", "shop", kept.value),
        Change(KIND, "default", "x", kept.value),
    ]
    await records.change(moved, 1)
    for tenant, name in (("acme", "shop"), ("default", "x")):
        with pytest.raises(VaultDamaged):
            await vault(records).open(tenant, name)


async def test_a_record_that_lacks_something_is_unreadable() -> None:
    records = MemoryRecords()
    await vault(records).add(ADMIN, SHOP)
    await records.change([Change(KIND, "default", "shop", b'{"v": 1}')], 1)
    with pytest.raises(UnreadableRecord):
        await vault(records).open("default", "shop")


# -- keys ------------------------------------------------------------------------------


async def test_without_a_key_nothing_is_kept_and_nothing_is_opened() -> None:
    records = MemoryRecords()
    with pytest.raises(VaultKeyMissing):
        await vault(records, KeyRing({})).add(ADMIN, SHOP)
    assert await records.find(KIND, None) == []
    await vault(records, KeyRing({})).check_keys()
    await vault(records).add(ADMIN, SHOP)
    for ring in (KeyRing({}), KeyRing({"other": NEW})):
        with pytest.raises(VaultKeyMissing):
            await vault(records, ring).open("default", "shop")
        with pytest.raises(VaultKeyMissing, match="'old'"):
            await vault(records, ring).check_keys()
    await vault(records).check_keys()


async def test_the_wrong_key_under_the_right_name_opens_nothing() -> None:
    records = MemoryRecords()
    await vault(records).add(ADMIN, SHOP)
    with pytest.raises(VaultDamaged):
        await vault(records, KeyRing({"old": NEW})).open("default", "shop")


async def test_a_rotation_encrypts_everything_anew_and_needs_the_old_key_no_more() -> None:
    records = MemoryRecords()
    await vault(records).add(ADMIN, SHOP)
    await vault(records).add(OTHER, {**SHOP, "fields": {"token": "theirs"}})
    both = vault(records, KeyRing({"old": OLD, "new": NEW}, "new"))
    assert (await both.open("default", "shop")).fields["token"] == "s3cr3t"
    done = await both.rotate()
    assert (done.key, done.changed, done.unchanged) == ("new", 2, 0)
    alone = vault(records, KeyRing({"new": NEW}))
    await alone.check_keys()
    assert (await alone.open("default", "shop")).fields["token"] == "s3cr3t"
    assert (await alone.open("acme", "shop")).fields["token"] == "theirs"
    assert (await alone.get(ADMIN, "shop"))["rotated_at_ms"] == 1_000
    again = await both.rotate()
    assert (again.changed, again.unchanged) == (0, 2)


class Breaking(MemoryRecords):
    """A store that goes away after so many changes."""

    left = 1_000

    async def change(self, changes: Sequence[Change], at_ms: int) -> list[int]:
        if self.left == 0:
            raise StoreUnavailable("gone")
        self.left -= 1
        return await super().change(changes, at_ms)


@pytest.mark.parametrize("left", range(4))
async def test_a_rotation_that_was_broken_off_is_finished_by_the_next(left: int) -> None:
    records = Breaking()
    for number in range(3):
        await vault(records).add(ADMIN, {**SHOP, "name": f"c{number}"})
    both = vault(records, KeyRing({"old": OLD, "new": NEW}, "new"))
    records.left = left
    if left < 3:
        with pytest.raises(StoreUnavailable):
            await both.rotate()
    else:
        await both.rotate()
    for number in range(3):  # every one can be read, whichever key it is under
        assert (await both.open("default", f"c{number}")).fields["token"] == "s3cr3t"
    records.left = 1_000
    done = await both.rotate()
    assert (done.changed, done.unchanged) == (3 - left, left)


async def test_what_is_replaced_during_a_rotation_keeps_its_new_value() -> None:
    records = MemoryRecords()
    await vault(records).add(ADMIN, SHOP)
    both = vault(records, KeyRing({"old": OLD, "new": NEW}, "new"))

    class Meanwhile(MemoryRecords):
        async def find(self, *_: Any, **__: Any) -> Any:
            found = await records.find(KIND, None)
            await vault(records).replace(ADMIN, "shop", {**SHOP, "fields": {"token": "n"}})
            return found

        get = records.get
        change = records.change

    done = await vault(Meanwhile(), KeyRing({"old": OLD, "new": NEW}, "new")).rotate()
    assert done.changed == 1
    assert (await both.open("default", "shop")).fields == {"token": "n"}


def test_a_key_is_32_bytes_and_a_wrong_one_is_not_told() -> None:
    assert read_key("00" * 32) == bytes(32)
    for wrong in ("", "short", "x" * 64, "AAAA"):
        with pytest.raises(ValueError, match="32 random bytes") as told:
            read_key(wrong)
        assert not wrong or wrong not in str(told.value)


def test_with_several_keys_somebody_has_to_say_which_is_the_newest() -> None:
    with pytest.raises(ValueError, match=r"vault\.newest"):
        KeyRing({"a": OLD, "b": NEW})
    with pytest.raises(ValueError, match="no key here"):
        KeyRing({"a": OLD}, "b")
    assert KeyRing({"a": OLD, "b": NEW}, "a").newest == "a"


# -- what may be kept ------------------------------------------------------------------

GOOD = {
    "basic": {"username": "ann", "password": "p"},
    "bearer": {"token": "t"},
    "api_key": {"name": "X-Key", "value": "v"},
    "oauth2": {"token_url": "https://h/t", "client_id": "c", "client_secret": "s"},
    "mtls": ANN,
    "database": {"username": "u", "password": "p"},
    "smtp": {"username": "u", "password": "p"},
}


def test_every_type_has_an_example_here() -> None:
    assert set(GOOD) == set(KINDS)


@pytest.mark.parametrize("type_", KINDS)
async def test_each_type_needs_its_fields_and_takes_no_others(type_: str) -> None:
    own, fields = vault(MemoryRecords()), GOOD[type_]
    wanted = {**SHOP, "type": type_, "fields": fields}
    await own.add(ADMIN, wanted)
    wrong: list[object] = [{**fields, "extra": "x"}, "text", None]
    for name in KINDS[type_].needs:
        rest = {one: text for one, text in fields.items() if one != name}
        wrong += [rest, {**rest, name: 7}, {**rest, name: ""}, {**rest, name: "\ud800"}]
        if name not in KINDS[type_].texts:
            wrong += [{**rest, name: "a\r\nb"}, {**rest, name: "a\0b"}]
    for one in wrong:
        with pytest.raises(CredentialInvalid) as told:
            await own.add(ADMIN, {**wanted, "name": "other", "fields": one})
        assert "s3cr3t" not in str(told.value)


@pytest.mark.parametrize(
    "told",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "../x"},
        {"name": 7},
        {"type": "magic"},
        {"hosts": []},
        {"hosts": "api.example.com"},
        {"hosts": ["https://h/path"]},
        {"hosts": ["*.com"]},
        {"hosts": ["ftp://h"]},
        {"hosts": ["h:70000"]},
        {"hosts": ["user@h"]},
        {"workflows": ["a b"]},
        {"workflows": "w"},
        {"more": 1},
    ],
)
async def test_what_makes_no_sense_is_not_kept(told: dict[str, object]) -> None:
    records = MemoryRecords()
    with pytest.raises(CredentialInvalid):
        await vault(records).add(ADMIN, {**SHOP, **told})
    assert await records.find(KIND, None) == []


# -- whom it may be shown to -----------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "yes", "no"),
    [
        ("h.example", "https://h.example:443", "http://h.example:80"),
        ("h.example", "https://h.example:443", "https://h.example:8443"),
        ("h.example:8443", "https://h.example:8443", "https://h.example:443"),
        ("http://orders", "http://orders:80", "https://orders:443"),
        ("*.h.example", "https://a.b.h.example:443", "https://h.example:443"),
        ("*.h.example", "https://a.h.example:443", "https://evilh.example:443"),
        ("*.h.example", "https://a.h.example:443", "https://a.h.example.evil:443"),
        ("http://[::1]:80", "http://[::1]:80", "http://[::2]:80"),
    ],
)
def test_an_entry_is_an_origin(host: str, yes: str, no: str) -> None:
    hosts = read_hosts([host])
    assert is_for(hosts, yes)
    assert not is_for(hosts, no)


@given(st.text(max_size=60))
def test_no_host_is_read_as_something_else_than_an_origin(text: str) -> None:
    try:
        (entry,) = read_hosts([text])
    except CredentialInvalid:
        return
    assert entry.startswith(("http://", "https://"))
    assert read_hosts([entry]) == (entry,)


def test_a_credential_for_some_workflows_is_for_no_others() -> None:
    shop = Credential("default", "shop", "bearer", ("https://h:443",), ("orders",), {})
    check_use(shop, "orders", "https://h:443")
    for workflow, origin in (("other", "https://h:443"), ("orders", "https://i:443")):
        with pytest.raises(CredentialForbidden):
            check_use(shop, workflow, origin)
    check_use(replace(shop, workflows=()), "other", "https://h:443")

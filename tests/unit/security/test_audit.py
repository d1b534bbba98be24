"""The audit log: what it records, what it finds, and that nobody changes it unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.model.caller import Caller, Forbidden
from plait.ports.audit import DONE, FAILED, REFUSED, Act, Search
from plait.ports.journal import StoreUnavailable
from plait.ports.records import Change, Record
from plait.security.audit import AuditLog, Entry, Head, fault_in
from plait.security.audit.chain import AuditBroken, entry_in
from plait.security.audit.log import ENTRY, HEAD, OPEN
from plait.stores.memory.records import MemoryRecords

ADMIN = Caller("user:ann", "default", "admin")
COUNT = 6


def act(subject: str = "orders", action: str = "deployment.deploy", **more: Any) -> Act:
    given: Any = {"tenant": "default", "who": "user:ann", **more}
    return Act(**given, action=action, subject=subject)


def log(records: MemoryRecords, now: list[int] | None = None) -> AuditLog:
    moment = now or [1_000]
    return AuditLog(records, lambda: moment[0])


async def filled(records: MemoryRecords, count: int = COUNT) -> AuditLog:
    own = log(records)
    for number in range(count):
        await own.end(await own.begin(act(f"w{number}")), DONE)
    return own


async def shown(
    own: AuditLog, caller: Caller = ADMIN, **wanted: Any
) -> list[dict[str, Any]]:
    found: Any = await own.search(caller, Search(**wanted))
    entries: list[dict[str, Any]] = found["entries"]
    return entries


async def test_a_change_is_one_entry_that_says_who_what_when_and_what_came_of_it() -> None:
    now = [1_000]
    own = log(MemoryRecords(), now)
    opened = await own.begin(act(request_id="r1", peer="10.0.0.1"))
    now[0] = 1_500
    await own.end(opened, REFUSED, "deployment.invalid")
    (entry,) = await shown(own)
    del entry["hash"]
    assert entry == {
        "number": 1,
        "tenant": "default",
        "who": "user:ann",
        "action": "deployment.deploy",
        "subject": "orders",
        "request_id": "r1",
        "peer": "10.0.0.1",
        "at_ms": 1_000,
        "ended_at_ms": 1_500,
        "outcome": "refused",
        "code": "deployment.invalid",
        "previous": "0" * 64,
    }


async def test_what_is_under_way_is_no_entry_yet_and_becomes_unknown_when_lost() -> None:
    records, now = MemoryRecords(), [1_000]
    own = log(records, now)
    lost = await own.begin(act("lost"))
    assert await shown(own) == []
    now[0] += 599_999
    assert await own.settle() == 0
    now[0] += 1
    under_way = await own.begin(act("under way"))
    assert await own.settle() == 1
    (entry,) = await shown(own)
    assert (entry["subject"], entry["outcome"], entry["at_ms"]) == (
        "lost",
        "unknown",
        1_000,
    )
    await own.end(lost, DONE)  # too late: it has its entry
    await own.end(under_way, DONE)
    assert [one["subject"] for one in await shown(own)] == ["under way", "lost"]
    assert await records.find(OPEN, None) == []
    assert (await own.verify("default"))[0] is None


class Gone(MemoryRecords):
    """A store that takes no change."""

    async def change(self, changes: Sequence[Change], at_ms: int) -> list[int]:
        raise StoreUnavailable("gone")


async def test_what_cannot_be_recorded_is_not_begun() -> None:
    with pytest.raises(StoreUnavailable):
        await log(Gone()).begin(act())


class Slow(MemoryRecords):
    """A store behind a network: others get on between a look and a change."""

    async def get(self, kind: str, tenant: str, key: str) -> Record | None:
        found = await super().get(kind, tenant, key)
        await asyncio.sleep(0)
        return found


async def test_many_processes_write_one_chain() -> None:
    records = Slow()
    logs = [log(records) for _ in range(4)]

    async def work(own: AuditLog, name: str) -> None:
        for number in range(5):
            opened = await own.begin(act(f"{name}{number}"))
            await asyncio.sleep(0)
            await own.end(opened, DONE)

    await asyncio.gather(*(work(own, f"p{index}-") for index, own in enumerate(logs)))
    fault, head = await logs[0].verify("default")
    assert (fault, head.number) == (None, 20)
    assert len({one["subject"] for one in await shown(logs[0], limit=100)}) == 20


async def test_each_tenant_has_a_chain_of_its_own_and_sees_no_other() -> None:
    records = MemoryRecords()
    own = await filled(records, 2)
    await own.note(act("theirs", tenant="acme"), DONE)
    theirs = Caller("user:bob", "acme", "admin")
    assert [one["subject"] for one in await shown(own, theirs)] == ["theirs"]
    assert [one["subject"] for one in await shown(own)] == ["w1", "w0"]
    assert await own.tenants() == ["acme", "default"]
    for tenant in ("acme", "default"):
        assert (await own.verify(tenant))[0] is None


@pytest.mark.parametrize("role", ["viewer", "operator", "editor", None])
async def test_only_an_admin_sees_it(role: str | None) -> None:
    with pytest.raises(Forbidden):
        await log(MemoryRecords()).search(Caller("eve", "default", role), Search())


async def test_entries_are_found_by_all_that_they_say() -> None:
    records, now = MemoryRecords(), [0]
    own = log(records, now)
    rows = [
        act("a", "credential.add", who="user:ann"),
        act("a", "credential.remove", who="user:bob"),
        act("b", "key.create", who="user:ann"),
    ]
    for index, (one, outcome) in enumerate(zip(rows, (DONE, REFUSED, FAILED), strict=True)):
        now[0] = index * 1_000
        await own.note(one, outcome)

    async def actions(**wanted: Any) -> list[str]:
        return [one["action"] for one in await shown(own, **wanted)]

    assert await actions(action="credential") == ["credential.remove", "credential.add"]
    assert await actions(action="credential.add") == ["credential.add"]
    assert await actions(action="cred") == []
    assert await actions(who="user:ann") == ["key.create", "credential.add"]
    assert await actions(subject="a", outcome="refused") == ["credential.remove"]
    assert await actions(since_ms=1_000) == ["key.create", "credential.remove"]
    assert await actions(until_ms=1_000) == ["credential.add"]


async def test_pages_follow_each_other_without_a_gap() -> None:
    own = await filled(MemoryRecords(), 7)
    numbers, before = list[int](), 0
    while True:
        page: Any = await own.search(ADMIN, Search(before=before, limit=3))
        numbers += [one["number"] for one in page["entries"]]
        if page["next"] is None:
            break
        before = page["next"]
    assert numbers == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "shown_as", ["plait_k3v7aaaaaaaa_", f"plaitr_{'0a' * 12}_"], ids=["key", "refresh"]
)
async def test_a_key_that_was_sent_where_its_id_belongs_is_not_kept(shown_as: str) -> None:
    records = MemoryRecords()
    own = log(records)
    secret = "s3cr3t" * 8
    await own.note(act(f"{shown_as}{secret}", request_id=f"x {shown_as}{secret}"), REFUSED)
    await own.begin(act(f"{shown_as}{secret}"))
    kept = [await records.find(kind, None) for kind in (ENTRY, OPEN)]
    assert all(kept)
    assert not any(secret.encode() in one.value for many in kept for one in many)
    assert (await shown(own))[0]["subject"] == f"{shown_as}***"


async def test_texts_are_cut_and_what_is_no_text_does_no_harm() -> None:
    own = log(MemoryRecords())
    await own.note(act("x" * 10_000 + "\ud800"), DONE)
    await own.note(act("\ud800"), DONE)
    assert [len(one["subject"]) for one in await shown(own)] == [1, 300]
    assert (await own.verify("default"))[0] is None


# -- tampering -------------------------------------------------------------------------


def rows_of(count: int = COUNT) -> list[Any]:
    async def made() -> list[Any]:
        own = await filled(MemoryRecords(), count)
        return [one.as_json() async for one in own.entries("default")]

    return asyncio.run(made())


ROWS = rows_of()
HEAD_OF_ROWS = (COUNT, ROWS[-1]["hash"])
OTHER_VALUES = st.one_of(st.none(), st.integers(), st.text(max_size=8))


@st.composite
def tampered(draw: st.DrawFn) -> list[Any]:
    """Return the rows after somebody changed, removed, moved, doubled or added one."""
    rows = [dict(row) for row in ROWS]
    at = draw(st.integers(0, COUNT - 1))
    match draw(st.sampled_from(["change", "remove", "swap", "double", "cut", "forge"])):
        case "change":
            name = draw(st.sampled_from(sorted(rows[at])))
            rows[at][name] = draw(OTHER_VALUES.filter(lambda one: one != rows[at][name]))
        case "remove":
            del rows[at]
        case "swap":
            other = draw(st.integers(0, COUNT - 1).filter(lambda one: one != at))
            rows[at], rows[other] = rows[other], rows[at]
        case "double":
            rows.insert(at, dict(rows[at]))
        case "cut":
            del rows[at:]
        case _:
            rows.append({**rows[-1], "number": COUNT + 1, "previous": rows[-1]["hash"]})
    return rows


def is_whole(rows: list[Any]) -> bool:
    try:
        entries: list[Entry] = [entry_in(row) for row in rows]
        return fault_in(entries, "default", Head(*HEAD_OF_ROWS)) is None
    except (AuditBroken, TypeError):
        return False


def test_what_nobody_touched_is_whole() -> None:
    assert is_whole([dict(row) for row in ROWS])


@given(tampered())
def test_whatever_is_changed_removed_or_moved_is_found(rows: list[Any]) -> None:
    assert not is_whole(rows)


async def rewritten(records: MemoryRecords, key: str, **told: Any) -> None:
    kept = await records.get(ENTRY, "default", key)
    assert kept is not None
    value = orjson.dumps({**orjson.loads(kept.value), **told})
    await records.change([Change(ENTRY, "default", key, value)], 1)


@pytest.mark.parametrize("number", range(1, COUNT + 1))
async def test_an_entry_that_was_changed_in_the_store_is_found_there(number: int) -> None:
    records = MemoryRecords()
    own = await filled(records)
    await rewritten(records, f"{number:016d}", who="user:nobody")
    fault, _ = await own.verify("default")
    assert fault is not None
    assert fault.number == number


@pytest.mark.parametrize("number", range(1, COUNT + 1))
async def test_an_entry_that_was_removed_from_the_store_is_found(number: int) -> None:
    records = MemoryRecords()
    own = await filled(records)
    await records.change([Change(ENTRY, "default", f"{number:016d}", None)], 1)
    fault, _ = await own.verify("default")
    assert fault is not None
    assert fault.number == number


async def test_a_head_that_was_removed_or_set_back_is_found() -> None:
    for value in (None, b'{"v":1,"number":2,"hash":"00"}'):
        records = MemoryRecords()
        own = await filled(records)
        await records.change([Change(HEAD, "default", "head", value)], 1)
        assert (await own.verify("default"))[0] is not None


async def test_an_entry_behind_the_head_is_found() -> None:
    records = MemoryRecords()
    own = await filled(records)
    kept = await records.get(HEAD, "default", "head")
    assert kept is not None
    await own.note(act("more"), DONE)
    await records.change([Change(HEAD, "default", "head", kept.value)], 1)
    fault, _ = await own.verify("default")
    assert fault is not None

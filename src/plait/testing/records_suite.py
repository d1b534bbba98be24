"""The contract of plait.ports.records, as tests.

A store's tests are its fixture:

    class TestMyRecords(RecordsSuite):
        @pytest.fixture
        async def open_records(self) -> AsyncIterator[OpenRecords]:
            ...  # a function that opens the same, at first empty, records once more

Needs pytest with pytest-asyncio in automatic mode.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import pytest

from plait.ports.records import (
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
    Change,
    Conflict,
    Record,
    RecordRefused,
    Records,
)
from plait.stores.memory import MemoryRecords

OpenRecords: TypeAlias = Callable[[], Awaitable[Records]]

NOW_MS: Final = 1_767_225_600_000
# In the order of their bytes: the last two come the other way round in UTF-16.
KEYS: Final = ("A", "a", "a/1", "a/10", "a/2", "a0", "b", "Ω", "\uffff", "\U0001f600")
KINDS, TENANTS = ("deployment", "session"), ("default", "north", "")


def put(key: str, value: bytes = b"{}", **fields: object) -> Change:
    """Return the change that puts a value under `key`, of kind and tenant `default`."""
    plain = Change("deployment", "default", key, value)
    return replace(plain, **fields)  # type: ignore[arg-type]  # as the tests give them


def drop(key: str, expected: int | None = None) -> Change:
    """Return the change that removes what is under `key`."""
    return Change("deployment", "default", key, None, expected)


async def keys_of(records: Records, **asked: object) -> list[str]:
    """Return the keys that are found, in the order in which they come."""
    found = await records.find("deployment", "default", **asked)  # type: ignore[arg-type]
    return [one.key for one in found]


class RecordsSuite:
    """Inherit, and give the fixture `open_records`."""

    @pytest.fixture
    async def records(self, open_records: OpenRecords) -> Records:
        """Records that are empty."""
        return await open_records()

    # -- one record --------------------------------------------------------------------

    async def test_what_was_put_is_there_until_it_is_removed(
        self, records: Records
    ) -> None:
        value = bytes(range(256))
        (version,) = await records.change([put("a", value)], NOW_MS)
        kept = Record("deployment", "default", "a", value, version, NOW_MS)
        assert await records.get("deployment", "default", "a") == kept
        assert await records.find("deployment", "default") == [kept]
        await records.change([drop("a")], NOW_MS)
        assert await records.get("deployment", "default", "a") is None
        assert await records.find("deployment", "default") == []

    async def test_a_record_is_of_one_kind_one_tenant_and_one_key(
        self, records: Records
    ) -> None:
        names = [("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd"), ("1:a", "b", "c")]
        for name in names:
            await records.change([Change(*name, str(name).encode())], NOW_MS)
        for name in names:
            found = await records.get(*name)
            assert found is not None
            assert found.value == str(name).encode()
            assert await records.count(*name[:2]) == 1

    async def test_a_version_grows_with_each_change(self, records: Records) -> None:
        versions = [
            (await records.change([put("a", b"%d" % number)], NOW_MS + number))[0]
            for number in range(5)
        ]
        assert versions == sorted(set(versions))
        assert versions[0] >= 1
        found = await records.get("deployment", "default", "a")
        assert found is not None
        assert (found.version, found.at_ms) == (versions[-1], NOW_MS + 4)

    async def test_a_version_is_not_used_again_after_a_removal(
        self, open_records: OpenRecords
    ) -> None:
        records = await open_records()
        (first,) = await records.change([put("a")], NOW_MS)
        (removed,) = await records.change([drop("a")], NOW_MS)
        (again,) = await (await open_records()).change([put("a")], NOW_MS)
        assert first < removed < again
        with pytest.raises(Conflict):
            await records.change([put("a", expected=first)], NOW_MS)

    @pytest.mark.parametrize("byte_count", [0, VALUE_BYTES_MAX])
    async def test_a_value_may_be_empty_and_as_large_as_is_allowed(
        self, records: Records, byte_count: int
    ) -> None:
        value = random.Random(1).randbytes(byte_count)
        await records.change([put("a", value)], NOW_MS)
        found = await records.get("deployment", "default", "a")
        assert found is not None
        assert found.value == value

    async def test_the_longest_names_are_kept(self, records: Records) -> None:
        rng = random.Random(1)
        name = ["".join(rng.choices("abcdef", k=count)) for count in (64, 128)]
        key = "\U0001f600" * (KEY_BYTES_MAX // 4)
        await records.change([Change(name[0], name[1], key, b"{}")], NOW_MS)
        assert [one.key for one in await records.find(name[0], name[1])] == [key]

    # -- changes that depend on what is there ------------------------------------------

    async def test_a_change_that_expects_something_else_is_refused(
        self, records: Records
    ) -> None:
        (version,) = await records.change([put("a", b"1", expected=0)], NOW_MS)
        for expected in (0, version + 1, version - 1):
            with pytest.raises(Conflict, match="deployment 'a'"):
                await records.change([put("a", b"2", expected=expected)], NOW_MS)
            with pytest.raises(Conflict):
                await records.change([drop("a", expected)], NOW_MS)
        found = await records.get("deployment", "default", "a")
        assert found is not None
        assert (found.value, found.version) == (b"1", version)
        (second,) = await records.change([put("a", b"2", expected=version)], NOW_MS)
        await records.change([drop("a", second)], NOW_MS)
        assert await records.count("deployment", "default") == 0

    async def test_what_is_not_there_has_version_0(self, records: Records) -> None:
        with pytest.raises(Conflict):
            await records.change([put("a", expected=1)], NOW_MS)
        await records.change([drop("a", 0), drop("b")], NOW_MS)
        await records.change([put("a", expected=0)], NOW_MS)
        assert await keys_of(records) == ["a"]

    @pytest.mark.parametrize(
        "bad",
        [
            put("c", expected=7),
            put("c", b"x" * (VALUE_BYTES_MAX + 1)),
            put("c" * (KEY_BYTES_MAX + 1)),
            put("c\0"),
            put("half a pair: \ud83d"),
            put(""),
            put("c", kind=""),
            put("c", tenant="t" * 129),
        ],
        ids=lambda one: f"{one.key[:4]!a}",
    )
    async def test_a_change_that_is_refused_amid_others_changes_nothing(
        self, records: Records, bad: Change
    ) -> None:
        await records.change([put("a", b"before"), put("b")], NOW_MS)
        revision = await records.revision()
        before = await records.find("deployment", None)
        wanted = [put("a", b"after"), drop("b"), bad, put("d")]
        with pytest.raises((Conflict, RecordRefused)):
            await records.change(wanted, NOW_MS + 1)
        assert await records.find("deployment", None) == before
        assert await records.revision() == revision

    async def test_all_changes_of_one_are_made(self, records: Records) -> None:
        await records.change([put("a"), put("b")], NOW_MS)
        wanted = [put("a", b"new"), drop("b"), put("c"), put("d", kind="session")]
        versions = await records.change(wanted, NOW_MS + 1)
        assert len(set(versions)) == 4
        found = await records.find("deployment", "default")
        assert [(one.key, one.value, one.version) for one in found] == [
            ("a", b"new", versions[0]),
            ("c", b"{}", versions[2]),
        ]
        assert await records.count("session", "default") == 1

    async def test_expectations_are_of_what_was_there_before(
        self, records: Records
    ) -> None:
        wanted = [put("a", b"1", expected=0), put("a", b"2", expected=0)]
        versions = await records.change(wanted, NOW_MS)
        found = await records.get("deployment", "default", "a")
        assert found is not None
        assert (found.value, found.version) == (b"2", versions[1])

    async def test_of_two_who_change_one_record_one_is_refused(
        self, open_records: OpenRecords
    ) -> None:
        first, second = await open_records(), await open_records()
        (version,) = await first.change([put("a", b"0")], NOW_MS)
        for _ in range(20):
            wanted = [
                records.change([put("a", value, expected=version), put(key)], NOW_MS)
                for records, value, key in ((first, b"1", "x1"), (second, b"2", "x2"))
            ]
            done = await asyncio.gather(*wanted, return_exceptions=True)
            (won,) = [one for one in done if not isinstance(one, Conflict)]
            assert not isinstance(won, BaseException)
            found = await second.get("deployment", "default", "a")
            assert found is not None
            assert found.version == won[0]
            assert found.value == (b"1" if done[0] is won else b"2")
            assert await keys_of(first, prefix="x") == [f"x{found.value.decode()}"]
            await first.change([drop("x1"), drop("x2")], NOW_MS)
            version = found.version

    async def test_of_many_who_count_none_is_lost(self, open_records: OpenRecords) -> None:
        opened = [await open_records() for _ in range(3)]
        await opened[0].change([put("n", b"0")], NOW_MS)

        async def count_up(records: Records) -> None:
            for _ in range(10):
                while True:
                    kept = await records.get("deployment", "default", "n")
                    assert kept is not None
                    value = b"%d" % (int(kept.value) + 1)
                    try:
                        change = put("n", value, expected=kept.version)
                        await records.change([change], NOW_MS)
                        break
                    except Conflict:
                        continue

        await asyncio.gather(*map(count_up, opened))
        found = await opened[0].get("deployment", "default", "n")
        assert found is not None
        assert found.value == b"30"

    async def test_nobody_sees_a_change_half_made(self, open_records: OpenRecords) -> None:
        writer, reader = await open_records(), await open_records()
        keys = [f"k{number}" for number in range(20)]

        def all_with(value: bytes) -> list[Change]:
            return [put(key, value) for key in keys]

        await writer.change(all_with(b"0"), NOW_MS)
        is_over = False

        async def read() -> int:
            looks = 0
            while not is_over:
                found = await reader.find("deployment", "default")
                every = await reader.find("deployment", None)
                for some in (found, every):
                    assert len({one.value for one in some}) == 1
                looks += 1
                await asyncio.sleep(0)
            return looks

        reading = asyncio.create_task(read())
        for number in range(20):
            await writer.change(all_with(b"%d" % number), NOW_MS)
            await asyncio.sleep(0)
        is_over = True
        assert await reading > 0

    # -- finding -----------------------------------------------------------------------

    async def test_records_come_in_the_order_of_their_keys_bytes(
        self, records: Records
    ) -> None:
        assert sorted(KEYS, key=str.encode) == list(KEYS)
        for key in random.Random(1).sample(KEYS, len(KEYS)):
            await records.change([put(key)], NOW_MS)
        assert await keys_of(records) == list(KEYS)
        assert await keys_of(records, is_backward=True) == list(KEYS[::-1])

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({"prefix": "a"}, ["a", "a/1", "a/10", "a/2", "a0"]),
            ({"prefix": "a/"}, ["a/1", "a/10", "a/2"]),
            ({"prefix": "a/1", "after": "a/1"}, ["a/10"]),
            ({"prefix": "a/", "after": "A"}, ["a/1", "a/10", "a/2"]),
            ({"prefix": "a/", "after": "b"}, []),
            ({"prefix": "\uffff"}, ["\uffff"]),
            ({"prefix": "\U0010ffff"}, []),
            ({"prefix": "nothing"}, []),
            ({"after": "a/15", "limit": 2}, ["a/2", "a0"]),
            ({"after": "\uffff"}, ["\U0001f600"]),
            ({"limit": 1}, ["A"]),
            ({"prefix": "a/", "is_backward": True}, ["a/2", "a/10", "a/1"]),
            (
                {"prefix": "a/", "after": "a/2", "limit": 1, "is_backward": True},
                ["a/10"],
            ),
            ({"after": "a", "is_backward": True}, ["A"]),
            ({"prefix": "a/", "after": "A", "is_backward": True}, []),
            ({"prefix": "a/", "after": "b", "is_backward": True}, ["a/2", "a/10", "a/1"]),
            ({"prefix": "half a pair: \ud83d"}, []),
            ({"prefix": "\0"}, []),
        ],
    )
    async def test_finding_keeps_to_what_is_asked_for(
        self, records: Records, asked: dict[str, object], expected: list[str]
    ) -> None:
        others = [put(key, kind="session") for key in KEYS]
        others += [put(key, tenant="north") for key in KEYS]
        await records.change([*others, *map(put, KEYS)], NOW_MS)
        assert await keys_of(records, **asked) == expected

    async def test_many_are_found_page_by_page(self, records: Records) -> None:
        keys = [f"{number:04}" for number in range(250)]
        await records.change([put(key) for key in keys], NOW_MS)
        found: list[str] = []
        while page := await keys_of(records, after=found[-1] if found else ""):
            assert len(page) <= 100
            found += page
        assert found == keys
        assert len(await records.find("deployment", None)) == 250

    async def test_those_of_all_tenants_come_by_tenant(self, records: Records) -> None:
        wanted = [put(key, tenant=tenant) for key in "ba" for tenant in ("Ω", "z", "")]
        await records.change([*wanted, put("a", kind="session")], NOW_MS)
        found = await records.find("deployment", None, limit=1, prefix="x", after="x")
        names = [(one.tenant, one.key) for one in found]
        order = [(tenant, key) for tenant in ("", "z", "Ω") for key in "ab"]
        assert names == order
        found = await records.find("deployment", None, is_backward=True)
        assert [(one.tenant, one.key) for one in found] == order[::-1]

    @pytest.mark.parametrize("name", ["half a pair: \ud83d", "\0", "nobody"])
    async def test_what_nobody_can_have_put_is_not_there(
        self, records: Records, name: str
    ) -> None:
        await records.change([put("a")], NOW_MS)
        assert await records.get("deployment", "default", name) is None
        assert await records.get("deployment", name, "a") is None
        assert await records.find(name, None) == []
        assert await records.count("deployment", name) == 0

    async def test_counting_counts_one_kind_of_one_tenant(self, records: Records) -> None:
        wanted = [put(key) for key in KEYS]
        await records.change([*wanted, put("a", tenant="north")], NOW_MS)
        await records.change([drop("a"), drop("nobody")], NOW_MS)
        assert await records.count("deployment", "default") == len(KEYS) - 1
        assert await records.count("deployment", "north") == 1
        assert await records.count("session", "default") == 0

    # -- the revision ------------------------------------------------------------------

    async def test_the_revision_grows_with_every_change_of_anybody(
        self, open_records: OpenRecords
    ) -> None:
        first, second = await open_records(), await open_records()
        seen = [await first.revision()]
        for records, change in ((first, put("a")), (second, drop("a")), (second, put("b"))):
            await records.change([change], NOW_MS)
            seen.append(await first.revision())
            assert await second.revision() == seen[-1]
        assert seen == sorted(set(seen))
        assert await first.change([], NOW_MS) == []
        assert await first.revision() == seen[-1]

    # -- all of it ---------------------------------------------------------------------

    @pytest.mark.parametrize("seed", range(10))
    async def test_it_does_as_the_one_in_memory_does(
        self, records: Records, seed: int
    ) -> None:
        rng, model = random.Random(seed), MemoryRecords()
        for at_ms in range(40):
            wanted = _changes(rng, await model.find(rng.choice(KINDS), None))
            outcomes = [await _outcome(one, wanted, at_ms) for one in (model, records)]
            assert outcomes[0] == outcomes[1]
            for kind in KINDS:
                expected = await model.find(kind, None)
                assert await records.find(kind, None) == expected
            asked = _asked(rng)
            expected = await model.find("session", "north", **asked)  # type: ignore[arg-type]
            found = await records.find("session", "north", **asked)  # type: ignore[arg-type]
            assert found == expected


class LastingRecordsSuite(RecordsSuite):
    """For records that outlive the process that has written them."""

    async def test_what_was_written_is_there_when_it_is_opened_again(
        self, open_records: OpenRecords
    ) -> None:
        first = await open_records()
        await first.change([put(key, key.encode()) for key in KEYS], NOW_MS)
        await first.change([drop("a")], NOW_MS)
        kept, revision = await first.find("deployment", None), await first.revision()
        await first.close()
        again = await open_records()
        assert await again.find("deployment", None) == kept
        assert await again.revision() == revision


def _changes(rng: random.Random, kept: Sequence[Record]) -> list[Change]:
    """Return changes that often fit what is kept, and sometimes do not."""
    wanted = []
    for _ in range(rng.randint(0, 4)):
        value = rng.choice([None, b"", rng.randbytes(20)])
        if kept and rng.random() < 0.4:
            one = rng.choice(kept)
            expected = rng.choice([one.version, one.version, None, 0])
            wanted.append(Change(one.kind, one.tenant, one.key, value, expected))
        else:
            name = rng.choice(KINDS), rng.choice(TENANTS), rng.choice(KEYS)
            wanted.append(Change(*name, value, rng.choice([None, None, 0])))
    return wanted


def _asked(rng: random.Random) -> dict[str, object]:
    return {
        "prefix": rng.choice(["", "", "a", "a/", "\uffff"]),
        "after": rng.choice(["", *KEYS]),
        "limit": rng.choice([1, 3, 100]),
        "is_backward": rng.random() < 0.5,
    }


async def _outcome(
    records: Records, changes: Sequence[Change], at_ms: int
) -> list[int] | str:
    """Return the new versions, or what is told of the record that stands otherwise."""
    try:
        return await records.change(changes, at_ms)
    except Conflict as error:
        return str(error)

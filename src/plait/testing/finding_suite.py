"""The part of the stores' contract that says which executions a search finds.

Not here: everything else that a store promises (plait.testing.journal_suite, which has
these tests too).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import pytest

from plait.drivers.journal import Store
from plait.ports.counts import Counts
from plait.ports.journal import Search, Standing
from plait.testing.store_suite import (
    ANN,
    AT_ONCE,
    COMPLETED,
    NOW_MS,
    StoreSuite,
    entry,
    new,
)
from plait.testing.upkeep_suite import KeptStore


class CountingStore(Store, Counts, Protocol):
    """A store that tells how many there are."""


class FindingSuite(StoreSuite):
    """Executions found by what is asked for, page by page, the latest first."""

    async def test_finding_gives_the_latest_created_first(self, store: Store) -> None:
        for number in range(5):
            await self.begin(store, f"x{number}")
        found = await store.find(Search())
        assert [one.new.execution_id for one in found] == ["x4", "x3", "x2", "x1", "x0"]

    async def test_finding_goes_on_page_by_page(self, store: Store) -> None:
        for number in range(5):
            await self.begin(store, f"x{number}")
        page = await store.find(Search(limit=2))
        following = await store.find(Search(limit=2, before=page[-1].number))
        assert [one.new.execution_id for one in page + following] == [
            "x4",
            "x3",
            "x2",
            "x1",
        ]

    @pytest.mark.parametrize(
        "search", [Search(), Search(tag="vip"), Search(text="vip"), Search(workflow="shop")]
    )
    async def test_a_page_goes_on_behind_one_that_was_removed_meanwhile(
        self, store: KeptStore, search: Search
    ) -> None:
        for number in range(5):
            await self.begin(store, f"x{number}", COMPLETED, tags=("vip",), input="vip")
        await store.release(ANN, [f"x{number}" for number in range(5)])
        page = await store.find(replace(search, limit=2))
        await store.remove(page)
        following = await store.find(replace(search, limit=2, before=page[-1].number))
        assert [one.new.execution_id for one in following] == ["x2", "x1"]

    @pytest.mark.parametrize(
        "search",
        [
            Search(execution_ids=("wanted", "nobody")),
            Search(workflow="billing"),
            Search(statuses=("failed", "cancelled")),
            Search(error_code="connector.timeout"),
            Search(tag="vip"),
            Search(text="Zoë"),
            Search(since_ms=NOW_MS + 1),
            Search(parent="mother"),
            Search(key="order-7"),
            Search(key="order-7", workflow="billing", tag="vip"),
            Search(tag="vip", text="Zoë", since_ms=NOW_MS + 1),
            Search(workflow="billing", tag="vip", statuses=("failed",)),
            Search(tenant="north"),
            Search(tenant="north", key="order-7"),
            Search(tenant="north", workflow="billing"),
            Search(tenant="north", text="Zoë", statuses=("failed",)),
            Search(tenant="north", execution_ids=("wanted", "other")),
        ],
        ids=lambda search: str(
            [
                name
                for name in search.__slots__
                if getattr(search, name) not in (None, (), 50)
            ]
        ),
    )
    async def test_finding_keeps_to_what_is_asked_for(
        self, store: CountingStore, search: Search
    ) -> None:
        await self.begin(
            store, "other", tags=("vip2",), input='{"name": "Zoe"}', key="order-7 "
        )
        failed = Standing("failed", NOW_MS + 9, None, "connector.timeout")
        await self.begin(
            store,
            "wanted",
            failed,
            workflow="billing",
            tags=("new", "vip"),
            input='{"name": "Zoë"}',
            created_at_ms=NOW_MS + 1,
            parent="mother",
            key="order-7",
            tenant="north",
        )
        await self.begin(store, "another")
        assert [one.new.execution_id for one in await store.find(search)] == ["wanted"]
        assert await store.count(search) == 1
        assert await store.count(search, 0) is None

    @pytest.mark.parametrize("text", ["\0", "a\0b"])
    @pytest.mark.parametrize(
        "name",
        [
            *("workflow", "error_code", "tag", "text", "parent", "key", "lane", "tenant"),
            *("statuses", "execution_ids"),
        ],
    )
    async def test_what_nobody_can_be_called_is_not_found(
        self, store: CountingStore, name: str, text: str
    ) -> None:
        await self.begin(store, "x1")
        is_list = name in ("statuses", "execution_ids")
        asked: list[Any] = [(text,), (text, "failed")] if is_list else [text]
        for one in asked:
            wanted: dict[str, Any] = {name: one}
            assert await store.find(Search(**wanted)) == []
            assert await store.count(Search(**wanted)) == 0

    @pytest.mark.parametrize(
        "asked",
        [
            {},
            {"workflow": "shop"},
            {"tag": "vip"},
            {"statuses": ("running",)},
            {"statuses": ("running", "failed")},
            {"text": "vip"},
            {"since_ms": NOW_MS},
            {"key": "order-7"},
            {"parent": "mother"},
            {"lane": "checkout"},
            {"execution_ids": ("default0", "north0", "north1")},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("tenants", [("default",), ("default", "north", "a")])
    async def test_nobody_finds_what_is_another_tenants(
        self, store: CountingStore, asked: dict[str, Any], tenants: tuple[str, ...]
    ) -> None:
        given: Any = {"tags": ("vip",), "input": "vip", "parent": "mother"}
        given |= {"lane": "checkout", "lane_max": 9}
        for number in range(2):
            for tenant in tenants:
                own = {"tenant": tenant, "key": f"order-{7 + number}", **given}
                await self.begin(store, f"{tenant}{number}", **own)
        for tenant in (*tenants, "nobody"):
            search = Search(tenant=tenant, **asked)
            found = [one.new.execution_id for one in await store.find(search)]
            names = [f"{tenant}1", f"{tenant}0"] if tenant != "nobody" else []
            few = asked.get("execution_ids") or (("key" in asked) and (f"{tenant}0",))
            assert found == [one for one in names if not few or one in few]
            assert await store.count(search) == len(found)
        everybody = Search(**asked)
        assert await store.count(everybody) == len(await store.find(everybody))

    async def test_counting_ends_where_it_costs_too_much(
        self, store: CountingStore
    ) -> None:
        for number in range(5):
            await self.begin(store, f"x{number}", tags=("vip",), input="vip")
        for search in (Search(), Search(tag="vip"), Search(tag="vip", text="vip")):
            counted = [await store.count(search, count_max) for count_max in (4, 5, 6)]
            assert counted == [None, 5, 5]
            assert await store.count(replace(search, limit=1, before=3)) == 5

    async def test_one_key_of_two_tenants_begins_two_executions(
        self, store: CountingStore
    ) -> None:
        first = await self.begin(store, "x1", key="k", tenant="north")
        await self.begin(store, "x2", key="k")
        started = new("x3", key="k", tenant="north")
        again = await store.create(started, [entry()], AT_ONCE, ANN)
        assert (again.summary, again.is_new) == (first, False)
        found = await store.find(Search(key="k"))
        assert [one.new.execution_id for one in found] == ["x2", "x1"]
        assert await store.count(Search(key="k")) == 2

    async def test_one_key_of_two_workflows_is_found_in_both(self, store: Store) -> None:
        await self.begin(store, "x1", key="k")
        await self.begin(store, "x2", key="k", workflow="other")
        found = await store.find(Search(key="k"))
        assert [one.new.execution_id for one in found] == ["x2", "x1"]
        found = await store.find(Search(key="k", workflow="shop"))
        assert [one.new.execution_id for one in found] == ["x1"]

    @pytest.mark.parametrize("search", [Search(tag="vip"), Search(text="vip")])
    async def test_few_among_many_are_found_page_by_page(
        self, store: Store, search: Search
    ) -> None:
        for number in range(40):
            words = ("vip", "a") if number % 9 == 0 else ("b",)
            await self.begin(store, f"x{number}", tags=words, input=str(words))
        found: list[str] = []
        last: int | None = None
        while page := await store.find(replace(search, limit=2, before=last)):
            found += [one.new.execution_id for one in page]
            last = page[-1].number
        assert found == ["x36", "x27", "x18", "x9", "x0"]

    async def test_until_a_moment_leaves_that_moment_out(self, store: Store) -> None:
        await self.begin(store, "early")
        await self.begin(store, "late", created_at_ms=NOW_MS + 1)
        found = await store.find(Search(until_ms=NOW_MS + 1))
        assert [one.new.execution_id for one in found] == ["early"]

    async def test_a_text_with_signs_of_patterns_is_taken_literally(
        self, store: Store
    ) -> None:
        await self.begin(store, "x1", input='{"a": "100%_*?[x]"}')
        await self.begin(store, "x2", input='{"a": "100 percent"}')
        found = await store.find(Search(text="100%_*?[x]"))
        assert [one.new.execution_id for one in found] == ["x1"]

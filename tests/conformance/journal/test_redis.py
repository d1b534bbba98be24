"""The Redis store keeps the contract of journal and leases, come what may."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from plait.ports.journal import (
    LostRace,
    Search,
    Standing,
    StoreFull,
    StoreTooNew,
    StoreUnavailable,
)
from plait.stores.durability import StoreNotDurable
from plait.stores.faults import StoreDamaged
from plait.stores.redis import RedisStore
from plait.stores.redis.server import SCHEMA
from plait.stores.unstorable import Unstorable
from plait.testing.journal_suite import JournalSuite
from plait.testing.store_suite import (
    ANN,
    AT_ONCE,
    BOB,
    COMPLETED,
    LATER_MS,
    NOW_MS,
    OpenStore,
    append_to,
    entry,
    new,
)
from tests.conformance.journal.damage import Damage, DamageSuite
from tests.conformance.journal.outages import GUIDE, OutageSuite, begin, work_through
from tests.conformance.journal.servers import PASSWORD, PrivateServer, redis, redis_url
from tests.conformance.journal.workers import WorkersSuite
from tests.unit.stores.histories import damages, finished


@pytest.fixture
def stores(redis_stores: OpenStore) -> OpenStore:
    return redis_stores


class TestRedisStore(JournalSuite):
    pass


class TestDamage(DamageSuite):
    @pytest.fixture(
        params=[
            ["DEL"],
            ["SET", "boo"],
            ["HSET", "tags", "garbage"],
            ["HSET", "tags", "7"],
            ["HSET", "epoch", "x"],
            ["HSET", "priority", "q"],
            ["HSET", "wake_at_ms", "abc"],
            ["HSET", "length", "x"],
        ],
        ids=" ".join,
    )
    def damage(self, request: pytest.FixtureRequest, client: Any) -> Damage:
        command, *rest = request.param

        async def damage(execution_id: str) -> None:
            await client.execute_command(command, f"{{plait}}:x:{execution_id}", *rest)

        return damage


class TestWorkersOnRedis(WorkersSuite):
    @pytest.fixture
    def place(self, shared_redis: PrivateServer) -> str:
        return redis_url(shared_redis)


class TestOutagesOfRedis(OutageSuite):
    @pytest.fixture
    def server(self) -> Iterator[PrivateServer]:
        walled = f"walled on >{PASSWORD} ~* &* +@all"
        with redis(user=walled) as server:
            yield server

    @pytest.fixture
    def url(self, server: PrivateServer) -> str:
        return redis_url(server)

    @pytest.fixture
    def scheme(self) -> str:
        return "redis"

    @pytest.fixture
    def kind(self) -> type[RedisStore]:
        return RedisStore

    @pytest.fixture
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Answers have half a second."""
        monkeypatch.setattr("plait.stores.redis.server.ANSWER_TIMEOUT_S", 0.5)


# -- what the server does at once ------------------------------------------------------


async def scripts_run(client: Any) -> int:
    stats = (await client.info("commandstats"))["cmdstat_evalsha"]
    # A script that the server does not know yet fails, and is sent once more.
    return int(stats["calls"]) - int(stats["failed_calls"])


@pytest.mark.parametrize(
    "fields",
    [{"text": "rare"}, {"since_ms": NOW_MS + 1}, {"text": "rare", "workflow": "shop"}],
    ids=str,
)
async def test_a_search_looks_at_some_rows_at_a_time_and_fetches_what_fits(
    stores: OpenStore, client: Any, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    monkeypatch.setattr("plait.stores.redis.search.IDS_MAX", 10)
    store = await stores()
    for number in range(100):
        is_rare = number in (5, 50, 95)
        text = "rare" if is_rare else "x" * 10_000
        started = new(f"x{number}", input=text, created_at_ms=NOW_MS + is_rare)
        await store.create(started, [entry()], AT_ONCE, ANN)
    runs = await scripts_run(client)
    sent = (await client.info("stats"))["total_net_output_bytes"]
    found = await store.find(Search(**fields))
    assert [one.new.execution_id for one in found] == ["x95", "x50", "x5"]
    assert await scripts_run(client) - runs == 11
    assert (await client.info("stats"))["total_net_output_bytes"] - sent < 50_000


async def test_a_page_is_fetched_in_pieces(
    stores: OpenStore, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.stores.redis.search.ROWS_MAX", 10)
    store = await stores()
    for number in range(25):
        await begin(store, f"x{number}")
    runs = await scripts_run(client)
    found = await store.find(Search(limit=25))
    assert [one.new.execution_id for one in found] == [f"x{n}" for n in range(24, -1, -1)]
    assert await scripts_run(client) - runs == 3


@pytest.mark.parametrize("end", ["leave", "release", "death"])
async def test_what_a_worker_held_is_freed_some_at_a_time(
    stores: OpenStore, client: Any, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    for module in ("session", "store"):
        monkeypatch.setattr(f"plait.stores.redis.{module}.SLICE", 10)
    store = await stores()
    for worker_id in (ANN, BOB):
        await store.join(worker_id)
        await store.beat(worker_id, NOW_MS, LATER_MS)
    ids = [f"x{number}" for number in range(95)]
    for execution_id in ids:
        await begin(store, execution_id)
    runs = await scripts_run(client)
    match end:
        case "leave":
            await store.leave(ANN)
        case "release":
            await store.release(ANN, ids)
        case _:
            await store.beat(BOB, LATER_MS + 1, LATER_MS + 9_000)
    assert await scripts_run(client) - runs == 10
    claimed = await store.claim(BOB, NOW_MS, 100)
    assert sorted(one.new.execution_id for one in claimed.executions) == sorted(ids)


async def test_what_one_beat_leaves_of_a_dead_worker_the_next_frees(
    stores: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.stores.redis.session.SLICE", 1)
    store = await stores()
    for worker_id in (ANN, BOB):
        await store.join(worker_id)
        await store.beat(worker_id, NOW_MS, LATER_MS)
    for number in range(30):
        await begin(store, f"x{number}")
    found = []
    for _ in range(2):
        await store.beat(BOB, LATER_MS + 1, LATER_MS + 9_000)
        found.append(len((await store.claim(BOB, NOW_MS, 100)).executions))
    assert found == [20, 10]


# -- whether the server will do --------------------------------------------------------


async def test_a_newer_schema_is_refused_and_left_alone(
    stores: OpenStore, client: Any
) -> None:
    await client.set("{plait}:schema", 99)
    with pytest.raises(StoreTooNew, match=f"schema 99, this version knows up to {SCHEMA}"):
        await stores()
    assert await client.dbsize() == 1


async def test_a_store_of_the_first_schema_is_brought_up(
    stores: OpenStore, client: Any
) -> None:
    store = await stores()
    for number in range(3):
        started = new(f"x{number}", priority=number % 2)
        await store.create(started, [entry("started")], AT_ONCE, ANN)
    await store.release(ANN, ["x0", "x1"])
    # As the first schema had it.
    for number in range(3):
        fields = ("lane", "lane_max", "lane_state")
        await client.hdel(f"{{plait}}:x:x{number}", *fields)
    for priority, name in ((0, "x0"), (1, "x1")):
        await client.zadd(f"{{plait}}:free:{priority}", {name: 0})
        new_ones = (f"{{plait}}:free:{priority}:shop", f"{{plait}}:groups:{priority}")
        await client.delete(*new_ones)
    await client.set("{plait}:schema", 1)
    opened = await asyncio.gather(*(stores() for _ in range(3)))
    claimed = await opened[-1].claim(BOB, NOW_MS, 10)
    assert [one.new.execution_id for one in claimed.executions] == ["x1", "x0"]
    assert await client.get("{plait}:schema") == b"%d" % SCHEMA
    assert await client.keys("{plait}:free:?") == []
    (held,) = await store.find(Search(execution_ids=("x2",)))
    await store.append(append_to(held, "end", standing=COMPLETED, is_released=True))


async def test_a_store_of_the_second_schema_is_brought_up(
    stores: OpenStore, client: Any
) -> None:
    store = await stores()
    failed = Standing("failed", NOW_MS, None, "no.good")
    for number in range(1_100):
        fields: Any = {"tags": ("vip",), "key": "k"} if number % 100 == 0 else {}
        if number % 100 == 0:
            fields["workflow"] = f"w{number}"
        standing = failed if number % 2 == 0 else AT_ONCE
        await store.create(new(f"x{number}", **fields), [entry()], standing, ANN)
    await store.leave(ANN)
    # As the second schema had it.
    keys = await client.keys("{plait}:[te]:*")
    await client.delete(*keys, "{plait}:ended", "{plait}:workflows")
    await client.set("{plait}:schema", 2)
    opened = await asyncio.gather(*(stores() for _ in range(3)))
    for search, count in (
        (Search(tag="vip"), 11),
        (Search(key="k"), 11),
        (Search(error_code="no.good", limit=1_000), 550),
    ):
        assert len(await opened[-1].find(search)) == count
    kept = cast("RedisStore", opened[-1])
    assert len(await kept.ended(NOW_MS + 1, ("failed",), 1_000)) == 550
    assert await kept.check() == []
    assert await client.get("{plait}:schema") == b"%d" % SCHEMA


# -- damage ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("HSET {plait}:x:x2 key other", "journal.damaged"),
        ("HSET {plait}:x:x2 tags []", "journal.damaged"),
        ("HSET {plait}:x:x2 parent x1", "journal.damaged"),
        ("HSET {plait}:x:x2 priority 9", "journal.damaged"),
        ("HSET {plait}:x:x2 created_at_ms 1", "journal.damaged"),
        ("HSET {plait}:x:x2 at_ms 1", "journal.damaged"),
        ("HSET {plait}:x:x2 length 1", "journal.damaged"),
        ("HSET {plait}:x:x2 length many", "store.damaged"),
        ("HDEL {plait}:x:x2 workflow", "store.damaged"),
        ("RPOP {plait}:h:x2", "journal.damaged"),
        ("DEL {plait}:h:x2", "journal.damaged"),
    ],
)
async def test_damage_in_one_is_told_and_hides_no_other(
    stores: OpenStore, client: Any, command: str, found: str
) -> None:
    store = await stores()
    await finished(store, "x1", "x2", "x3", tags=("vip",))
    assert await damages(store) == []
    await client.execute_command(*command.split())
    told = [one for one in await damages(store) if one[0] is not None]
    assert told == [("x2", found)]


@pytest.mark.parametrize(
    "command",
    [
        "DEL {plait}:x:x2",
        "ZREM {plait}:t:vip x2",
        "ZREM {plait}:w:shop x2",
        "ZADD {plait}:s:completed 99 x2",
        "ZREM {plait}:ended x2",
    ],
)
async def test_lists_that_do_not_agree_with_rows_are_told(
    stores: OpenStore, client: Any, command: str
) -> None:
    store = await stores()
    await finished(store, "x1", "x2", "x3", tags=("vip",))
    await client.execute_command(*command.split())
    code = "store.damaged" if command.startswith("DEL") else "store.inconsistent"
    whose = None if command.startswith("DEL") else "x2"
    assert (whose, code) in await damages(store)


async def test_a_store_of_the_third_schema_is_the_default_tenant_s(
    stores: OpenStore, client: Any
) -> None:
    store = await stores()
    await store.create(new("x1", key="k"), [entry()], AT_ONCE, ANN)
    await client.set("{plait}:schema", 3)
    brought_up = await stores()
    assert await client.get("{plait}:schema") == b"%d" % SCHEMA
    (found,) = await brought_up.find(Search(tenant="default", key="k"))
    assert found.new.execution_id == "x1"
    assert await brought_up.find(Search(tenant="north")) == []


async def test_a_schema_that_is_no_number_is_told(stores: OpenStore, client: Any) -> None:
    await client.set("{plait}:schema", "x")
    with pytest.raises(StoreDamaged, match="schema is no number"):
        await stores()


async def test_what_is_removed_while_lists_are_compared_is_no_damage(
    stores: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = cast("RedisStore", await stores())
    await finished(store, "x1", "x2")
    pages = store._pages

    async def removed_behind() -> AsyncIterator[list[tuple[str, float]]]:
        async for page in pages():
            await store.remove(await store.find(Search(execution_ids=("x2",))))
            yield page

    monkeypatch.setattr(store, "_pages", removed_behind)
    assert await store.check() == []
    assert await store.ids() == ["x1"]


# -- whether the server is durable -----------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"appendonly": "no"}, "set appendonly yes$"),
        ({"appendfsync": "everysec"}, "set appendfsync always$"),
        ({"no-appendfsync-on-rewrite": "yes"}, "set no-appendfsync-on-rewrite no$"),
        (
            {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"},
            "set maxmemory-policy noeviction$",
        ),
    ],
)
async def test_a_server_that_may_forget_is_refused_with_what_to_set(
    settings: dict[str, str], remedy: str
) -> None:
    with redis(**settings) as server:
        with pytest.raises(StoreNotDurable, match=remedy):
            await RedisStore.open(redis_url(server))
        # Nothing was written, and whoever knows better may say so.
        async with Redis(port=server.port) as client:
            assert await client.dbsize() == 0
        store = await RedisStore.open(f"{redis_url(server)}?durability=unchecked")
        await store.close()


async def test_a_server_that_cannot_be_asked_is_refused_with_what_to_do(
    client: Any, shared_redis: PrivateServer
) -> None:
    await client.acl_setuser(
        "modest",
        enabled=True,
        passwords=[f"+{PASSWORD}"],
        keys=["*"],
        channels=["*"],
        commands=["+@all", "-config", "-client|list"],
    )
    url = f"redis://modest:{PASSWORD}@127.0.0.1:{shared_redis.port}/0"
    with pytest.raises(StoreNotDurable, match="allow CONFIG GET") as caught:
        await RedisStore.open(url)
    assert PASSWORD not in str(caught.value)
    # Without CLIENT LIST only the leases say who lives.
    store = await RedisStore.open(f"{url}?durability=unchecked")
    other = await RedisStore.open(f"{url}?durability=unchecked")
    for one, worker in ((store, "ann"), (other, "bob")):
        await one.join(worker)
        await one.beat(worker, 0, 1_000)
    await begin(store, "x1")
    await store.close()
    await other.beat("bob", 1_000, 3_000)
    assert (await other.claim("bob", 1_000, 1)).executions == []
    await other.beat("bob", 1_001, 3_000)
    assert len((await other.claim("bob", 1_001, 1)).executions) == 1
    await other.close()


async def test_the_user_of_the_guide_may_do_all_that_workers_do(
    client: Any, shared_redis: PrivateServer
) -> None:
    (rules,) = re.findall(r"^user plait (.+)$", GUIDE.read_text(), re.MULTILINE)
    words = rules.replace("PASSWORD", PASSWORD).split()
    await client.execute_command("ACL SETUSER", "plait", "reset", *words)
    url = f"redis://plait:{PASSWORD}@127.0.0.1:{shared_redis.port}/0"
    await work_through(lambda: RedisStore.open(url))


async def test_a_full_memory_refuses_writes_whole_and_goes_on_reading(
    stores: OpenStore, client: Any
) -> None:
    store = await stores()
    summary = await begin(store, "x1")
    await client.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreFull):
            await store.append(append_to(summary, "two"))
        assert (await store.read("x1")).summary == summary
    finally:
        await client.config_set("maxmemory", "0")
    await store.append(append_to(summary, "two"))


async def test_a_server_that_is_too_old_is_refused(
    shared_redis: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.stores.redis.server._VERSION_MIN", 999)
    with pytest.raises(StoreUnavailable, match="999 or newer is needed"):
        await RedisStore.open(redis_url(shared_redis))


# -- leases ----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["claim", "take"])
async def test_a_claim_that_is_answered_late_gives_no_hold_of_somebody_else(
    stores: OpenStore, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    slow, other = await stores(), await stores()
    await slow.join(ANN)
    await slow.beat(ANN, NOW_MS, NOW_MS + 1_000)
    await begin(slow, "x1")
    await slow.release(ANN, ["x1"])
    run = slow._scripts.run  # type: ignore[attr-defined]

    async def run_late(script: str, *arguments: Any) -> Any:
        answer = await run(script, *arguments)
        if script == verb:
            # Before Ann hears of what she has, she is dead for Bob.
            await other.beat(BOB, LATER_MS, LATER_MS + 1_000)
            await other.claim(BOB, LATER_MS, 1)
        return answer

    monkeypatch.setattr(slow._scripts, "run", run_late)  # type: ignore[attr-defined]
    if verb == "claim":
        (held,) = (await slow.claim(ANN, NOW_MS, 1)).executions
    else:
        held = await slow.take(ANN, NOW_MS, "x1")
    assert (held.owner, held.epoch) == (ANN, 2)
    assert (await other.read("x1")).summary.owner == BOB
    with pytest.raises(LostRace):
        await slow.append(append_to(held, "stale"))


# -- batches ---------------------------------------------------------------------------


async def test_appends_that_come_together_wait_for_the_disk_together(
    stores: OpenStore, client: Any
) -> None:
    store = await stores()
    summaries = [await begin(store, f"x{number}") for number in range(100)]
    before = (await client.info("stats"))["total_reads_processed"]
    await asyncio.gather(*(store.append(append_to(one, "two")) for one in summaries))
    # Redis reads some 16 KB at once, and waits for the disk after each read.
    assert (await client.info("stats"))["total_reads_processed"] - before <= 10


async def test_what_cannot_be_stored_leaves_its_neighbours_alone(stores: OpenStore) -> None:
    store = await stores()
    keys = ["good", "good \x00", "bad \ud800", "better"]
    starts = [new(f"x{number}", key=key, tags=(key,)) for number, key in enumerate(keys)]
    created = await asyncio.gather(
        *(store.create(one, [entry()], AT_ONCE, ANN) for one in starts),
        return_exceptions=True,
    )
    assert [isinstance(one, Unstorable) for one in created] == [False, False, True, False]
    assert {one.new.key for one in await store.find(Search())} == {*keys} - {"bad \ud800"}


async def test_scripts_that_the_server_has_forgotten_are_told_again(
    stores: OpenStore, client: Any
) -> None:
    store = await stores()
    summary = await begin(store, "x1")
    await client.script_flush()
    await store.append(append_to(summary, "two"))
    assert (await store.read("x1")).summary.length == 2


async def test_a_long_history_comes_in_one_append(stores: OpenStore) -> None:
    store = await stores()
    summary = await begin(store, "x1")
    texts = [str(number) for number in range(20_000)]
    await store.append(append_to(summary, *texts))
    history = await store.read("x1")
    assert [one.body.decode() for one in history.entries[1:]] == texts

"""The PostgreSQL store keeps the contract of journal and leases, come what may."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from plait.ports.journal import (
    Message,
    Search,
    Standing,
    StoreTooNew,
    StoreUnavailable,
)
from plait.stores.durability import StoreNotDurable
from plait.stores.faults import StoreDamaged
from plait.stores.postgres import PostgresStore, leases
from plait.stores.postgres.searches import search_sql
from plait.stores.postgres.server import migrations
from plait.stores.unstorable import Unstorable
from plait.testing.journal_suite import JournalSuite
from plait.testing.store_suite import (
    ANN,
    AT_ONCE,
    BOB,
    LATER_MS,
    NOW_MS,
    OpenStore,
    append_to,
    entry,
    new,
)
from tests.conformance.journal.damage import Damage, DamageSuite
from tests.conformance.journal.derived import DerivedSuite, Spoil
from tests.conformance.journal.outages import GUIDE, OutageSuite, begin, work_through
from tests.conformance.journal.servers import (
    PASSWORD,
    PrivateServer,
    postgres,
    postgres_address,
    postgres_url,
)
from tests.conformance.journal.workers import WorkersSuite
from tests.unit.stores.histories import damages, finished


@pytest.fixture
def stores(postgres_stores: OpenStore) -> OpenStore:
    return postgres_stores


# Bytes that are no text, which the server would take from nobody.
NO_TEXT = r"('\xff'::bytea)::text"


class TestDamage(DamageSuite):
    @pytest.fixture(
        params=[
            "executions SET tags = '7'",
            "executions SET tags = '{}'",
            "executions SET tags = '[1]'",
            f"executions SET input = {NO_TEXT}",
            f"executions SET plan_hash = {NO_TEXT}",
            f"standings SET error_code = {NO_TEXT}",
            # An array of one text, which is none; and nothing that the server knows.
            r"executions SET tags = ('\x0100004003000000ffffff'::bytea)::jsonb",
            r"executions SET tags = ('\xffffffffffff'::bytea)::jsonb",
        ]
    )
    async def damage(
        self, request: pytest.FixtureRequest, database: Any
    ) -> AsyncIterator[Damage]:
        number = "(SELECT number FROM plait.executions WHERE id = '{}')"
        column = "execution" if request.param.startswith("standings") else "number"

        async def damage(execution_id: str) -> None:
            where = f"{column} = {number.format(execution_id)}"
            await database.execute(f"UPDATE plait.{request.param} WHERE {where}")

        for kind in ("text", "jsonb"):
            await database.execute(f"CREATE CAST (bytea AS {kind}) WITHOUT FUNCTION")
        yield damage
        for kind in ("text", "jsonb"):
            await database.execute(f"DROP CAST (bytea AS {kind})")


async def test_tags_that_nobody_can_read_hide_no_others_that_are_wrong(
    stores: OpenStore, database: Any
) -> None:
    store = await stores()
    await finished(store, "x1", "x2", "x3", tags=("vip",))
    await database.execute(
        "CREATE CAST (bytea AS jsonb) WITHOUT FUNCTION;"
        "UPDATE plait.executions SET tags = ('\\xffffffffffff'::bytea)::jsonb"
        " WHERE number = 2;"
        "DROP CAST (bytea AS jsonb);"
        "DELETE FROM plait.tags WHERE execution = 3"
    )
    found = await damages(store)
    assert {("x2", "store.damaged"), ("x3", "store.inconsistent")} <= {*found}
    assert not any(name == "x1" for name, _ in found)


async def test_a_lost_page_of_large_values_stops_only_whose_they_are() -> None:
    with postgres(fsync="off") as server:
        connection = await asyncpg.connect(postgres_address(server))
        store = await PostgresStore.open(postgres_url(server))
        await store.join(ANN)
        large = random.Random(1).randbytes(50_000).hex()
        for name, text in (("x1", "{}"), ("x2", large), ("x3", "{}")):
            await store.create(new(name, input=text), [entry()], AT_ONCE, ANN)
        await store.release(ANN, ["x1", "x2", "x3"])
        await store.close()
        query = "SELECT pg_relation_filepath(reltoastrelid) FROM pg_class"
        file = await connection.fetchval(
            f"{query} WHERE oid = 'plait.executions'::regclass"
        )
        folder = Path(await connection.fetchval("SHOW data_directory"))
        await connection.close()
        server.stop()
        (folder / file).write_bytes(b"")
        server.start()
        store = await PostgresStore.open(postgres_url(server))
        await store.join(ANN)
        claimed = await store.claim(ANN, NOW_MS, 10)
        assert [one.new.execution_id for one in claimed.executions] == ["x1", "x3"]
        again = await store.claim(ANN, NOW_MS, 10)
        assert (again.executions, again.next_wake_at_ms) == ([], None)
        with pytest.raises(StoreDamaged):
            await store.read("x2")
        await store.close()


@pytest.mark.parametrize("table", ["standings", "executions"])
async def test_a_page_that_cannot_be_read_stops_only_who_stands_in_it(
    table: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"x{number}" for number in range(200)]
    with postgres(fsync="off") as server:
        store = await PostgresStore.open(postgres_url(server))
        await store.join(ANN)
        for name in names:
            await store.create(new(name), [entry()], AT_ONCE, ANN)
        await store.beat(ANN, NOW_MS, LATER_MS)
        await store.post(Message("m1", "x0", b"{}"))
        await store.close()
        lost = await without_block(server, table, 1)
        assert 0 < len(lost) < 150
        store = await PostgresStore.open(postgres_url(server))
        await store.join(BOB)
        now_ms = LATER_MS + 1
        assert await store.beat(BOB, now_ms, 2 * now_ms) == []
        claimed = await store.claim(BOB, now_ms, 1_000)
        assert {one.new.execution_id for one in claimed.executions} == {*names} - lost
        await store.append(append_to(claimed.executions[-1], "on"))
        again = await store.claim(BOB, now_ms, 1_000)
        assert (again.executions, again.next_wake_at_ms) == ([], None)
        (heard,) = await store.beat(BOB, now_ms, 2 * now_ms)
        assert heard.execution_id == "x0"
        logged = [one for one in caplog.messages if "cannot be read" in one]
        assert len(logged) == (table == "standings")
        assert await store.check() == [f"block 1 of the table {table} cannot be read"]
        assert (None, "store.damaged") in await damages(store)
        await store.close()


async def without_block(server: PrivateServer, table: str, block: int) -> set[str]:
    """Overwrite a block with what is no page; return the ids of whose rows stood in it."""
    connection = await asyncpg.connect(postgres_address(server))
    file = await connection.fetchval(f"SELECT pg_relation_filepath('plait.{table}')")
    folder = Path(await connection.fetchval("SHOW data_directory"))
    number = "number" if table == "executions" else "execution"
    rows = await connection.fetch(
        f"SELECT id FROM plait.executions WHERE number IN (SELECT {number}"
        f" FROM plait.{table} WHERE ctid >= '({block},0)' AND ctid < '({block + 1},0)')"
    )
    await connection.close()
    server.stop()
    with open(folder / file, "r+b") as data:
        data.seek(block * 8_192)
        data.write(b"\xff" * 8_192)
    server.start()
    return {row[0] for row in rows}


class TestDerived(DerivedSuite):
    @pytest.fixture
    def spoil(self, database: Any) -> Spoil:
        def number(name: str) -> str:
            return f"(SELECT number FROM plait.executions WHERE id = '{name}')"

        def stands(name: str, change: str) -> str:
            where = f"WHERE execution = {number(name)}"
            return f"UPDATE plait.standings SET {change} {where}"

        changes = {
            "untag": "DELETE FROM plait.tags WHERE tag = 'vip'",
            "tag": f"INSERT INTO plait.tags VALUES ('spam', {number('x1')})",
            "strand": stands("x2", "lane_state = 2, wake_at_ms = NULL"),
            "overfill": stands("x2", "lane_state = 0"),
            "ghost": stands("x1", "lane_state = 2"),
            "unplan": stands("x3", "workflow = 'y'"),
        }

        async def spoil(name: str) -> None:
            await database.execute(changes[name])

        return spoil


class TestPostgresStore(JournalSuite):
    pass


class TestWorkersOnPostgres(WorkersSuite):
    @pytest.fixture
    def place(self, shared_postgres: PrivateServer) -> str:
        return postgres_url(shared_postgres)


class TestOutagesOfPostgres(OutageSuite):
    @pytest.fixture
    def server(self) -> Iterator[PrivateServer]:
        with postgres() as server:
            yield server

    @pytest.fixture
    def url(self, server: PrivateServer) -> str:
        return postgres_address(server)

    @pytest.fixture
    def scheme(self) -> str:
        return "postgresql"

    @pytest.fixture
    def kind(self) -> type[PostgresStore]:
        return PostgresStore

    @pytest.fixture
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Statements get half a second."""
        monkeypatch.setattr("plait.stores.postgres.server.ANSWER_TIMEOUT_S", 0.5)


# -- whether the server will do --------------------------------------------------------


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_a_server_that_may_forget_is_refused_with_what_to_set(setting: str) -> None:
    with postgres(**{setting: "off"}) as server:
        with pytest.raises(StoreNotDurable, match=f"set {setting} = on$"):
            await PostgresStore.open(postgres_address(server))
        # Nothing was written, and whoever knows better may say so.
        connection = await asyncpg.connect(postgres_address(server))
        assert await connection.fetchval("SELECT to_regnamespace('plait')") is None
        await connection.close()
        store = await PostgresStore.open(postgres_url(server))
        await store.close()


async def test_the_role_of_the_guide_may_do_all_that_workers_do(
    database: Any, shared_postgres: PrivateServer
) -> None:
    (block,) = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    for statement in block.replace("…", PASSWORD).strip().splitlines():
        await database.execute(statement)
    place = f"plait:{PASSWORD}@127.0.0.1:{shared_postgres.port}/plait"
    url = f"postgresql://{place}?durability=unchecked"
    await work_through(lambda: PostgresStore.open(url))


# -- the schema ------------------------------------------------------------------------


async def test_a_newer_schema_is_refused_and_left_alone(
    stores: OpenStore, database: Any
) -> None:
    await (await stores()).close()
    await database.execute("UPDATE plait.schema_version SET version = 99")
    known = len(migrations())
    with pytest.raises(StoreTooNew, match=f"schema 99, this version knows up to {known}"):
        await stores()
    assert await database.fetchval("SELECT version FROM plait.schema_version") == 99


async def test_a_store_of_the_first_schema_is_brought_up(
    stores: OpenStore, database: Any
) -> None:
    await database.execute(
        "CREATE SCHEMA plait; SET search_path = plait;"
        "CREATE TABLE schema_version (version integer NOT NULL);"
        f"INSERT INTO schema_version VALUES (1); {migrations()[0]};"
        "INSERT INTO executions (id, workflow, plan_hash, created_at_ms, input, tags)"
        " VALUES ('x1', 'shop', 'sha256:1', 0, '', '[\"vip\", \"vip\"]');"
        "INSERT INTO standings"
        " (execution, status, at_ms, wake_at_ms, length, head, epoch, priority)"
        " SELECT number, 'running', 0, 0, 0, '', 1, 0 FROM executions"
    )
    opened = await asyncio.gather(*(stores() for _ in range(3)))
    claimed = await opened[0].claim(ANN, NOW_MS, 10)
    assert [one.new.workflow for one in claimed.executions] == ["shop"]
    assert await database.fetchval("SELECT version FROM schema_version") == len(
        migrations()
    )
    assert await database.fetchval("SELECT workflow FROM standings") == "shop"
    assert await opened[1].find(Search(tag="vip")) == claimed.executions


# -- damage ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        *(
            (f"UPDATE executions SET {column} WHERE id = 'x2'", "journal.damaged")
            for column in (
                "key = 'other'",
                "tags = '[]'",
                "parent = 'x1'",
                "created_at_ms = created_at_ms + 1",
                "input = '{}'",
            )
        ),
        *(
            (f"UPDATE standings SET {column} WHERE execution = 2", "journal.damaged")
            for column in ("priority = 9", "lane = 'shop'", "at_ms = 1", "length = 1")
        ),
        ("DELETE FROM entries WHERE execution = 2", "journal.damaged"),
        ("UPDATE entries SET body = '' WHERE execution = 2", "journal.damaged"),
    ],
)
async def test_damage_in_one_is_told_and_hides_no_other(
    stores: OpenStore, database: Any, sql: str, found: str
) -> None:
    store = await stores()
    await finished(store, "x1", "x2", "x3", tags=("vip",))
    assert await damages(store) == []
    await database.execute(f"SET search_path = plait; {sql}")
    told = [one for one in await damages(store) if one[0] is not None]
    assert told == [("x2", found)]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM executions WHERE number = 2",
        "DELETE FROM standings WHERE execution = 2",
        "UPDATE standings SET workflow = 'ship' WHERE execution = 2",
        "DELETE FROM tags WHERE execution = 2",
        "UPDATE tags SET tag = 'VIP' WHERE execution = 2",
    ],
)
async def test_tables_that_do_not_agree_are_told(
    stores: OpenStore, database: Any, sql: str
) -> None:
    store = await stores()
    await finished(store, "x1", "x2", "x3", tags=("vip",))
    await database.execute(f"SET search_path = plait; {sql}")
    assert {(None, "store.damaged"), ("x2", "store.inconsistent")} & {*await damages(store)}


async def test_many_processes_may_open_an_empty_database_at_once(stores: OpenStore) -> None:
    opened = await asyncio.gather(*(stores() for _ in range(8)))
    await begin(opened[0], "x1")
    assert len(await opened[-1].find(Search())) == 1


async def test_a_database_that_is_not_there_is_told_of(
    shared_postgres: PrivateServer,
) -> None:
    url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{shared_postgres.port}/nowhere"
    with pytest.raises(StoreUnavailable, match='database "nowhere" does not exist'):
        await PostgresStore.open(url)


async def test_a_connection_that_the_server_has_taken_leave_of_is_lost(
    stores: OpenStore,
) -> None:
    server = (await stores())._server  # type: ignore[attr-defined]
    used: list[Any] = []

    async def use() -> None:
        async with server.connection() as connection:
            used.append(connection._con)
            raise asyncpg.InternalClientError("another operation (2) is in progress")

    with pytest.raises(StoreUnavailable, match="has ended the connection"):
        await use()
    assert used[0].is_closed()


# -- among many ------------------------------------------------------------------------


@pytest.mark.parametrize("wake_at_ms", [0, NOW_MS + 1], ids=["all due", "none due"])
async def test_a_claim_reads_no_more_rows_than_it_wants_of_each_priority(
    stores: OpenStore, database: Any, wake_at_ms: int
) -> None:
    store = await stores()
    await database.execute(_MANY.format(wake_at_ms))
    for number in range(3):
        await begin(store, f"told{number}", Standing("running", NOW_MS, None))
        await store.release(ANN, [f"told{number}"])
        await store.post(Message("m1", f"told{number}", b""))
    wanted = (ANN, NOW_MS, 20, "token", "")
    async with store._server.connection() as connection:  # type: ignore[attr-defined]
        explained = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {leases._CLAIM}", *wanted
        )
    (found,) = orjson.loads(explained)
    # Two priorities of twenty each, and what carries them from node to node.
    assert max(_rows_read(found["Plan"])) <= 60
    held = await database.fetchval("SELECT count(*) FROM standings WHERE owner = $1", ANN)
    assert held == (20 if wake_at_ms == 0 else 3)


_MANY = """
SET search_path = plait;
INSERT INTO executions (id, workflow, plan_hash, created_at_ms, input, tags)
    SELECT 'x' || n, 'shop', 'sha256:1', 0, '', '[]' FROM generate_series(1, 5000) n;
INSERT INTO standings
    (execution, status, at_ms, wake_at_ms, length, head, epoch, priority)
    SELECT number, 'running', 0, {}, 0, '', 1, number % 2 FROM executions
"""


def _rows_read(node: dict[str, Any]) -> Iterator[int]:
    """Yield how many rows each node of a plan has read, those included that it dropped."""
    read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    read += node.get("Rows Removed by Join Filter", 0)
    yield int(read * node["Actual Loops"])
    for inner in node.get("Plans", ()):
        yield from _rows_read(inner)


# -- batches ---------------------------------------------------------------------------


async def test_appends_that_come_together_are_committed_together(
    stores: OpenStore, database: Any
) -> None:
    store = await stores()
    summaries = [await begin(store, f"x{number}") for number in range(100)]
    transactions = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
    before = await database.fetchval(transactions)
    await asyncio.gather(*(store.append(append_to(one, "two")) for one in summaries))
    assert await database.fetchval(transactions) - before <= 3


async def test_what_cannot_be_stored_leaves_its_neighbours_alone(stores: OpenStore) -> None:
    store = await stores()
    too_long = random.Random(1).randbytes(10_000).hex()
    keys = ["good", "bad \x00", "worse \ud800", too_long, "better"]
    starts = [new(f"x{number}", key=key) for number, key in enumerate(keys)]
    created = await asyncio.gather(
        *(store.create(one, [entry()], AT_ONCE, ANN) for one in starts),
        return_exceptions=True,
    )
    refused = [isinstance(one, Unstorable) for one in created]
    assert refused == [False, True, True, True, False]
    assert {one.new.key for one in await store.find(Search())} == {"good", "better"}


async def test_commits_wait_for_the_disk_whatever_the_servers_default(
    database: Any, shared_postgres: PrivateServer
) -> None:
    await database.execute("ALTER DATABASE postgres SET synchronous_commit = off")
    try:
        other = await PostgresStore.open(postgres_url(shared_postgres))
        async with other._server.connection() as connection:
            assert await connection.fetchval("SHOW synchronous_commit") == "on"
        await other.close()
    finally:
        await database.execute("ALTER DATABASE postgres RESET synchronous_commit")


@pytest.mark.parametrize(
    ("search", "index"),
    [
        (Search(key="k"), "executions_by_key"),
        (Search(parent="x1"), "executions_by_parent"),
        (Search(tag="vip"), "tags_pkey"),
        (Search(error_code="no.good"), "standings_by_error"),
        (Search(statuses=("failed",)), "standings_by_status"),
    ],
)
async def test_a_search_reads_the_latest_of_just_what_it_asks_for(
    stores: OpenStore, database: Any, search: Search, index: str
) -> None:
    store = await stores()
    await database.execute(_MANY.format(0))
    await database.execute("ANALYZE")
    sql, values = search_sql(search, None, 50)
    async with store._server.connection() as connection:  # type: ignore[attr-defined]
        explained = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *values
        )
    (found,) = orjson.loads(explained)
    assert f'"{index}"' in explained
    assert max(_rows_read(found["Plan"])) <= 50

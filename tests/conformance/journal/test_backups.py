"""The commands that `plait journal backup` names make whole stores, as the guide has it."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from plait.drivers.journal import Store
from plait.ports.journal import Search
from plait.ports.upkeep import BackupElsewhere, Upkeep
from plait.stores.postgres import PostgresStore
from plait.stores.redis import RedisStore
from tests.conformance.journal.servers import postgres, redis
from tests.unit.stores.histories import damages, finished


@asynccontextmanager
async def closing(store: Store) -> AsyncIterator[Store]:
    try:
        yield store
    finally:
        await store.close()


async def command_of(store: Store, target: Path, address: str) -> list[str]:
    """Return the command that is named, for a server at this address."""
    assert isinstance(store, Upkeep)
    with pytest.raises(BackupElsewhere, match="nothing was written") as caught:
        await store.backup(target)
    assert not target.exists()
    (command,) = re.findall(r"`(.+)`", caught.value.remedy)
    words = command.replace("ADDRESS", address).split()
    assert shutil.which(words[0]) is not None
    return list(words)


async def run(*command: str) -> None:
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


async def is_whole(store: Store) -> bool:
    """Say whether the two executions are there, with tag and key, and undamaged."""
    found = await store.find(Search(tag="vip"))
    names = {one.new.execution_id for one in found}
    return names == {"x1", "x2"} and await damages(store) == []


async def test_a_dump_of_postgresql_is_a_whole_store(tmp_path: Path) -> None:
    target = tmp_path / "plait.dump"
    with postgres(fsync="off") as server:
        place = f"postgresql://postgres@127.0.0.1:{server.port}"
        async with closing(
            await PostgresStore.open(f"{place}/postgres?durability=unchecked")
        ) as store:
            await finished(store, "x1", "x2", tags=("vip",))
            await run(*await command_of(store, target, f"{place}/postgres"))
        connection = await asyncpg.connect(f"{place}/postgres")
        await connection.execute("CREATE DATABASE restored")
        await connection.close()
        await run("pg_restore", f"--dbname={place}/restored", str(target))
        async with closing(
            await PostgresStore.open(f"{place}/restored?durability=unchecked")
        ) as copy:
            assert await is_whole(copy)
            await finished(copy, "x3")


async def test_a_dump_of_redis_is_a_whole_store(tmp_path: Path) -> None:
    target = tmp_path / "plait.rdb"
    with redis() as server:
        address = f"redis://127.0.0.1:{server.port}/0"
        async with closing(await RedisStore.open(address)) as store:
            await finished(store, "x1", "x2", tags=("vip",))
            await run(*await command_of(store, target, address))
    with redis(appendonly="no") as server:
        # It read nothing at its start; the copy is put where it looks for it.
        async with Redis(port=server.port, decode_responses=True) as client:
            folder = Path(str((await client.config_get("dir"))["dir"]))
            shutil.copy(target, folder / "dump.rdb")
            (folder / "dump.rdb").chmod(0o644)
        server.kill()
        server.start()
        async with Redis(port=server.port, decode_responses=True) as client:
            await client.config_set("appendonly", "yes")
            while (await client.info("persistence"))["aof_rewrite_in_progress"]:
                await asyncio.sleep(0)
        async with closing(
            await RedisStore.open(f"redis://127.0.0.1:{server.port}/0")
        ) as copy:
            assert await is_whole(copy)
            await finished(copy, "x3")

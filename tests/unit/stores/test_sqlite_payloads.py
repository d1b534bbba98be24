"""Large payloads in the SQLite store: beside the database, with the same promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plait.ports.blobs import INLINE_BYTES_MAX
from plait.ports.journal import (
    TERMINAL,
    Append,
    Entry,
    NewExecution,
    Standing,
    StoreUnavailable,
    Summary,
    UnknownExecution,
)
from plait.stores.sqlite import SqliteStore
from tests.unit.stores.test_files import files_of_at_most

RUNNING = Standing("running", 1, 0)
DONE = Standing("completed", 5, None)
LARGE = b"x" * (INLINE_BYTES_MAX + 1)
FOREVER = 10**15


def entry(body: bytes) -> Entry:
    return Entry(body, b"digest")


def new(execution_id: str) -> NewExecution:
    return NewExecution(execution_id, "shop", "sha256:1", 1, "{}")


async def begin(store: SqliteStore, execution_id: str, body: bytes = LARGE) -> Summary:
    return (await store.create(new(execution_id), [entry(body)], RUNNING, "w")).summary


async def end(store: SqliteStore, execution_id: str, body: bytes = LARGE) -> None:
    epoch = (await store.read(execution_id)).summary.epoch
    await store.append(
        Append(execution_id, [entry(body)], DONE, 1, epoch, is_released=True)
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plait.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(path)
    yield opened
    await opened.close()


def blobs(path: Path) -> list[Path]:
    folder = path.with_name(f"{path.name}.blobs")
    return [one for one in folder.glob("*") if not one.name.startswith(".")]


async def test_what_is_larger_than_256_kb_is_a_file_and_what_is_not_is_none(
    store: SqliteStore, path: Path
) -> None:
    await begin(store, "small", LARGE[1:])
    assert blobs(path) == []
    await begin(store, "large")
    (blob,) = blobs(path)
    assert blob.read_bytes() == LARGE
    for execution_id, body in (("small", LARGE[1:]), ("large", LARGE)):
        assert (await store.read(execution_id)).entries == [entry(body)]


async def test_equal_payloads_are_one_file(store: SqliteStore, path: Path) -> None:
    for number in range(3):
        await begin(store, f"x{number}")
        await end(store, f"x{number}")
    assert len(blobs(path)) == 1


async def test_a_payload_that_cannot_be_written_leaves_no_entry(
    store: SqliteStore, path: Path
) -> None:
    with files_of_at_most(INLINE_BYTES_MAX), pytest.raises(StoreUnavailable):
        await begin(store, "x1")
    with pytest.raises(UnknownExecution):
        await store.read("x1")
    assert blobs(path) == []
    await begin(store, "x1")


async def test_compact_removes_the_files_that_nobody_names_any_more(
    store: SqliteStore, path: Path
) -> None:
    own = b"own" + LARGE
    for execution_id in ("x1", "x2"):
        await begin(store, execution_id)
    await end(store, "x1", own)
    assert len(blobs(path)) == 2
    await store.remove(await store.ended(FOREVER, TERMINAL, 10))
    assert await store.tidy() >= len(own)
    assert [one.read_bytes() for one in blobs(path)] == [LARGE]
    assert (await store.read("x2")).entries == [entry(LARGE)]


async def test_what_a_dead_worker_saved_and_never_named_goes_when_one_joins(
    path: Path,
) -> None:
    dead = await SqliteStore.open(path)
    await begin(dead, "x1")
    dead._payloads.blobs.save(b"never named" + LARGE)
    await dead.close()
    assert len(blobs(path)) == 2
    living = await SqliteStore.open(path)
    await living.join("w2")
    await living.leave("w2")
    await living.close()
    assert [one.read_bytes() for one in blobs(path)] == [LARGE]


@pytest.mark.slow
async def test_a_payload_is_never_lost_to_a_sweep_at_the_same_time(path: Path) -> None:
    """Others remove what nobody names, all the time; what is acknowledged is there."""
    writer, sweeper = await SqliteStore.open(path), await SqliteStore.open(path)
    is_over = False

    async def sweep() -> int:
        count = 0
        while not is_over:
            await sweeper._payloads.sweep()
            count += 1
        return count

    sweeping = asyncio.ensure_future(sweep())
    for number in range(20):
        body = f"{number}".encode() + LARGE
        await begin(writer, f"x{number}", body)
        assert (await writer.read(f"x{number}")).entries == [entry(body)]
        await end(writer, f"x{number}", b"")
        await writer.remove(await writer.ended(FOREVER, TERMINAL, 10))
        await writer.tidy()
    is_over = True
    assert await sweeping > 0
    for one in (writer, sweeper):
        await one.close()


async def test_a_blob_that_was_swept_before_it_was_named_is_saved_again(
    store: SqliteStore,
) -> None:
    save = store._payloads.blobs.save

    def swept(data: bytes) -> str:
        name = save(data)
        store._payloads.blobs.remove([name])
        store._payloads.blobs.save = save  # type: ignore[method-assign]
        return name

    store._payloads.blobs.save = swept  # type: ignore[method-assign]
    await begin(store, "x2")
    assert (await store.read("x2")).entries == [entry(LARGE)]


async def test_a_backup_has_the_files_that_it_names_and_no_others(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    await begin(store, "x1")
    store._payloads.blobs.save(b"never named" + LARGE)
    target = tmp_path / "backup.db"
    await store.backup(target)
    assert [one.read_bytes() for one in blobs(target)] == [LARGE]
    copy = await SqliteStore.open(target)
    assert (await copy.read("x1")).entries == [entry(LARGE)]
    await copy.close()

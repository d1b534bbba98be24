"""Blobs as files: kept by content, checked when read, never half there."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plait.ports.blobs import BlobDamaged
from plait.ports.journal import StoreUnavailable
from plait.stores.files import FileBlobs


def unavailable(error: OSError) -> Exception:
    return StoreUnavailable(str(error))


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs", unavailable)


@contextmanager
def files_of_at_most(byte_count: int) -> Iterator[None]:
    """Let the system refuse larger files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (byte_count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_equal_bytes_are_kept_once(blobs: FileBlobs) -> None:
    first, second = blobs.save(b"x" * 1_000), blobs.save(b"x" * 1_000)
    other = blobs.save(b"y")
    assert first == second != other
    assert set(blobs.names()) == {first, other}
    assert (blobs.load(first), blobs.load(other)) == (b"x" * 1_000, b"y")
    assert (blobs.has(first), blobs.has("0" * 64)) == (True, False)


def test_what_is_gone_or_altered_is_told(blobs: FileBlobs) -> None:
    name = blobs.save(b"x" * 100)
    (blobs.folder / name).write_bytes(b"x" * 99)
    with pytest.raises(BlobDamaged, match="altered") as caught:
        blobs.load(name)
    assert caught.value.code == "journal.blob_damaged"
    (blobs.folder / name).unlink()
    with pytest.raises(BlobDamaged, match="gone"):
        blobs.load(name)


def test_saving_again_mends_what_was_altered(blobs: FileBlobs) -> None:
    name = blobs.save(b"x" * 100)
    (blobs.folder / name).write_bytes(b"")
    assert blobs.save(b"x" * 100) == name
    assert blobs.load(name) == b"x" * 100


def test_what_could_not_be_written_whole_is_not_there_at_all(blobs: FileBlobs) -> None:
    with files_of_at_most(1_000), pytest.raises(StoreUnavailable):
        blobs.save(b"x" * 5_000)
    assert list(blobs.folder.iterdir()) == []
    assert blobs.load(blobs.save(b"x" * 5_000)) == b"x" * 5_000


def test_nothing_is_removed_while_a_backup_copies(blobs: FileBlobs) -> None:
    name = blobs.save(b"x" * 100)
    with blobs.kept():
        assert FileBlobs(blobs.folder, unavailable).remove([name]) == 0
    assert blobs.has(name)
    assert blobs.remove([name, "0" * 64]) == 100
    assert not blobs.has(name)


def test_what_a_dead_writer_began_is_removed_after_an_hour(blobs: FileBlobs) -> None:
    name = blobs.save(b"x")
    old, young = blobs.folder / ".part-old", blobs.folder / ".part-young"
    for part in (old, young):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert list(blobs.names()) == [name]
    assert (old.exists(), young.exists()) == (False, True)

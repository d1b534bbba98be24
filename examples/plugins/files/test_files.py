"""The cache keeps the contract of its port, and its files in bounds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import plait_files
import pytest

from plait.ports.cache_backend import CacheBackend
from plait.testing.cache_suite import CacheSuite


class TestFiles(CacheSuite):
    """The contract of the port."""

    cache = plait_files.CACHE
    kind = plait_files.Files

    @pytest.fixture(autouse=True)
    def _in_a_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "kept"
        self.passed_s = 0.0

    def options(self) -> dict[str, Any]:
        return {"folder": str(self.folder)}

    def made(self) -> CacheBackend:
        return self.kind(self.folder, 100, lambda: time.time() + self.passed_s)

    async def passing(self, seconds: float) -> None:
        self.passed_s += seconds


async def test_the_oldest_files_go_when_there_are_too_many(tmp_path: Path) -> None:
    files = plait_files.Files(tmp_path, 3)
    for number in range(10):
        await files.put(str(number), b"x", 60)
    assert len(list(tmp_path.iterdir())) == 3


async def test_another_process_finds_what_one_has_kept(tmp_path: Path) -> None:
    await plait_files.Files(tmp_path, 3).put("a", b"1", 60)
    kept = await plait_files.Files(tmp_path, 3).get("a")
    assert kept is not None
    assert kept.data == b"1"

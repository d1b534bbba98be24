"""What is watched for `--reload`, and that the process ends whatever hangs."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from plait.gateway.changes import Changes
from tests.unit.gateway.wires import WAIT_S


async def seen_until(last: Path, *paths: Path, writes: list[Path]) -> set[str]:
    """Watch `paths`, write files, and return what was seen up to the change of `last`."""
    changes = Changes(paths)
    seen: set[str] = set()
    await changes.begin()
    for path in writes:
        path.write_text("changed")
    try:
        async with asyncio.timeout(WAIT_S):
            while str(last) not in seen:
                seen |= await changes.wait()
    finally:
        await changes.close()
    return seen


async def test_a_file_is_watched_without_what_lies_beside_and_below(tmp_path: Path) -> None:
    file, beside, below = (
        tmp_path / "a.yaml",
        tmp_path / "log",
        tmp_path / "below" / "a.yaml",
    )
    below.parent.mkdir()
    file.write_text("")
    assert await seen_until(file, file, writes=[below, beside, file]) == {str(file)}


async def test_a_folder_is_watched_with_all_below(tmp_path: Path) -> None:
    below = tmp_path / "below" / "a.yaml"
    below.parent.mkdir()
    assert str(below) in await seen_until(below, tmp_path, writes=[below])


async def test_files_and_folders_may_be_mixed(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "a.yaml"
    folder.mkdir()
    file.write_text("")
    inner = folder / "b.yaml"
    for last in (inner, file):
        assert str(last) in await seen_until(last, folder, file, writes=[last])


async def seen_at(changes: Changes, path: Path) -> None:
    """Return when a change of `path` was seen."""
    async with asyncio.timeout(WAIT_S):
        while str(path) not in await changes.wait():
            pass


async def test_a_folder_is_watched_again_when_it_comes_back(tmp_path: Path) -> None:
    folder, aside = tmp_path / "deep" / "folder", tmp_path / "aside"
    folder.mkdir(parents=True)
    inner = folder / "a.yaml"
    changes = Changes([folder])
    await changes.begin()
    try:
        for leave, come_back in (
            (lambda: folder.rename(aside), lambda: aside.rename(folder)),
            (lambda: shutil.rmtree(folder), folder.mkdir),
            (lambda: shutil.rmtree(folder.parent), lambda: folder.mkdir(parents=True)),
        ):
            leave()
            await changes.wait()
            come_back()
            async with asyncio.timeout(WAIT_S):
                while str(folder) not in {str(p) for p in changes.watched}:
                    await changes.wait()
            inner.write_text("changed")
            await seen_at(changes, inner)
    finally:
        await changes.close()


@asynccontextmanager
async def ending(how: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a gateway that will hang (tests.unit.gateway.ending); it listens."""
    command = ["-m", "tests.unit.gateway.ending", how, str(folder)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    try:
        await until_said(process, b"listening")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_said(process: asyncio.subprocess.Process, text: bytes) -> None:
    """Return when the process says `text`."""
    assert process.stdout is not None
    async with asyncio.timeout(WAIT_S):
        while text not in await process.stdout.readline():
            assert process.returncode is None


@pytest.mark.slow
async def test_what_never_closes_keeps_no_process(tmp_path: Path) -> None:
    async with ending("closing", tmp_path) as process:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_S):
            assert await process.wait() == 0


@pytest.mark.slow
async def test_a_third_signal_kills_whatever_hangs(tmp_path: Path) -> None:
    async with ending("stubborn", tmp_path) as process:
        process.send_signal(signal.SIGTERM)
        await until_said(process, b"hanging")
        process.send_signal(signal.SIGTERM)
        await until_said(process, b"hanging")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_S):
            assert await process.wait() == -signal.SIGTERM


@pytest.mark.slow
async def test_a_disk_that_gives_no_answer_keeps_no_process(tmp_path: Path) -> None:
    async with ending("loading", tmp_path) as process:
        (tmp_path / "a.yaml").write_text("")
        await until_said(process, b"hanging")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_S):
            assert await process.wait() == 0

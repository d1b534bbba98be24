"""What is watched for `--reload`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from plait.gateway.serving import Changes
from tests.unit.gateway.wires import WAIT_S


async def seen_until(last: Path, *paths: Path, writes: list[Path]) -> set[str]:
    """Watch `paths`, write files, and return what was seen up to the change of `last`."""
    changes = Changes(paths)
    seen: set[str] = set()
    await asyncio.sleep(0)
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

"""Every pattern, killed with SIGKILL in the middle, goes on where it was."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from plait.patterns import Journal
from tests.unit.patterns.mortals import KINDS, Notes


async def kill(kind: str, journal: Path, log: Path, hang_at: str) -> None:
    """Run a pattern in a process of its own, and kill that at a call."""
    module = "tests.unit.patterns.mortals"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, kind, str(journal), str(log), hang_at),
        stdout=PIPE,
    )
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"there\n"
    finally:
        process.kill()
        assert await process.wait() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("kind", "hang_at", "words", "output"),
    [
        ("pipeline", "two", "one two two three", 3),
        ("loop", "body2", "body0 body1 body2 body2 body3", 4),
        ("fan", "middle", "left middle middle right", 3),
        ("gathering", "gather", "left right gather gather", 2),
        ("rounds", "at1", "at0 at1 at1 at2", 3),
        ("router", "fit", "when fit fit", 1),
        ("desks", "billing", "triage billing billing refunds", 3),
        ("stream", "item3", "item0 item1 item2 item3 item3 item4", 10),
        ("machine", "charge", "charge charge pack", {"charge": 1, "pack": 1}),
    ],
)
async def test_a_pattern_killed_half_way_does_again_only_what_was_under_way(
    tmp_path: Path, kind: str, hang_at: str, words: str, output: Any
) -> None:
    place, log = tmp_path / "runs.db", tmp_path / "log"
    await kill(kind, place, log, hang_at)
    async with Journal(place) as journal:
        found = await asyncio.wait_for(KINDS[kind](Notes(log), journal), 30)
    assert found == output
    calls = [tuple(line.split()) for line in log.read_text().splitlines()]
    # Two tasks that run at the same time begin in any order.
    assert sorted(word for word, _ in calls) == sorted(words.split())
    assert len(set(calls)) == len(calls) - 1, "made again under the key that it had"

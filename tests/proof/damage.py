"""Row 4: files that are not what was written: bits turned over, pages lost, ends cut off.

What must be noticed is whatever an execution is and did: its entries, and all of its row
but for who holds it.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from plait.kernel import Kernel
from plait.model.errors import PlaitError
from plait.operations import Hand, verify_all
from plait.ports.journal import History
from plait.stores.sqlite import SqliteStore
from tests.proof.deaths import nursery, read_histories
from tests.proof.mortal import Job
from tests.proof.scorecard import Outcome, Scale

FAULTS: Final = 1_000
EXECUTIONS: Final = 6
WORKFLOWS: Final = ("chain", "fan", "naps", "rounds", "branches", "fails")
PAGE_BYTES: Final = 4_096


def run(scale: Scale) -> Outcome:
    """Damage a store's file in one way after another, and look at what is left."""
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        whole = Path(name, "whole")
        with nursery() as cradle:
            for workflow in WORKFLOWS:
                (whole / workflow).mkdir(parents=True)
                cradle.run(Job(str(whole / workflow), workflow, EXECUTIONS))
        return asyncio.run(_damage(whole, Path(name, "damaged"), scale.of(FAULTS, 60)))


async def _damage(whole: Path, folder: Path, faults: int) -> Outcome:
    known = {
        name: await read_histories(str(whole / name / "plait.db")) for name in WORKFLOWS
    }
    counts: Counter[str] = Counter()
    outcome = Outcome({"faults": faults})
    for number in range(faults):
        workflow = WORKFLOWS[number % len(WORKFLOWS)]
        kind = list(DAMAGES)[number // len(WORKFLOWS) % len(DAMAGES)]
        shutil.copytree(whole / workflow, folder)
        path = folder / "plait.db"
        data = bytearray(path.read_bytes())
        DAMAGES[kind](data, Random(number))
        path.write_bytes(data)
        counts[kind] += 1
        found = await _what_is_left(path, known[workflow], counts)
        outcome.broken += [f"fault {number}, {kind}: {text}" for text in found]
        shutil.rmtree(folder)
    outcome.figures |= dict(sorted(counts.items()))
    return outcome


async def _what_is_left(
    path: Path, known: dict[str, History], counts: Counter[str]
) -> list[str]:
    """Return what was altered without being noticed; count how the rest fared."""
    try:
        store = await SqliteStore.open(path)
    except PlaitError:
        counts["refused to open"] += 1
        return []
    try:
        noticed = await _noticed(store)
        altered = [name for name in known if await _is_altered(store, known[name], counts)]
    finally:
        await store.close()
    counts["noticed"] += bool(noticed)
    counts["harmless"] += not noticed and not altered
    return [f"{name} is not what it was, unnoticed" for name in altered if not noticed]


async def _noticed(store: SqliteStore) -> list[str]:
    hand = Hand(store, Kernel, "hand", int(time.time() * 1000), {})
    try:
        found = [one async for one in verify_all(hand)]
    except PlaitError as error:
        return [error.code]
    return [one.code for one in found if one.code is not None]


async def _is_altered(store: SqliteStore, known: History, counts: Counter[str]) -> bool:
    name = known.summary.new.execution_id
    try:
        found = await store.read(name)
    except PlaitError:
        counts["executions refused"] += 1
        return True
    if found == known:
        counts["executions whole"] += 1
        return False
    if (found.entries, _told(found)) != (known.entries, _told(known)):
        counts["executions altered"] += 1
        return True
    counts["rows altered in who holds them"] += 1
    return False


def _told(history: History) -> tuple[object, ...]:
    """Return what an execution's row says of what it is and did."""
    return history.summary.new, history.summary.standing


# -- kinds of damage ---------------------------------------------------------------------


def _turn_bits(count: int) -> Callable[[bytearray, Random], None]:
    def turn(data: bytearray, lot: Random) -> None:
        for _ in range(count):
            bit = lot.randrange(len(data) * 8)
            data[bit // 8] ^= 1 << (bit % 8)

    return turn


def _page(data: bytearray, lot: Random) -> slice:
    at = lot.randrange(len(data) // PAGE_BYTES) * PAGE_BYTES
    return slice(at, at + PAGE_BYTES)


def _lose_page(data: bytearray, lot: Random) -> None:
    data[_page(data, lot)] = bytes(PAGE_BYTES)


def _misplace_page(data: bytearray, lot: Random) -> None:
    data[_page(data, lot)] = data[_page(data, lot)]


def _cut_off(data: bytearray, lot: Random) -> None:
    del data[lot.randrange(1, len(data)) :]


DAMAGES: Final = {
    "a bit turned over": _turn_bits(1),
    "20 bits turned over": _turn_bits(20),
    "a page of zeros": _lose_page,
    "a page in another's place": _misplace_page,
    "the end cut off": _cut_off,
}

"""Row 1: simulated storms, and row 8: the bugs that they have to find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice, takewhile
from multiprocessing import get_context
from typing import Final

from plait.testing.durable import Fault, Report
from tests.proof.plants import PLANTS, Plant
from tests.proof.scorecard import Outcome, Scale
from tests.proof.works import weather

SEEDS: Final = 10_000
# A kind of fault that is rarer than this is met by a run of this length all the same.
SEEDS_FOR_EVERY_FAULT: Final = 30
SEEDS_PER_PLANT_MAX: Final = 120
SEEDS_PER_TASK: Final = 20


def run(scale: Scale) -> Outcome:
    """Let storms pass, one per seed; every kind of fault must have fired."""
    seeds = range(scale.of(SEEDS, SEEDS_FOR_EVERY_FAULT))
    outcome = Outcome({"seeds": 0, "executions": 0, "entries": 0, "calls": 0})
    fired: Counter[Fault] = Counter()
    for report in _weathers(seeds, scale):
        fired += report.fired
        outcome.figures["seeds"] += 1
        outcome.figures["executions"] += report.execution_count
        outcome.figures["entries"] += report.entry_count
        outcome.figures["calls"] += report.call_count
        outcome.broken += [f"seed {report.seed}: {text}" for text in report.broken]
    outcome.figures |= {fault.value: fired[fault] for fault in Fault}
    outcome.broken += [f"never fired: {fault}" for fault in Fault if not fired[fault]]
    reached = seeds[: outcome.figures["seeds"]]
    outcome.broken += [f"seed {seed} did not repeat" for seed in _unrepeated(reached)]
    return outcome


def _weathers(seeds: Sequence[int], scale: Scale) -> Iterator[Report]:
    """Yield what seed after seed came to, until the time is over."""
    if scale.workers == 1:
        yield from takewhile(lambda _: not scale.is_over(), map(weather, seeds))
        return
    at_once = scale.workers * SEEDS_PER_TASK * 2
    with ProcessPoolExecutor(scale.workers, mp_context=get_context("spawn")) as pool:
        for begin in range(0, len(seeds), at_once):
            if scale.is_over():
                return
            some = seeds[begin : begin + at_once]
            yield from pool.map(weather, some, chunksize=SEEDS_PER_TASK)


def _unrepeated(seeds: Sequence[int]) -> list[int]:
    """Return which of some seeds did not come to the same when they were run again."""
    chosen = seeds[:: max(len(seeds) // 20, 11)]
    return [seed for seed in chosen if weather(seed) != weather(seed)]


def hunt(scale: Scale) -> Outcome:
    """Plant each bug; the simulator has to find it."""
    del scale
    outcome = Outcome({"planted": len(PLANTS), "caught": 0})
    for planted in PLANTS:
        seed, text = catch(planted)
        if text is None:
            outcome.broken.append(f"not caught in {seed} seeds: {planted.name}")
        else:
            outcome.figures["caught"] += 1
            outcome.figures[planted.name] = f"seed {seed}: {text}"
    return outcome


def catch(planted: Plant) -> tuple[int, str | None]:
    """Return the seed that finds the bug and what it found; None when none does."""
    with planted.planted():
        for seed in islice(count(planted.first_seed, 2), SEEDS_PER_PLANT_MAX):
            try:
                broken = weather(seed).broken
            except TypeError:  # what was planted fits no more: that is no catch
                raise
            except Exception as error:  # the broken variant broke the simulation itself
                return seed, f"{type(error).__name__}: {error}"
            if broken:
                return seed, broken[0]
    return SEEDS_PER_PLANT_MAX, None

"""Row 7: sagas of eight steps, each failing at every step, with a crash at every write of
their undoing: before it, inside it, and after it.

In the simulator the whole product; with processes that are killed for real, a part of it.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from plait.kernel.codec import load_turn
from plait.kernel.events import (
    CallCompleted,
    CallFailed,
    CompensationStarted,
    ExecutionCompensated,
    ExecutionFailed,
)
from plait.model.json import JsonValue
from plait.ports.journal import History
from plait.testing.durable import Crash, Position, Reached, Trial, Work, trial
from tests.proof import undoing
from tests.proof.deaths import NOTHING, Grave, kill_everywhere, nursery
from tests.proof.mortal import Job, traces
from tests.proof.places import stores_of
from tests.proof.plants import Plant
from tests.proof.scorecard import Outcome, Scale
from tests.proof.undoing import Case, cases, target_of
from tests.proof.undoing_plants import UNDOING_PLANTS

INPUT: Final[JsonValue] = {"order": 7}
# A second crash comes at the first or second write after a first one.
SOON: Final = (1, 2)
TWICE: Final = frozenset({"saga", "whole", "mixed", "fan"})
# How many steps of a form may be under way side by side.
AT_ONCE: Final = {"fan": 3, "graph": 2}
# What real processes are killed in: eight cases of each.
KILLED: Final = ("saga", "whole", "fan")
KILLED_IN_LITTLE: Final = 4
_UNDO: Final = re.compile(r"s(\d+)\.compensate/")
# In little every so manieth crash: no multiple of the number of positions.
LITTLE_CRASHES: Final = 7


@dataclass
class Tally:
    """What the trials of one case, or of all, came to."""

    trials: int = 0
    repeated: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    undone: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in another one."""
        self.trials += other.trials
        self.repeated += other.repeated
        self.fired += other.fired
        self.undone += other.undone
        self.broken += other.broken


def run(scale: Scale) -> Outcome:
    """Crash every case at every write of its undoing, some also for real."""
    outcome, killed = simulate(scale), kill(scale)
    figures = outcome.figures
    figures |= {f"killed processes: {name}": one for name, one in killed.figures.items()}
    outcome.broken += killed.broken
    for planted in UNDOING_PLANTS:
        text = catch(planted)
        figures[f"bug planted: {planted.name}"] = text or "not caught"
        if text is None:
            outcome.broken.append(f"not caught: {planted.name}")
    return outcome


def simulate(scale: Scale) -> Outcome:
    """Crash every case in the simulator, or in little one case of each form."""
    is_little = scale.share < 1
    chosen = _few() if is_little else [*cases()]
    stride = LITTLE_CRASHES if is_little else 1
    total = Tally()
    with _everywhere(chosen, stride, scale.workers) as tallies:
        for tally in tallies:
            total.add(tally)
    figures: dict[str, Any] = {"cases": len(chosen), "trials": total.trials}
    figures |= {f"crashes {one} a write": total.fired[one] for one in Position}
    figures |= {
        "compensations": total.undone,
        "calls repeated with their key": total.repeated,
    }
    outcome = Outcome(figures, total.broken)
    outcome.broken += [f"never fired: {one}" for one in Position if not total.fired[one]]
    if not total.repeated:
        outcome.broken.append("no call was ever cut off: nothing is proved of those")
    return outcome


def kill(scale: Scale) -> Outcome:
    """Kill real processes at the commits of some cases."""
    outcome = Outcome({**NOTHING})
    chosen = [one for one in cases() if one.form in KILLED and not one.left]
    with stores_of("sqlite") as fresh, nursery() as cradle, _folder() as folder:
        grave = Grave(cradle, folder, fresh)
        if scale.share < 1:
            kill_everywhere(grave, chosen[KILLED_IN_LITTLE].name, outcome, 5, _wrong_order)
        else:
            for case in chosen[1::3]:
                kill_everywhere(grave, case.name, outcome, 1, _wrong_order)
    if not outcome.figures["deaths"] or not outcome.figures["calls repeated"]:
        outcome.broken.append("no process was killed in a call: nothing is proved of those")
    return outcome


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        yield Path(name)


def _wrong_order(job: Job) -> list[str]:
    """Return in what a recovered saga differs in what it undid."""
    wanted = undoing.case(job.workflow).undone
    steps = [step for _, step, *_ in traces(Path(job.folder), "calls")]
    undone = [match[1] for one, _ in groupby(steps) if (match := _UNDO.search(one))]
    found = tuple(f"undo/{number}" for number in undone)
    return [] if found == wanted else [f"it undid {found}, not {wanted}"]


@contextmanager
def _everywhere(
    chosen: Sequence[Case], stride: int, workers: int
) -> Iterator[Iterable[Tally]]:
    strides = [stride] * len(chosen)
    if workers == 1:
        yield map(crash_everywhere, chosen, strides)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield pool.map(crash_everywhere, chosen, strides, chunksize=2)


def catch(planted: Plant) -> str | None:
    """Plant a bug in undoing; return what gives it away in little."""
    with planted.planted():
        for case in _few():
            try:
                broken = crash_everywhere(case, LITTLE_CRASHES).broken
            except Exception as error:  # the broken variant broke the simulation itself
                return f"{case.name}: {type(error).__name__}: {error}"
            if broken:
                return broken[0]
    return None


def _few() -> list[Case]:
    """Return one case of each form, in which much has been done before it fails."""
    every = [*cases()]
    forms = {
        one.form: [other for other in every if other.form == one.form] for one in every
    }
    return [several[len(several) * 2 // 3] for several in forms.values()]


def crash_everywhere(case: Case, stride: int = 1) -> Tally:
    """Crash one case at every `stride`th write of its undoing, and a part of it twice."""
    whole, tally = _tried(case, ()), Tally(trials=1)
    tally.broken += [f"{case.name}: {text}" for text in wrong(case, whole, whole)]
    if tally.broken:
        return tally
    for crashes in [*_crashes(case, whole)][::stride]:
        found = _tried(case, crashes)
        tally.trials += 1
        tally.undone += sum(target_of(one.call) in case.undone for one in found.calls)
        tally.repeated += len(found.calls) - len(whole.calls)
        tally.fired.update(one.position.value for one in crashes[: found.fired])
        where = ", then ".join(f"{one.position} write {one.nth}" for one in crashes)
        texts = wrong(case, found, whole)
        tally.broken += [f"{case.name}, crash {where}: {text}" for text in texts]
        # After the last write there is none at which it could come again.
        if not found.fired:
            tally.broken.append(f"{case.name}: no crash came {where}")
    return tally


def _tried(case: Case, crashes: Sequence[Crash]) -> Trial:
    mended = case.mended if case.left else None
    return trial(
        Work(case.plan, INPUT), case.answer, crashes=crashes, rolled_back_with=mended
    )


def _crashes(case: Case, whole: Trial) -> Iterator[tuple[Crash, ...]]:
    """Yield every crash from the write that begins the undoing to the last."""
    first = next(
        (
            nth
            for nth, events in enumerate(whole.writes, start=1)
            if any(isinstance(one, CompensationStarted) for one in events)
        ),
        len(whole.writes),
    )
    for nth in range(first, len(whole.writes) + 1):
        for position in Position:
            if nth == first and position is Position.BEFORE and case.form in AT_ONCE:
                # Nobody knows of the failure: what runs beside it may complete by now.
                continue
            yield (Crash(nth, position),)
            if case.form in TWICE and not case.left:
                again = [Crash(soon, other) for soon in SOON for other in Position]
                yield from ((Crash(nth, position), other) for other in again)


# -- what must hold ----------------------------------------------------------------------


def wrong(case: Case, found: Trial, whole: Trial) -> Iterator[str]:
    """Yield what does not hold of one trial; `whole` had no crash."""
    yield from found.broken
    if found.broken or found.history is None:
        return
    runs = groupby(found.calls, lambda one: (target_of(one.call), one.call.step))
    undone = tuple(target for (target, _), _ in runs if target.startswith("undo/"))
    if undone != case.undone:
        yield f"it undid {undone}, not {case.undone}"
    yield from wrong_keys(case, found.calls)
    for verb, at_once in (("do", AT_ONCE.get(case.form, 1)), ("undo", 1)):
        extra = _count(verb, found) - _count(verb, whole)
        if not 0 <= extra <= found.fired * at_once:
            yield f"{extra} calls were repeated by {found.fired} crashes: {verb}"
    yield from _two_at_once(found)
    yield from _wrong_ends(case, found.history)


def _count(verb: str, found: Trial) -> int:
    return sum(target_of(one.call).startswith(f"{verb}/") for one in found.calls)


def wrong_keys(case: Case, calls: Sequence[Reached]) -> Iterator[str]:
    """Yield what is wrong with the keys of compensations: one each, and one per round."""
    keys: dict[str, set[str | None]] = {}
    for one in calls:
        if (target := target_of(one.call)).startswith("undo/"):
            keys.setdefault(target, set()).add(one.call.idempotency_key)
    # What is tried again by a rollback is the same call; what is done again is not.
    rounds = 2 if case.form == "again" else 1
    for target, found in keys.items():
        if len(found) != rounds or None in found:
            yield f"{target} was asked for with the keys {sorted(map(str, found))}"
    if len(set().union(*keys.values())) != sum(map(len, keys.values())):
        yield "two compensations have the same key"


def _two_at_once(found: Trial) -> Iterator[str]:
    """Yield compensations that were asked for before the one before had an outcome."""
    assert found.history is not None
    settled_at: dict[tuple[str, int], int] = {}
    for length, entry in enumerate(found.history.entries, start=1):
        event = load_turn(entry.body)[0]
        if isinstance(event, CallCompleted | CallFailed):
            settled_at[event.step, event.attempt] = length
    undoing = [one for one in found.calls if ".compensate" in one.call.step]
    for before, after in pairwise(undoing):
        known_at = settled_at.get((before.call.step, before.call.attempt))
        is_other = before.call.step != after.call.step
        if is_other and (known_at is None or known_at > after.entry_count):
            yield f"{after.call.step} was begun before {before.call.step} had ended"


def _wrong_ends(case: Case, history: History) -> Iterator[str]:
    """Yield how its end, or its two ends, differ from those that it should have."""
    ends = [
        event
        for entry in history.entries
        for event in load_turn(entry.body)
        if isinstance(event, ExecutionFailed | ExecutionCompensated)
    ]
    wanted = [case.status, "compensated"] if case.left else [case.status]
    if (statuses := [_status(one) for one in ends]) != wanted:
        yield f"it ended as {statuses}, not as {wanted}"
        return
    failure = ends[0].failure
    told: Any = (failure.details or {}).get("compensation", {})
    left = [one["step"].rpartition("/")[2] for one in told.get("not_undone", [])]
    if failure.code != case.code or left != [
        one.replace("undo/", "s") for one in case.left
    ]:
        yield f"it ended by {failure.code}, and {left} were not undone"


def _status(end: ExecutionFailed | ExecutionCompensated) -> str:
    return "compensated" if isinstance(end, ExecutionCompensated) else "failed"

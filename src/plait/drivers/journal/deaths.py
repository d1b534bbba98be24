"""Executions that kill whoever holds them: counted, and after some deaths left alone.

Rule 1. A row whose `wake_at_ms` is 0 is being acted on. A worker that leaves puts the
        moment there instead. So whoever claims one with 0 knows that its holder died, and
        notes that before it acts itself.
Rule 2. Only deaths in a row count: any other entry in between is progress.
Rule 3. One that has few deaths left is a suspect. A worker acts on one suspect at a time,
        until it has made progress; the others wait, and do not count when it dies. So the
        one that kills is found out, and those that were under way beside it are cleared.
        One that only waits for children (1) is acted on by nobody: the children are.
Rule 4. Nobody acts on what has had its deaths, nor on what the store refuses to record.
        It stands as `execution.quarantined` and hears what it is told, until somebody
        resumes it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from plait.drivers.journal.history import entry_of, is_untouched
from plait.drivers.journal.live import Live
from plait.drivers.journal.standing import standing_of
from plait.drivers.journal.telling import Telling
from plait.kernel.codec import load_turn
from plait.kernel.events import WorkerLost
from plait.ports.journal import RUNNING, Append, History, Journal, Standing, Summary

logger = logging.getLogger("plait.journal")

DEATHS_MAX: Final = 5
# The last so many deaths of an execution are to be its own.
_ALONE: Final = 2
# How long a suspect waits before it asks again, and for how long one may be on its way
# from the store into memory.
_LATER_MS: Final = 2_000
WAITS_FOR_CHILDREN: Final = 1


class Deaths:
    """Counts the deaths of those who held an execution.

    Args:
        count_max: With so many in a row it is quarantined.
        since_ms: When this worker began.
        lives: What this worker has in memory.
    """

    def __init__(
        self, journal: Journal, count_max: int, since_ms: int, lives: Mapping[str, Live]
    ) -> None:
        self._journal = journal
        self._count_max = count_max
        self._since_ms = since_ms
        self._lives = lives
        # The suspect that is acted on, how long its history was then, and since when.
        self._suspect: tuple[str, int, int] | None = None

    async def note(self, history: History, told: Telling, now_ms: int) -> Summary:
        """Note in what was just claimed whether its last holder died; return its row.

        Its row has no owner when it is given back: quarantined, or a suspect that has to
        wait.

        Raises:
            LostRace: It has changed hands again.
            StoreUnavailable: Nothing is noted.
        """
        summary = history.summary
        wake_at_ms = summary.standing.wake_at_ms
        if summary.standing.status != RUNNING or told.outstanding.is_quarantined:
            return summary
        if told.outstanding.wake_at_ms == WAITS_FOR_CHILDREN:
            return summary
        if told.outstanding.is_lacking and wake_at_ms != 0:
            return summary  # nobody acts on it here
        if wake_at_ms == 0:
            is_lost = not is_untouched(history)
            return await self._count(history, told, now_ms) if is_lost else summary
        if self._is_suspect(_deaths_of(history)):
            standing = self._on_trial(summary, summary.length, now_ms)
            is_released = standing.wake_at_ms != 0
            await self._journal.append(_append(summary, standing, is_released=is_released))
            owner = None if is_released else summary.owner
            return replace(summary, standing=standing, owner=owner)
        is_ours = wake_at_ms is not None and self._since_ms <= wake_at_ms <= now_ms
        if is_ours and not told.outstanding.calls:
            return summary
        # What was due before this worker began may have killed those who claimed it then.
        # Not for whatever is due: of 20,000 timers at once that took 15 s instead of 9 s.
        acted_on = replace(summary.standing, wake_at_ms=0)
        await self._journal.append(_append(summary, acted_on))
        return replace(summary, standing=acted_on)

    async def _count(self, history: History, told: Telling, now_ms: int) -> Summary:
        deaths = 1 + _deaths_of(history)
        return await self._write(
            history, told, WorkerLost(deaths, deaths >= self._count_max, now_ms)
        )

    async def park(self, history: History, told: Telling, now_ms: int) -> Summary:
        """Quarantine an execution whose turns the store refuses; return its row.

        Raises:
            LostRace: It has changed hands again.
            StoreUnavailable: Nothing is noted: the store refuses whatever it is.
        """
        return await self._write(history, told, WorkerLost(0, True, now_ms))

    async def _write(self, history: History, told: Telling, lost: WorkerLost) -> Summary:
        summary, is_quarantined = history.summary, lost.is_quarantined
        told.outstanding.is_quarantined = is_quarantined
        entry = entry_of([lost], summary.head)
        standing = standing_of(told.state, told.outstanding)
        if not is_quarantined:
            standing = replace(standing, wake_at_ms=0)
        if not is_quarantined and self._is_suspect(lost.deaths):
            standing = self._on_trial(
                replace(summary, standing=standing), summary.length + 1, lost.at_ms
            )
        is_released = is_quarantined or standing.wake_at_ms != 0
        append = _append(summary, standing, is_released=is_released)
        await self._journal.append(replace(append, entries=[entry]))
        execution_id = summary.new.execution_id
        if is_quarantined:
            text = "execution %s is quarantined: %d deaths"
            ids = {"execution_id": execution_id}
            logger.error(text, execution_id, lost.deaths, extra=ids)
        return Summary(
            summary.new,
            standing,
            summary.length + 1,
            entry.digest,
            summary.epoch,
            None if is_released else summary.owner,
        )

    def _is_suspect(self, deaths: int) -> bool:
        return deaths >= max(self._count_max - _ALONE, 1)

    def _on_trial(self, summary: Summary, length: int, now_ms: int) -> Standing:
        """Return how a suspect stands: acted on from now on, or to ask again later."""
        name, standing = summary.new.execution_id, summary.standing
        wake_at_ms = standing.wake_at_ms
        # One that is claimed before its time has been told something, and has to hear it.
        is_told = wake_at_ms is not None and wake_at_ms > now_ms
        if not is_told and self._is_busy(now_ms):
            return replace(standing, wake_at_ms=now_ms + _LATER_MS)
        self._suspect = name, length, now_ms
        return replace(standing, wake_at_ms=0)

    def _is_busy(self, now_ms: int) -> bool:
        if self._suspect is None:
            return False
        name, length, since_ms = self._suspect
        live = self._lives.get(name)
        if live is None:
            return now_ms < since_ms + _LATER_MS
        return live.summary.length == length

    async def give_back(self, summary: Summary, now_ms: int) -> None:
        """Give back an execution that is being acted on: its holder leaves, and lives.

        Raises:
            LostRace: It is in other hands.
            StoreUnavailable: It is not given back, as far as anybody knows.
        """
        standing = summary.standing
        if standing.status == RUNNING and standing.wake_at_ms == 0:
            later = replace(standing, wake_at_ms=now_ms)
            await self._journal.append(_append(summary, later, is_released=True))


def _deaths_of(history: History) -> int:
    """Return how many workers in a row have died of an execution until now."""
    last = load_turn(history.entries[-1].body)[0]
    return last.deaths if isinstance(last, WorkerLost) else 0


def _append(summary: Summary, standing: Standing, *, is_released: bool = False) -> Append:
    return Append(
        summary.new.execution_id,
        (),
        standing,
        summary.length,
        summary.epoch,
        is_released=is_released,
    )

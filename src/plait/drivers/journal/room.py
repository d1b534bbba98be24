"""Room: how many executions act in a worker's memory at once, and what becomes of more.

Rule 1. What was accepted is not refused afterwards. A start for which there is no room is
        written like any other and given back at once; whoever has room claims it, in the
        order of all that is due. Nobody has acted on it until then.
Rule 2. A place is for what acts. An execution that waits for its children only has none,
        and they begin whatever room there is: else parents would keep all places, and wait
        for ever. So there may be more for a while, by the children of those that act.
Rule 3. Nobody passes those who wait: while some do, a new start waits as well.
Rule 4. Who asks from outside is refused before anything is written, when too many wait
        already, or too much has been on its way into the store for too long.

Not here: how they are claimed (plait.drivers.journal.rounds).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, Final

from plait.drivers.journal.deaths import WAITS_FOR_CHILDREN
from plait.drivers.journal.live import Live
from plait.drivers.journal.standing import NoRoom, is_put_off, put_off
from plait.drivers.journal.terms import Limits
from plait.model.errors import Advice, PlaitError
from plait.ports.counts import Counts
from plait.ports.journal import QUEUED, Search, Standing, Summary

# A start that takes so long to be written, or a result to be read, is late. When some have
# been so for so long, one after the other, the store has more to do than it can; one moment
# of it is no reason.
LATE_MS: Final = 100
LASTING_MS: Final = 200
# It is over when none was late for so long; a store that takes many at a time is quick in
# between.
OVER_MS: Final = 2_000
# One commit takes all that wait for it: so few are late because of the disk, not because of
# each other.
_FEW: Final = 32
# Large inputs stand in memory some ten times while they are read and written.
WRITING_BYTES_MAX: Final = 16 * 1024 * 1024
# Those who wait are cancelled from anywhere, and other workers take some. A count of 10,000
# takes a store some milliseconds.
COUNT_EVERY_MS: Final = 1_000
# With this share of the places free it is worth a look into the store.
_WORTH_SHARE: Final = 16


class Overloaded(PlaitError):
    """This worker has more to do than it can; nothing was begun."""

    code: ClassVar[str] = "limit.overload"
    advice: ClassVar[Advice] = Advice.RETRY


class Room:
    """The places of a worker.

    Args:
        lives: What it has in memory.
        now_ms: Tells the moment.

    Attributes:
        coming: How many are on their way into memory.
        kept: How many places are kept for what is being claimed.
        is_behind: Whether some may wait in the store for room here.
        waiting: How many of those this worker has put there, as far as it knows: others
            may have taken some, or cancelled them.
    """

    def __init__(
        self, limits: Limits, lives: Mapping[str, Live], now_ms: Callable[[], int]
    ) -> None:
        self._limits = limits
        self._lives = lives
        self._now_ms = now_ms
        self._parents = set[str]()
        # Starts that are being written, results that are being read: since when, the oldest
        # first.
        self._asked: dict[object, int] = {}
        self._writing_bytes = 0
        self._late_since_ms = self._late_last_ms = self._counted_at_ms = 0
        self.coming = self.kept = self.waiting = 0
        self.is_behind = False

    @property
    def acting(self) -> int:
        """How many act, or are about to."""
        return len(self._lives) - len(self._parents) + self.coming

    @property
    def free(self) -> int:
        """How many places are free."""
        return max(self._limits.held_max - self.acting - self.kept, 0)

    @property
    def is_full(self) -> bool:
        """Whether a start has to wait."""
        return self.is_behind or not self.free

    @property
    def is_worth_a_look(self) -> bool:
        """Whether some may wait for places that are free: not for each place alone."""
        return self.is_behind and self.free > self._limits.held_max // _WORTH_SHARE

    @property
    def has_too_many(self) -> bool:
        """Whether starts are refused, as so many wait."""
        return self.waiting >= self._limits.backlog_max

    @property
    def is_worth_a_count(self) -> bool:
        """Whether too many wait, and they have not just been counted."""
        is_recent = self._now_ms() - self._counted_at_ms < COUNT_EVERY_MS
        return self.has_too_many and not is_recent

    def check(self) -> None:
        """Refuse a start from outside when there is too much to do already.

        Raises:
            Overloaded: There is.
        """
        if self.has_too_many:
            text = f"{self.waiting} executions wait for their turn here: come again later"
            raise Overloaded(text)
        if self._writing_bytes >= WRITING_BYTES_MAX or self._is_late():
            text = "the store has more to do than it can: come again soon"
            raise Overloaded(text)

    def _is_late(self) -> bool:
        """Tell whether the store has been late for a while."""
        if len(self._asked) <= _FEW:
            return False
        now_ms, oldest_ms = self._now_ms(), next(iter(self._asked.values()))
        if now_ms - oldest_ms <= LATE_MS:
            return False
        if now_ms - self._late_last_ms > OVER_MS:
            self._late_since_ms = now_ms
        self._late_last_ms = now_ms
        return now_ms - self._late_since_ms > LASTING_MS

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Take note of how long the store takes for something that somebody waits for."""
        self._asked[this := object()] = self._now_ms()
        try:
            yield
        finally:
            del self._asked[this]

    @contextmanager
    def entering(
        self, standing: Standing, byte_count: int, *, acts: bool, is_child: bool
    ) -> Iterator[Standing]:
        """Keep a place for a start while it is written; yield how it is to stand.

        Args:
            byte_count: How large it is.
            acts: Whether it needs a place.
        """
        has_place = acts and (is_child or not self.is_full)
        self.coming += has_place
        self._writing_bytes += byte_count
        try:
            with self.asking():
                yield put_off(standing) if acts and not has_place else standing
        finally:
            self.coming -= has_place
            self._writing_bytes -= byte_count

    def stands(self, live: Live) -> None:
        """Take in how an execution in memory stands now."""
        execution_id = live.summary.new.execution_id
        is_here = self._lives.get(execution_id) is live
        if is_here and live.summary.standing.wake_at_ms == WAITS_FOR_CHILDREN:
            self._parents.add(execution_id)
        else:
            self._parents.discard(execution_id)

    def left(self, execution_id: str) -> None:
        """Take in that an execution is in memory no more."""
        self._parents.discard(execution_id)

    def put_off(self) -> None:
        """Take in that a start was put off."""
        self.waiting += 1
        self.is_behind = True

    def let_in(self, summary: Summary) -> None:
        """Take in that something was let in from outside: it may have been put off."""
        if is_put_off(summary.standing) and summary.lane_state != QUEUED:
            self.put_off()

    def looked(self, claimed: Iterable[Summary], *, is_all: bool) -> None:
        """Take in what was claimed.

        Args:
            is_all: Whether nothing is left that is due.
        """
        taken = sum(is_put_off(one.standing) for one in claimed)
        self.waiting = 0 if is_all else max(self.waiting - taken, 0)
        self.is_behind = not is_all

    async def count(self, store: Counts) -> None:
        """Look whether fewer wait than this worker knows of; more are those of others.

        Raises:
            StoreUnavailable: It could not be read.
        """
        self._counted_at_ms, known = self._now_ms(), self.waiting
        search = Search(error_code=NoRoom.code)
        count = await store.count(search, self._limits.backlog_max)
        if count is not None:
            # Meanwhile more may have been put there.
            gone = max(known - count, 0)
            self.waiting = max(self.waiting - gone, 0)

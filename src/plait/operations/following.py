"""Following executions: what happens in them, told to many who listen, while it happens.

Rule. One look at the store serves all who follow, and each history is read once for all of
      them: a thousand followers of one execution cost the store what one costs.

Not here: who may follow what (plait.operations.executing), events on the wire
(plait.gateway.control.events).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Final

from plait.drivers.journal import Store, turns_of
from plait.kernel.events import Event
from plait.model.json import JsonObject, JsonValue
from plait.operations.executions import event_json
from plait.ports.journal import (
    RUNNING,
    History,
    Search,
    StoreUnavailable,
    Summary,
    UnknownExecution,
)

# Between two looks at the rows of what is followed. A look is one read by key.
_LOOK_S: Final = 0.2
# Ids in one look: databases bound how many values a statement may have.
_LOOKED_AT_MAX: Final = 500


class Course:
    """An execution as it was last seen, with its turns.

    Attributes:
        history: As it was read.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self._first = history.summary.length - len(history.entries) + 1
        self._turns = turns_of(history)
        self._shown: dict[tuple[int, bool], JsonObject] = {}

    @property
    def length(self) -> int:
        """The number of its latest turn."""
        return self.history.summary.length

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen in it."""
        return self.history.summary.standing.status != RUNNING

    def turns(self, after: int, *, is_whole: bool) -> Iterator[tuple[int, JsonObject]]:
        """Yield the turns behind number `after`, with their numbers.

        Args:
            is_whole: Whether inputs, outputs and answers are told, or names only.
        """
        for number in range(max(after + 1, self._first), self.length + 1):
            yield number, self._turn(number, is_whole=is_whole)

    def _turn(self, number: int, *, is_whole: bool) -> JsonObject:
        key = (number, is_whole)
        if key not in self._shown:
            events: list[Event] = self._turns[number - self._first]
            told: list[JsonValue] = [event_json(one, is_whole=is_whole) for one in events]
            self._shown[key] = {"number": number, "events": told}
        return self._shown[key]


class _Feed:
    """One execution that somebody follows."""

    def __init__(self, loading: asyncio.Task[Course]) -> None:
        self.loading = loading
        self.follower_count = 0
        self.course: Course | None = None
        self.error: Exception | None = None
        self.is_gone = False
        self._changed = asyncio.Event()

    def take(self, course: Course) -> None:
        """Tell all who follow how it stands, if it has gone on since it was last seen.

        However it came to be read: a look finds nothing new in it any more.
        """
        if self.course is None or course.length > self.course.length:
            self.course = course
            self.tell()

    def tell(self) -> None:
        """Wake all who follow."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Wait until there is something new."""
        await self._changed.wait()


class Following:
    """Lets many follow executions.

    Args:
        store: Returns the store that the executions are in.
    """

    def __init__(self, store: Callable[[], Awaitable[Store]]) -> None:
        self._store = store
        self._feeds: dict[str, _Feed] = {}
        self._looking: asyncio.Task[None] | None = None

    async def follow(
        self, execution_id: str, after: int = 0
    ) -> AsyncGenerator[Course, None]:
        """Yield an execution as it is now, and again whenever it has changed, to its end.

        Args:
            after: The last turn that is known already; one that nobody here has seen yet
                makes the history be read again.

        Raises:
            UnknownExecution: There is none of that id.
            StoreUnavailable: It cannot be seen any more.
            PlaitError: Its history is damaged.
        """
        feed = self._feeds.get(execution_id)
        if feed is None:
            loading = asyncio.ensure_future(self._read(execution_id))
            feed = self._feeds[execution_id] = _Feed(loading)
        feed.follower_count += 1
        try:
            feed.take(await asyncio.shield(feed.loading))
            assert feed.course is not None
            if after > feed.course.length:
                feed.take(await self._read(execution_id))
            while True:
                course = feed.course
                yield course
                if course.has_ended:
                    return
                self._look()
                while feed.course is course:
                    if feed.error is not None:
                        raise feed.error
                    if feed.is_gone:
                        return
                    await feed.changed()
        finally:
            self._leave(execution_id, feed)

    def _leave(self, execution_id: str, feed: _Feed) -> None:
        feed.follower_count -= 1
        if not feed.follower_count:
            self._drop(execution_id, feed)

    def _drop(self, execution_id: str, feed: _Feed) -> None:
        feed.loading.cancel()
        if self._feeds.get(execution_id) is feed:
            del self._feeds[execution_id]
        if not self._feeds and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _read(self, execution_id: str) -> Course:
        store = await self._store()
        return Course(await store.read(execution_id))

    def _look(self) -> None:
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._keep_looking())

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            seen = {key: one for key, one in self._feeds.items() if one.course is not None}
            try:
                await self._look_at(seen)
            except Exception as error:  # whatever it is, who follows hears of it
                for key, feed in seen.items():
                    self._fail(key, feed, error)

    async def _look_at(self, feeds: dict[str, _Feed]) -> None:
        store, ids = await self._store(), list(feeds)
        rows: dict[str, Summary] = {}
        for begin in range(0, len(ids), _LOOKED_AT_MAX):
            some = tuple(ids[begin : begin + _LOOKED_AT_MAX])
            found = await store.find(Search(execution_ids=some, limit=len(some)))
            rows |= {row.new.execution_id: row for row in found}
        for key, feed in feeds.items():
            row, course = rows.get(key), feed.course
            assert course is not None
            if row is None or row.length > course.length:
                await self._look_again(store, key, feed)

    async def _look_again(self, store: Store, execution_id: str, feed: _Feed) -> None:
        """Read what has gone on. What is wrong with it concerns none who follows another.

        Raises:
            StoreUnavailable: None can be read.
        """
        try:
            feed.take(Course(await store.read(execution_id)))
        except StoreUnavailable:
            raise
        except UnknownExecution:  # it has ended long ago, and was removed
            feed.is_gone = True
            self._drop_told(execution_id, feed)
        except Exception as error:
            self._fail(execution_id, feed, error)

    def _fail(self, execution_id: str, feed: _Feed, error: Exception) -> None:
        feed.error = error
        self._drop_told(execution_id, feed)

    def _drop_told(self, execution_id: str, feed: _Feed) -> None:
        """Let the next who follows begin anew."""
        feed.tell()
        if self._feeds.get(execution_id) is feed:
            del self._feeds[execution_id]

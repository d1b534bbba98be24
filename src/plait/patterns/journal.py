"""Journals of patterns: a worker that runs what is kept in one store.

Rule. A worker makes the calls of those functions that it knows, and leaves all others to
whoever knows them: it lets go of the run at once.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, Self, TypeAlias

from plait.connectors.python import Functions, PythonCalls
from plait.drivers.inline import Result
from plait.drivers.journal import JournalDriver, Start, Store, is_at_rest, started_of
from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonValue, canonical_bytes
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, Done
from plait.ports.journal import RUNNING
from plait.stores.sqlite import SqliteStore

Place: TypeAlias = str | Path | Store

_ID_BYTES: Final = 16
_PREFIX: Final = "sqlite:"


class RunKeyReused(PlaitError):
    """A key came again with another value."""

    code: ClassVar[str] = "pattern.key_reused"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, key: str) -> None:
        super().__init__(f"key '{key}' named a run with another value; take another key")
        self.key = key


class RunStuck(PlaitError):
    """A run cannot go on by itself: somebody has to look at it.

    Attributes:
        reason: `execution.quarantined` or `step.outcome_unknown`.
    """

    code: ClassVar[str] = "pattern.stuck"
    advice: ClassVar[Advice] = Advice.REPORT

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(
            f"run {execution_id} waits for somebody ({reason}): see `plait executions show "
            f"{execution_id}`"
        )
        self.execution_id = execution_id
        self.reason = reason


class Runnable(Protocol):
    """A pattern, as a journal sees it."""

    name: str
    functions: Functions

    @property
    def plan(self) -> Plan:
        """What it is made into by now."""
        ...


class Journal:
    """A worker in a store, for as long as its block lasts.

    On entering it takes up whatever runs of its patterns somebody has left unfinished.

    Args:
        place: A store, or the path of an SQLite file, which is made if need be.
        patterns: Those whose runs it shall go on with; one that is run in it is added.

    Raises:
        ValueError: Two patterns have one name, or the place is none.
    """

    def __init__(self, place: Place, *patterns: Runnable) -> None:
        self._place = _place_of(place)
        self._known: dict[str, Runnable] = {}
        self._functions = Functions()
        for pattern in patterns:
            self.add(pattern)
        self._store: Store | None = None
        self._driver: JournalDriver | None = None

    def add(self, pattern: Runnable) -> None:
        """Go on with the runs of this pattern, too.

        Raises:
            ValueError: There is another one of its name.
        """
        known = self._known.setdefault(pattern.name, pattern)
        if known is not pattern and known.plan.content_hash != pattern.plan.content_hash:
            raise ValueError(f"there is another pattern of the name '{pattern.name}'")
        if known is pattern:
            self._functions.update(pattern.functions)

    async def __aenter__(self) -> Self:
        place = self._place
        store = await SqliteStore.open(place) if isinstance(place, Path) else place
        self._store = store
        self._calls = _Known(self._functions)
        worker_id = secrets.token_hex(_ID_BYTES)
        self._driver = JournalDriver(store, self._calls, Kernel, worker_id=worker_id)
        try:
            await self._driver.open()
        except BaseException:
            await self._close_store()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        driver, self._driver = self._driver, None
        try:
            if driver is not None:
                await driver.close()
                await self._calls.close()
        finally:
            await self._close_store()

    async def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None and isinstance(self._place, Path):
            await store.close()

    async def finish(self, pattern: Runnable, value: JsonValue, key: str | None) -> Result:
        """Run a pattern to its end, or the run that has this key already.

        Raises:
            RunKeyReused: That one was given another value.
            RunStuck: It waits for somebody.
        """
        return await self.ended(await self.begin(pattern, value, key))

    async def begin(self, pattern: Runnable, value: JsonValue, key: str | None) -> str:
        """Begin a run, or find the one that has this key; return its id.

        Raises:
            RunKeyReused: That one was given another value.
            ValueError: The key is no text.
        """
        driver, store = self._open()
        _check_key(key)
        self.add(pattern)
        start = Start(secrets.token_hex(_ID_BYTES), value, key=key)
        summary = await driver.start(pattern.plan, start)
        execution_id = summary.new.execution_id
        if execution_id != start.execution_id:
            # It may be due in a while only: a worker without its functions has let it go.
            await driver.take_up(execution_id)
            first = started_of(
                load_turn((await store.read(execution_id)).entries[0].body)[0]
            )
            if canonical_bytes(first.input) != canonical_bytes(value):
                raise RunKeyReused(str(key))
        return execution_id

    async def ended(self, execution_id: str) -> Result:
        """Wait for the end of a run.

        Raises:
            RunStuck: It waits for somebody.
        """
        driver, _ = self._open()
        ended = await driver.ended(execution_id, is_at_rest)
        if ended.standing.status == RUNNING:
            raise RunStuck(execution_id, ended.standing.error_code or "")
        return await driver.result(execution_id)

    async def tell(
        self, execution_id: str, event: str, payload: JsonValue, event_id: str
    ) -> None:
        """Tell a run of an event; of one id once."""
        driver, _ = self._open()
        await driver.signal(execution_id, event, payload, event_id)

    async def entries(self, execution_id: str) -> list[bytes]:
        """Return what is recorded of a run, turn by turn."""
        _, store = self._open()
        return [one.body for one in (await store.read(execution_id)).entries]

    def _open(self) -> tuple[JournalDriver, Store]:
        if self._driver is None or self._store is None:
            raise ValueError("journal: it is not open: `async with Journal(…) as journal`")
        return self._driver, self._store


@asynccontextmanager
async def opened(journal: Place | Journal, pattern: Runnable) -> AsyncIterator[Journal]:
    """Yield an open journal: the given one, or one for as long as this lasts."""
    if isinstance(journal, Journal):
        yield journal
        return
    async with Journal(journal, pattern) as own:
        yield own


def _place_of(place: Any) -> Path | Store:
    if isinstance(place, Path):
        return place
    if isinstance(place, str):
        if "://" in place:
            raise ValueError(
                f"journal: '{place.partition('://')[0]}' is opened by its own class: "
                "`journal=await PostgresStore.open(…)`"
            )
        if place.removeprefix(_PREFIX) in ("", ":memory:"):
            raise ValueError(
                f"journal: '{place}' is no path: leave `journal` out, and it runs in memory"
            )
        return Path(place.removeprefix(_PREFIX))
    if not all(hasattr(place, name) for name in ("append", "read", "find")):
        kind = type(place).__name__
        raise ValueError(
            f"journal: an open Journal, a store or the path of a file is needed, this is a "
            f"{kind}"
        )
    store: Store = place
    return store


def _check_key(key: object) -> None:
    if key is None:
        return
    if not isinstance(key, str):
        kind = type(key).__name__
        raise ValueError(f"key: a text is needed, this is a {kind}: write key=str(...)")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ValueError("key: it has half a surrogate pair, no text") from None


class _Known:
    """Makes the calls of functions; somebody else makes what other calls there are."""

    def __init__(self, functions: Functions) -> None:
        self._calls = PythonCalls(functions)

    def lacks(self, call: Call) -> bool:
        """Tell whether somebody else has to make a call, be it of a document."""
        is_known = call.request.get("function") in self._calls.functions
        return call.kind != "python" or not is_known

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls.Calls."""
        return self._calls.start(call, done)

    async def close(self) -> None:
        """See plait.ports.calls.Calls."""
        await self._calls.close()

"""Executions that are kept only if they last: express ones that may become durable.

Rule 1. Nothing is written before the promotion. What has happened until then is written in
        one piece, and the execution goes on: no call under way is made again.
Rule 2. An execution that cannot be written goes on as it was, in memory.

Not here: how long somebody waits before it is promoted (plait.gateway.durable).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

from plait.drivers.children import KIND
from plait.drivers.inline import Result
from plait.drivers.journal.adopting import Unwritten
from plait.drivers.journal.driver import JournalDriver
from plait.drivers.journal.history import entry_of, origin_of
from plait.drivers.journal.live import Live
from plait.drivers.journal.observing import begun, observed
from plait.drivers.journal.result import result_of
from plait.drivers.journal.standing import row_of, standing_of
from plait.drivers.journal.telling import Outstanding, ambient_of
from plait.drivers.journal.terms import Start, new_execution, started
from plait.drivers.tenancy import secrets_of
from plait.kernel import Kernel
from plait.ports.calls import Calls, lacks_of
from plait.ports.journal import Append, History, Standing, Summary

# The epoch and owner of what nobody else knows of.
_EPOCH = 1


class Unkept:
    """One execution that nobody has written down yet. It begins at once.

    Args:
        wait_ms: For how long somebody waits for it.

    Attributes:
        ended: Set when it has ended.
        lasts: Set when it only waits, and for longer than anybody waits for it, or when
            it has a child, which is durable, or needs another worker.
    """

    def __init__(
        self,
        driver: JournalDriver,
        kernel: Kernel,
        start: Start,
        wait_ms: int,
    ) -> None:
        self.ended = asyncio.Event()
        self.lasts = asyncio.Event()
        self.calls: Calls = driver.calls
        self.children = driver.children
        self.secrets: Mapping[str, str] = driver.secrets
        # Nothing is kept, so nothing is too large to be kept.
        self.payload_bytes_max = self.history_bytes_max = sys.maxsize
        self.begins_anew = False
        self._driver = driver
        self._error: Exception | None = None
        self._is_abandoned = False
        self._until_ms = driver.now_ms() + wait_ms
        secrets = secrets_of(start.tenant, self.secrets)
        event = started(kernel, start, driver.env, driver.now_ms(), secrets)
        state, turn = kernel.start(event, ambient_of(event, secrets))
        outstanding = Outstanding(lacks=lacks_of(self.calls))
        outstanding.ask(turn.commands)
        standing = standing_of(state, outstanding)
        self._new = new_execution(kernel.plan, start, event.at_ms)
        self._entries = [entry_of(turn.events, origin_of(self._new))]
        head = self._entries[-1].digest
        summary = Summary(self._new, standing, 1, head, _EPOCH, None)
        self._live = Live(self, kernel, summary, state, outstanding)
        self._live.history_bytes = len(self._entries[0].body)
        self._live.observed = observed(driver.observer, self._new, state)
        begun(self._live.observed, turn.events)
        if state.end is None:
            self._live.act(turn.commands)
            self._note(standing)
        else:
            self.ended.set()

    @property
    def journal(self) -> Unkept:
        """See plait.drivers.journal.live.Host."""
        return self

    def now_ms(self) -> int:
        """See plait.drivers.journal.live.Host."""
        return self._driver.now_ms()

    def may_leave(self, standing: Standing, now_ms: int) -> bool:
        """See plait.drivers.journal.live.Host. It has nowhere to go."""
        del standing, now_ms
        return False

    async def append(self, append: Append) -> None:
        """Take in what was decided; it may be written one day."""
        self._entries.extend(append.entries)
        self._note(append.standing)

    def gone(self, live: Live, summary: Summary) -> None:
        """See plait.drivers.journal.live.Host."""
        del live, summary
        self.ended.set()

    def stands(self, live: Live) -> None:
        """See plait.drivers.journal.live.Host. It has no place."""

    def stalled(self, live: Live, error: Exception) -> None:
        """See plait.drivers.journal.live.Host."""
        live.let_go()
        self._error = error
        self.ended.set()

    def _note(self, standing: Standing) -> None:
        wake_at_ms = standing.wake_at_ms
        calls = self._live.outstanding.calls.values()
        has_child = any(call.kind == KIND for call in calls)
        is_elsewhere = has_child or self._live.outstanding.is_lacking
        if is_elsewhere or wake_at_ms is None or wake_at_ms > self._until_ms:
            self.lasts.set()

    def result(self) -> Result:
        """Return the result, once it has ended."""
        if self._error is not None:
            raise self._error
        history = History(self._live.summary, list(self._entries))
        return result_of(history, self._live.state)

    async def promote(self) -> Summary:
        """Write it down, and let the driver go on with it.

        Once begun it is not given up, even if nobody waits any longer: the store may have
        it already.

        Raises:
            StoreUnavailable: It was not written, and goes on in memory.
        """
        return await self._driver.tasks.whole(self._promoted())

    async def _promoted(self) -> Summary:
        live = self._live
        live.is_stalled = True
        try:
            standing = row_of(live.state, live.outstanding, self.now_ms())
            unwritten = Unwritten(self._new, self._entries, standing)
            return await self._driver.adopt(live, unwritten)
        except Exception:
            if self._is_abandoned:
                live.let_go()
            raise
        finally:
            live.wake()

    def abandon(self) -> None:
        """Give it up, unless it is being written down; its calls are cancelled."""
        self._is_abandoned = True
        if self._live.host is self and not self._live.is_stalled:
            self._live.let_go()

"""Executions in this process's store: shown, followed and changed for callers.

| who | what |
|---|---|
| whoever knows an execution's id, 128 random bits | how it ended, and that it goes on |
| `viewer` | all of it, and lists |
| `operator` | the same, and changes |

Not here: starting executions, what a verb takes (plait.operations.verbs), what it does (the
modules beside it).
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

from plait.drivers.clock import now_ms
from plait.drivers.journal import Store
from plait.model.caller import ANYBODY, DEFAULT_TENANT, Caller, is_allowed, require
from plait.model.diagnostic import did_you_mean
from plait.model.json import JsonObject
from plait.operations.course import Hand
from plait.operations.deciders import decided_by
from plait.operations.executions import row_json, show, shown_json, total_of
from plait.operations.following import Following
from plait.operations.keeper import Keeper, Kept
from plait.operations.requests import requests
from plait.operations.verbs import STARTING, VERBS
from plait.operations.waits import waits
from plait.ports.journal import RUNNING, History, Search, Summary, UnknownExecution
from plait.ports.platform import InvalidRequest, Told

# What everybody learns who knows an execution's id.
_PUBLIC: Final = ("id", "workflow", "status", "created_at", "updated_at", "output", "error")
# A page is found by passing over all before it. Whoever wants to go deeper has `before`.
PAGED_ROWS_MAX: Final = 10_000


class LocalExecutions:
    """The executions of this process's store (plait.ports.platform, `Executions`)."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._following = Following(self._store)

    async def find(
        self, caller: Caller, search: Search, page: int | None = None
    ) -> JsonObject:
        """Return `{executions, total_count, page, page_size, before}`.

        Args:
            page: 1 for the first; not together with `search.before`.

        `total_count` is None behind a `before`: whoever reads on knows it already; and
        where there are too many to count them soon (plait.ports.counts).

        Raises:
            Forbidden: The caller may not see them.
            InvalidRequest: The page lies too deep, or is none.
        """
        require(caller, "viewer", search.workflow)
        if search.limit < 1 or (page is not None and page < 1):
            raise InvalidRequest("`limit` and `page` are 1 or more")
        page_size, before = search.limit, (page or 1) * search.limit
        if before > PAGED_ROWS_MAX:
            text = f"pages go to row {PAGED_ROWS_MAX}; `before` of a reply leads further"
            raise InvalidRequest(text)
        store, search = await self._store(), replace(search, tenant=caller.tenant)
        found = await store.find(replace(search, limit=before + 1))
        rows = found[before - page_size : before]
        more = str(rows[-1].number) if len(found) > before else None
        if search.before is not None:
            return _page(rows, None, None, page_size, more)
        return _page(rows, await total_of(store, search), page or 1, page_size, more)

    async def get(self, caller: Caller, execution_id: str, wait_ms: int = 0) -> JsonObject:
        """Return one execution: at once, or at its end within the wait.

        Raises:
            UnknownExecution: There is none of that id.
        """
        kept = await self._keeper.kept()
        if wait_ms:
            # Before it is waited for: how long that takes would tell that there is one.
            for summary in await kept.store.find(_search(execution_id)):
                self._is_whole(caller, summary)
            await self._keeper.has_ended(execution_id, wait_ms)
        history = await kept.store.read(execution_id)
        if not self._is_whole(caller, history.summary):
            return _told(history, is_whole=False)
        hand = self._hand(kept, caller)
        shown = replace(show(history, now_ms()), requests=await requests(hand, history))
        if shown.status == RUNNING:
            shown = replace(shown, waits=await waits(hand, history))
        return shown_json(shown)

    async def events(
        self, caller: Caller, execution_id: str, after: int
    ) -> AsyncGenerator[Told, None]:
        """Yield a `turn` for each behind number `after`, then `end`: the execution.

        Raises:
            UnknownExecution: There is none of that id.
        """
        following = self._following.follow(execution_id, after)
        try:
            async for course in following:
                is_whole = self._is_whole(caller, course.history.summary)
                # A number that no turn has yet is no wish to miss those to come.
                after = min(after, course.length)
                for number, turn in course.turns(after, is_whole=is_whole):
                    after = number
                    yield Told("turn", turn, number)
                if course.has_ended:
                    yield Told("end", _told(course.history, is_whole=is_whole), after)
        finally:
            await following.aclose()

    async def timeline(self, caller: Caller, execution_id: str) -> JsonObject:
        """Return `{execution_id, status, steps}`: an object per step, with its times.

        Raises:
            UnknownExecution: There is none of that id.
            Forbidden: The caller may not see it.
        """
        history = await (await self._store()).read(execution_id)
        self._is_whole(caller, history.summary)
        require(caller, "viewer", history.summary.new.workflow)
        shown = show(history, now_ms())
        return {
            "execution_id": execution_id,
            "status": shown.status,
            "steps": [*shown.trace.as_json()],
        }

    async def change(
        self, caller: Caller, execution_id: str, verb: str, body: JsonObject
    ) -> JsonObject:
        """Change an execution's course; return its row, or that of the one that was begun.

        Raises:
            InvalidRequest: There is no such verb, or the body is not for it.
            Forbidden: The caller may not.
            Overloaded: It makes work, and too much waits for its turn already.
            PlaitError: What the verb itself has against it (plait.operations).
        """
        change = VERBS.get(verb)
        if change is None:
            hint = did_you_mean(verb, tuple(VERBS))
            raise InvalidRequest(f"there is no '{verb}'" + (f"; {hint}" if hint else ""))
        kept = await self._keeper.kept()
        workflow = await self._checked_workflow(caller, kept.store, execution_id)
        body = decided_by(caller, workflow, verb, body)
        hand = self._hand(kept, caller)
        if verb in STARTING:
            room = kept.driver.room
            room.check()
            summary = await change(replace(hand, is_full=room.is_full), execution_id, body)
            room.let_in(summary)
        else:
            summary = await change(hand, execution_id, body)
        kept.driver.stir()
        return row_json(summary)

    async def _checked_workflow(
        self, caller: Caller, store: Store, execution_id: str
    ) -> str | None:
        """Return the workflow of an execution that the caller may change; None: unknown."""
        for summary in await store.find(_search(execution_id)):
            self._is_whole(caller, summary)
            require(caller, "operator", summary.new.workflow)
            return summary.new.workflow
        require(caller, "operator")
        if caller.tenant != DEFAULT_TENANT:
            raise UnknownExecution(execution_id)
        # It is unknown, or its row is damaged: the verb says which.
        return None

    def _is_whole(self, caller: Caller, summary: Summary) -> bool:
        """Tell whether a caller sees all of an execution, or how it ended only.

        Raises:
            UnknownExecution: It is another tenant's.
        """
        new = summary.new
        if caller != ANYBODY and caller.tenant != new.tenant:
            raise UnknownExecution(new.execution_id)
        return is_allowed(caller, "viewer", new.workflow)

    async def _store(self) -> Store:
        return (await self._keeper.kept()).store

    def _hand(self, kept: Kept, caller: Caller) -> Hand:
        return Hand(
            kept.store,
            kept.kernel_for,
            f"hand-{secrets.token_hex(8)}",
            kept.driver.now_ms(),
            self._keeper.secrets,
            caller.subject,
        )


def _search(execution_id: str) -> Search:
    return Search(execution_ids=(execution_id,), limit=1)


def _page(
    rows: list[Summary],
    total_count: int | None,
    page: int | None,
    page_size: int,
    before: str | None,
) -> JsonObject:
    return {
        "executions": [row_json(one) for one in rows],
        "total_count": total_count,
        "page": page,
        "page_size": page_size,
        "before": before,
    }


def _told(history: History, *, is_whole: bool) -> JsonObject:
    told = shown_json(show(history, now_ms()))
    return told if is_whole else {name: told[name] for name in _PUBLIC}

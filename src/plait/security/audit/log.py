"""The log: acts that are under way, the entries they come to, and finding these.

A change of the chain writes the entry and the head at once, and takes away what was under
way: either all of it is so, or nothing. Two processes that end an act at one moment find
out by the head's version, and the slower one goes behind the other.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from typing import Any, Final

from plait.model.caller import Caller, require
from plait.model.json import JsonObject, JsonValue
from plait.ports.audit import UNKNOWN, Act, Opened, Search
from plait.ports.records import Change, Conflict, Record, Records
from plait.security.audit.chain import (
    ACT_FIELDS,
    Entry,
    Fault,
    Head,
    entry_in,
    fault_in,
    hash_of,
)
from plait.security.kept import packed, unpacked

ENTRY: Final = "audit"
HEAD: Final = "audit_head"
OPEN: Final = "audit_open"

LIMIT_MAX: Final = 500
_HEAD_KEY: Final = "head"
_NUMBER_DIGITS: Final = 16
_PAGE_SIZE: Final = 500
# One request looks at so many entries; a search that finds less tells where to go on.
_LOOKED_AT_MAX: Final = 5_000
# No act takes longer: whoever asked for it has been told otherwise by then.
_LOST_MS: Final = 600_000
_TRIES_MAX: Final = 50
_TEXT_LENGTH_MAX: Final = 300
_SECRET: Final = re.compile(r"(plaitr?_[0-9a-z]+_)[0-9A-Za-z_-]+")


class AuditLog:
    """The audit log of a store (plait.ports.audit.Audit).

    Args:
        now_ms: Returns the moment, ms since the Unix epoch.
        is_there: Whether there may be a store: who only looks makes none.
    """

    def __init__(
        self,
        records: Records,
        now_ms: Callable[[], int],
        is_there: Callable[[], bool] = lambda: True,
    ) -> None:
        self._is_there = is_there
        self._records = records
        self._now_ms = now_ms
        self._turn = asyncio.Lock()

    async def begin(self, act: Act) -> Opened:
        """See plait.ports.audit.Audit."""
        at_ms, act_id, act = self._now_ms(), secrets.token_hex(12), _short(act)
        told: Any = asdict(act)
        value = packed({**told, "at_ms": at_ms})
        opened = Change(OPEN, act.tenant, act_id, value, expected=0)
        (version,) = await self._records.change([opened], at_ms)
        return Opened(act, act_id, at_ms, version)

    async def end(self, opened: Opened, outcome: str, code: str | None = None) -> None:
        """See plait.ports.audit.Audit."""
        gone = Change(OPEN, opened.act.tenant, opened.id, None, opened.version)
        await self._append(opened.act, opened.at_ms, outcome, code, gone)

    async def note(self, act: Act, outcome: str, code: str | None = None) -> None:
        """See plait.ports.audit.Audit."""
        await self._append(_short(act), self._now_ms(), outcome, code, None)

    async def settle(self) -> int:
        """Make the entries of acts whose end nobody will tell any more; return how many."""
        count, before_ms = 0, self._now_ms() - _LOST_MS
        if not self._is_there():
            return 0
        for kept in await self._records.find(OPEN, None):
            told: Any = unpacked(kept)
            at_ms = told.pop("at_ms")
            if at_ms <= before_ms:
                act = Act(**{name: told[name] for name in ACT_FIELDS})
                opened = Opened(act, kept.key, at_ms, kept.version)
                await self.end(opened, UNKNOWN)
                count += 1
        return count

    # -- looking -----------------------------------------------------------------------

    async def search(self, caller: Caller, wanted: Search) -> JsonObject:
        """See plait.ports.audit.Audit."""
        require(caller, "admin")
        limit = max(1, min(wanted.limit, LIMIT_MAX))
        if not self._is_there():
            return {"entries": [], "next": None}
        await self.settle()
        shown: list[JsonValue] = []
        looked_at, before = 0, wanted.before
        while looked_at < _LOOKED_AT_MAX:
            page = await self._page_before(caller.tenant, before)
            for entry in page:
                if len(shown) == limit or _is_too_old(entry, wanted):
                    following = before if len(shown) == limit else None
                    return {"entries": shown, "next": following}
                before = entry.number
                if _is_wanted(entry, wanted):
                    shown.append(entry.as_json())
            looked_at += len(page)
            if len(page) < _PAGE_SIZE:
                return {"entries": shown, "next": None}
        return {"entries": shown, "next": before}

    async def entries(self, tenant: str) -> AsyncIterator[Entry]:
        """Yield all entries of a tenant, the oldest first.

        Raises:
            AuditBroken: One of them is none.
        """
        after = ""
        while True:
            page = await self._records.find(ENTRY, tenant, after=after, limit=_PAGE_SIZE)
            for one in page:
                yield _entry(one)
            if len(page) < _PAGE_SIZE:
                return
            after = page[-1].key

    async def head(self, tenant: str) -> Head:
        """Return the last entry of a tenant's chain."""
        return _head(await self._records.get(HEAD, tenant, _HEAD_KEY))

    async def verify(self, tenant: str) -> tuple[Fault | None, Head]:
        """Return where a tenant's chain is not whole, and its head.

        Raises:
            AuditBroken: An entry is none.
        """
        before = await self.head(tenant)
        found = [one async for one in self.entries(tenant)]
        after = await self.head(tenant)
        # Entries may come meanwhile: as many as the head says afterwards, at most.
        fault = fault_in(found, tenant, None) or fault_in(
            found[: before.number], tenant, before
        )
        if fault is None and len(found) > after.number:
            fault = Fault(after.number + 1, "nobody wrote it with the log's head")
        return fault, before

    async def tenants(self) -> list[str]:
        """Return the tenants that have entries."""
        return [one.tenant for one in await self._records.find(HEAD, None)]

    # -- inside ------------------------------------------------------------------------

    async def _page_before(self, tenant: str, before: int) -> list[Entry]:
        after = _key(before) if before else ""
        page = await self._records.find(
            ENTRY, tenant, after=after, limit=_PAGE_SIZE, is_backward=True
        )
        return [_entry(one) for one in page]

    async def _append(
        self, act: Act, at_ms: int, outcome: str, code: str | None, gone: Change | None
    ) -> None:
        for _ in range(_TRIES_MAX):
            async with self._turn:
                if await self._did_append(act, at_ms, outcome, code, gone):
                    return
            if gone is not None and not await self._is_open(gone):
                return  # somebody has settled it
        raise Conflict(HEAD, act.tenant)

    async def _did_append(
        self, act: Act, at_ms: int, outcome: str, code: str | None, gone: Change | None
    ) -> bool:
        tenant, now_ms = act.tenant, self._now_ms()
        kept = await self._records.get(HEAD, tenant, _HEAD_KEY)
        head = _head(kept)
        number = head.number + 1
        entry = Entry(number, act, at_ms, now_ms, outcome, code, head.hash)
        entry = replace(entry, hash=hash_of(entry))
        told = packed({"number": number, "hash": entry.hash})
        changes = [
            Change(ENTRY, tenant, _key(number), packed(entry.as_json()), 0),
            Change(HEAD, tenant, _HEAD_KEY, told, 0 if kept is None else kept.version),
        ]
        try:
            await self._records.change([*changes, *([gone] if gone else [])], now_ms)
        except Conflict:
            return False
        return True

    async def _is_open(self, gone: Change) -> bool:
        return await self._records.get(OPEN, gone.tenant, gone.key) is not None


def _key(number: int) -> str:
    return f"{number:0{_NUMBER_DIGITS}d}"


def _short(act: Act) -> Act:
    """Return an act whose texts are no longer than people read, and which can be kept.

    Somebody may send a whole key where its id belongs, and nothing is ever taken out of
    the chain: what is secret in one is left out.
    """
    return Act(
        **{
            name: _masked(text.encode(errors="replace").decode())[:_TEXT_LENGTH_MAX]
            for name, text in asdict(act).items()
        }
    )


def _masked(text: str) -> str:
    """Return a text without what is secret in the keys and refresh tokens in it.

    >>> _masked("plait_k3v7aaaaaaaa_" + "x" * 52), _masked("plait_k3v7aaaaaaaa")
    ('plait_k3v7aaaaaaaa_***', 'plait_k3v7aaaaaaaa')
    """
    return _SECRET.sub(r"\1***", text) if "plait" in text else text


def _entry(kept: Record) -> Entry:
    told: Any = unpacked(kept)
    told.pop("v")
    return entry_in(told)


def _head(kept: Record | None) -> Head:
    if kept is None:
        return Head()
    told = unpacked(kept)
    return Head(told["number"], told["hash"])


def _is_too_old(entry: Entry, wanted: Search) -> bool:
    """Acts end in another order than they begin, so what is older may still follow."""
    since_ms = wanted.since_ms
    return since_ms is not None and entry.ended_at_ms < since_ms


def _is_wanted(entry: Entry, wanted: Search) -> bool:
    act, at_ms = entry.act, entry.at_ms
    actions = ("", act.action, act.action.partition(".")[0])
    return (
        wanted.action in actions
        and wanted.who in ("", act.who)
        and wanted.subject in ("", act.subject)
        and wanted.outcome in ("", entry.outcome)
        and (wanted.since_ms is None or at_ms >= wanted.since_ms)
        and (wanted.until_ms is None or at_ms < wanted.until_ms)
    )

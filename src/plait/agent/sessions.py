"""Sessions: conversations as they are kept, each with one log of events.

Rule 1. A session belongs to a tenant; nobody else can tell that it is there.
Rule 2. An event and the session that counts it are written as one change, so a worker
        that lost a session writes nothing more into it.
Rule 3. Everything is bounded: messages, their length, events, sessions, time.

Not here: who may do what, and what happens in a session (plait.agent.service).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import orjson

from plait.agent.errors import SessionFull, SessionUnknown, TooManySessions
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.ports.platform import Told
from plait.ports.records import Change, Conflict, Record, Records

SESSION: Final = "agent-session"
EVENT: Final = "agent-event"
MESSAGES_MAX: Final = 100
MESSAGE_LENGTH_MAX: Final = 16_000
SAID_LENGTH_MAX: Final = 128_000
ANSWER_LENGTH_MAX: Final = 16_000
# As large as a document may be by default.
BASE_BYTES_MAX: Final = 262_144
_VALUE_BYTES_MAX: Final = 1_000_000
# Two who write at once alternate; more than this is a fault.
_TRIES_MAX: Final = 50


@record
class Message:
    """What was said: `user` or `assistant`, and the text."""

    role: str
    text: str


@record
class Generation:
    """A drafting, under way or over.

    Attributes:
        number: From 1 within the session.
        first: The number of its first event.
        heard: How many messages had been said when it began.
        worker: Whose it is.
        until_ms: Until when it is that worker's without another sign of life.
        is_over: Whether its last event is written.
    """

    number: int
    first: int
    heard: int
    worker: str
    until_ms: int
    is_over: bool = False


@record
class Session:
    """One conversation.

    Attributes:
        action: `create` or `edit`.
        base: The text of the workflow to be edited; None: a new one is wanted.
        events: The number of the last event.
        version: Of the record; 0: it is not kept yet.
    """

    id: str
    tenant: str
    subject: str
    action: str
    workflow: str | None
    base: str | None
    created_at_ms: int
    expires_at_ms: int
    messages: tuple[Message, ...] = ()
    generation: Generation | None = None
    events: int = 0
    version: int = 0

    @property
    def said(self) -> tuple[str, ...]:
        """What the person said, in order."""
        return tuple(one.text for one in self.messages if one.role == "user")


class Sessions:
    """Keeps sessions in records.

    Args:
        now_ms: The wall clock, milliseconds since the Unix epoch.
        ttl_ms: How long a session is kept after it was last used.
        count_max: How many a tenant may have.
    """

    def __init__(
        self, records: Records, now_ms: Callable[[], int], *, ttl_ms: int, count_max: int
    ) -> None:
        self._records = records
        self._now_ms = now_ms
        self.ttl_ms = ttl_ms
        self._count_max = count_max

    async def create(self, session: Session) -> None:
        """Keep a new session.

        Raises:
            SessionFull: The workflow to be edited is too large for one.
            TooManySessions: The tenant has as many as it may.
        """
        if session.base is not None and len(session.base.encode()) > BASE_BYTES_MAX:
            raise SessionFull("the workflow is too large to be edited in a session")
        if await self._records.count(SESSION, session.tenant) >= self._count_max:
            await self.sweep(session.tenant)
            if await self._records.count(SESSION, session.tenant) >= self._count_max:
                raise TooManySessions(self._count_max, self.ttl_ms)
        new = Change(SESSION, session.tenant, session.id, _encoded(session), expected=0)
        await self._records.change([new], self._now_ms())

    async def get(self, tenant: str, session_id: str) -> Session:
        """Return a session.

        Raises:
            SessionUnknown: There is none of that id for this tenant.
        """
        found = None
        if 0 < len(session_id) <= 100:
            found = await self._records.get(SESSION, tenant, session_id)
        session = None if found is None else _decoded(found)
        if session is None or session.expires_at_ms <= self._now_ms():
            raise SessionUnknown(session_id)
        return session

    async def update(
        self,
        tenant: str,
        session_id: str,
        change: Callable[[Session], Session | None],
        told: tuple[Told, ...] = (),
    ) -> Session | None:
        """Change a session as it stands now, and write events behind its last one.

        Args:
            change: Returns what becomes of it; None: leave it. It may be called again,
                when somebody else was faster.
            told: Events; their numbers are given here.

        Returns:
            The session as it stands; None: `change` said to leave it.
        """
        for _ in range(_TRIES_MAX):
            session = await self.get(tenant, session_id)
            changed = change(session)
            if changed is None:
                return None
            last = session.events
            expires = self._now_ms() + self.ttl_ms
            changed = replace(changed, events=last + len(told), expires_at_ms=expires)
            changes = [
                Change(SESSION, tenant, session_id, _encoded(changed), session.version),
                *(
                    Change(EVENT, tenant, _key(session_id, last + place), _event(one))
                    for place, one in enumerate(told, 1)
                ),
            ]
            try:
                versions = await self._records.change(changes, self._now_ms())
            except Conflict:
                continue
            return replace(changed, version=versions[0])
        raise Conflict(SESSION, session_id)

    async def events(self, tenant: str, session_id: str, after: int) -> list[Told]:
        """Return the events of a session behind number `after`, at most 100."""
        found = await self._records.find(
            EVENT, tenant, prefix=f"{session_id}/", after=_key(session_id, after)
        )
        return [_told(one) for one in found]

    async def forget_events(self, tenant: str, session_id: str, before: int) -> None:
        """Remove the events whose number is below `before`."""
        while True:
            found = await self._records.find(EVENT, tenant, prefix=f"{session_id}/")
            old = [one for one in found if one.key < _key(session_id, before)]
            if not old:
                return
            gone = [Change(EVENT, tenant, one.key, None) for one in old]
            await self._records.change(gone, self._now_ms())

    async def sweep(self, tenant: str) -> int:
        """Remove a tenant's sessions that are over, with their events; return how many."""
        count, after = 0, ""
        while True:
            found = await self._records.find(SESSION, tenant, after=after)
            for one in found:
                session = _decoded(one)
                if session is None or session.expires_at_ms <= self._now_ms():
                    await self._remove(one)
                    count += 1
            if len(found) < 100:
                return count
            after = found[-1].key

    async def _remove(self, found: Record) -> None:
        await self.forget_events(found.tenant, found.key, 10**10)
        gone = Change(SESSION, found.tenant, found.key, None)
        await self._records.change([gone], self._now_ms())


def _key(session_id: str, number: int) -> str:
    """Events sort by their number: ten digits are enough for 300 years of one a second."""
    return f"{session_id}/{number:010d}"


def _encoded(session: Session) -> bytes:
    own = session.generation
    value: JsonObject = {
        "v": 1,
        "subject": session.subject,
        "action": session.action,
        "workflow": session.workflow,
        "base": session.base,
        "created_at_ms": session.created_at_ms,
        "expires_at_ms": session.expires_at_ms,
        "messages": [[one.role, one.text] for one in session.messages],
        "generation": None
        if own is None
        else [own.number, own.first, own.heard, own.worker, own.until_ms, own.is_over],
        "events": session.events,
    }
    return _bounded(value)


def _decoded(found: Record) -> Session | None:
    """Return a session; None: a later version wrote it, and it cannot be read."""
    value: Any = orjson.loads(found.value)
    if value.get("v") != 1:
        return None
    own = value["generation"]
    return Session(
        id=found.key,
        tenant=found.tenant,
        subject=value["subject"],
        action=value["action"],
        workflow=value["workflow"],
        base=value["base"],
        created_at_ms=value["created_at_ms"],
        expires_at_ms=value["expires_at_ms"],
        messages=tuple(Message(role, text) for role, text in value["messages"]),
        generation=None if own is None else Generation(*own),
        events=value["events"],
        version=found.version,
    )


def _event(told: Told) -> bytes:
    return _bounded({"v": 1, "type": told.type, "data": told.data})


def _told(found: Record) -> Told:
    value: Any = orjson.loads(found.value)
    number = int(found.key.rpartition("/")[2])
    return Told(value["type"], value["data"], number)


def _bounded(value: JsonValue) -> bytes:
    data = orjson.dumps(value)
    if len(data) > _VALUE_BYTES_MAX:
        raise SessionFull("the session has grown too large")
    return data

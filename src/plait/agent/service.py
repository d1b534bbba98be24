"""The agent in this process: conversations, and workflows drafted in them.

Rule 1. Nothing is executed or deployed here, whatever a description or a model says.
Rule 2. A generation belongs to its session, not to whoever follows it: it goes on when its
        followers leave, and whoever asks meanwhile follows it. One of a session is under
        way at a time, in whichever process.
Rule 3. A generation whose worker is gone is begun again by the next who asks, behind the
        events that are there.

Not here: what drafts (plait.agent.drafter, plait.agent.model_drafter).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final, Literal, Protocol

from plait.agent.drafter import Drafter, Made, NotMade, Progress, Task, diagnostics_data
from plait.agent.errors import NothingSaid, SessionFull, WorkflowUnknown
from plait.agent.knowledge import Knowledge
from plait.agent.sessions import (
    ANSWER_LENGTH_MAX,
    MESSAGE_LENGTH_MAX,
    MESSAGES_MAX,
    SAID_LENGTH_MAX,
    Generation,
    Message,
    Session,
    Sessions,
)
from plait.document import is_workflow_name
from plait.kernel.views import moment_text
from plait.model.caller import Caller, require
from plait.model.diagnostic import Diagnostic
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.platform import InvalidRequest, Told
from plait.ports.records import Records

_LOG: Final = logging.getLogger(__name__)
_LAST: Final = ("complete", "error")
_SWEEP_MS: Final = 3_600_000
_BAD_NAME: Final = (
    "a new workflow cannot be called so: a `workflow_id` has letters, digits, `-`, `_` and "
    "`.`, not dots alone, and 200 characters at most"
)


class Library(Protocol):
    """What drafts can be made of, and the workflows that can be edited."""

    async def knowledge(self, caller: Caller) -> Knowledge:
        """Return the operations and the deployed workflows that a caller sees."""
        ...

    async def text(self, caller: Caller, workflow_id: str) -> str | None:
        """Return the text of a deployed workflow; None: there is none for the caller."""
        ...

    async def refusals(self, caller: Caller, text: str) -> Sequence[Diagnostic]:
        """Return what deploying a text for a caller would be refused for; empty: nothing.

        A code of another thing than the text has a dot, as errors have.
        """
        ...


@record
class AgentLimits:
    """What the agent may use.

    Attributes:
        ttl_ms: How long a session is kept after it was last used.
        sessions_max: How many a tenant may have.
        generations_max: How many are under way at once in this process; more wait.
        lease_ms: How long a generation is its worker's without another sign of life.
        poll_ms: How often another process's events are looked for.
    """

    ttl_ms: int = 7 * 24 * 3_600_000
    sessions_max: int = 1_000
    generations_max: int = 4
    lease_ms: int = 10_000
    poll_ms: int = 200


class DraftingAgent:
    """The agent service (plait.ports.platform.Agent), in this process."""

    def __init__(
        self,
        records: Records,
        drafter: Drafter,
        library: Library,
        *,
        limits: AgentLimits | None = None,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._limits = limits or AgentLimits()
        self._sessions = Sessions(
            records,
            now_ms,
            ttl_ms=self._limits.ttl_ms,
            count_max=self._limits.sessions_max,
        )
        self._drafter = drafter
        self._library = library
        self._now_ms = now_ms
        self._swept_at_ms: dict[str, int] = {}
        self._worker = secrets.token_hex(8)
        self._places = asyncio.Semaphore(self._limits.generations_max)
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._written: dict[tuple[str, str], asyncio.Event] = {}

    # -- sessions ----------------------------------------------------------------------

    async def create_session(
        self, caller: Caller, action: Literal["create", "edit"], workflow_id: str | None
    ) -> JsonObject:
        """Begin a conversation; with `create`, `workflow_id` names the new workflow.

        Returns:
            `{session_id, created_at, expires_at, action, workflow_id}`.

        Raises:
            Forbidden: The caller may not edit workflows, or not this one.
            WorkflowUnknown: `edit`, and there is no such workflow.
            InvalidRequest: `create`, and no workflow can be called so.
            TooManySessions: The tenant has as many as it may.
        """
        base = None
        if action == "edit":
            if not workflow_id:
                raise WorkflowUnknown(None)
            require(caller, "editor", workflow_id)
            base = await self._library.text(caller, workflow_id)
            if base is None:
                raise WorkflowUnknown(workflow_id)
        else:
            require(caller, "editor", workflow_id)
            if workflow_id and not is_workflow_name(workflow_id):
                raise InvalidRequest(_BAD_NAME)
        now_ms = self._now_ms()
        if now_ms - self._swept_at_ms.get(caller.tenant, 0) >= _SWEEP_MS:
            self._swept_at_ms[caller.tenant] = now_ms
            await self._sessions.sweep(caller.tenant)
        session = Session(
            id=f"ses_{secrets.token_hex(16)}",
            tenant=caller.tenant,
            subject=caller.subject,
            action=action,
            workflow=workflow_id,
            base=base,
            created_at_ms=now_ms,
            expires_at_ms=now_ms + self._limits.ttl_ms,
        )
        await self._sessions.create(session)
        return {
            "session_id": session.id,
            "created_at": moment_text(now_ms),
            "expires_at": moment_text(session.expires_at_ms),
            "action": action,
            "workflow_id": workflow_id,
        }

    # -- chat --------------------------------------------------------------------------

    async def chat(
        self, caller: Caller, session_id: str, message: str
    ) -> AsyncIterator[Told]:
        """Take what a person says; yield the answer in `message` events, piece by piece.

        The same message again, with nothing said since, is not taken twice: whoever lost
        the connection gets the answer again.

        Raises:
            SessionUnknown: There is no such session for the caller.
            InvalidRequest: The message is empty, or too long.
            SessionFull: The session has no room for another message.
            ModelUnavailable: The language model did not answer.
        """
        text = _checked(message)
        session = await self._opened(caller, session_id)
        known = _answer_to(session, text)
        if known is not None:
            yield _message(known)
            return
        if not session.said or session.messages[-1] != Message("user", text):
            session = await self._said(session, Message("user", text))
        task = await self._task(caller, session)
        answer = ""
        async for piece in self._drafter.answer(task):
            answer += piece
            yield _message(piece)
        if answer:
            await self._said(session, Message("assistant", answer[:ANSWER_LENGTH_MAX]))

    async def _said(self, session: Session, message: Message) -> Session:
        def with_message(now: Session) -> Session:
            # An answer is kept until the next message: for whoever lost the connection.
            said = tuple(one for one in now.messages if one.role == "user")
            said += (message,) if message.role == "user" else ()
            messages = said if message.role == "user" else (*said, message)
            if len(said) > MESSAGES_MAX:
                raise SessionFull(f"a session has {MESSAGES_MAX} messages at most")
            if sum(len(one.text) for one in said) > SAID_LENGTH_MAX:
                raise SessionFull(f"a session has {SAID_LENGTH_MAX} characters at most")
            return replace(now, messages=messages)

        changed = await self._sessions.update(session.tenant, session.id, with_message)
        return changed or session

    async def _opened(self, caller: Caller, session_id: str) -> Session:
        session = await self._sessions.get(caller.tenant, session_id)
        require(caller, "editor", session.workflow)
        return session

    async def _task(self, caller: Caller, session: Session) -> Task:
        known = await self._library.knowledge(caller)
        name = session.workflow if session.base is None else None
        refusals = partial(self._library.refusals, caller)
        return Task(session.said, session.base, known, name or "", refusals)

    # -- generation --------------------------------------------------------------------

    async def generate(
        self, caller: Caller, session_id: str, after: int = 0
    ) -> AsyncIterator[Told]:
        """Draft the workflow; yield `waiting`, `start`, `draft`, `debugging`, and at last
        `complete` or `error`. Coming again with `after` goes on behind that event.

        The data of each event has `type`, `workflow_id` and `data`. When nothing was said
        since the last generation, that one is told again.

        Raises:
            SessionUnknown: There is no such session for the caller.
            NothingSaid: Nobody has said what shall be drafted.
        """
        session = await self._opened(caller, session_id)
        if not session.said:
            raise NothingSaid
        # A number that no event has yet is no wish to miss those to come.
        known = min(after, session.events)
        session = await self._begun(caller, session, known)
        own = session.generation
        if own is None:
            return
        number = max(known, own.first - 1)
        if after > known and own.is_over:
            number -= 1  # how it ended is told once more: there is nothing to come
        name = caller.tenant, session_id
        while True:
            written = self._written.setdefault(name, asyncio.Event())
            told = await self._sessions.events(caller.tenant, session_id, number)
            for one in told:
                yield one
                number = one.number
                if one.type in _LAST:
                    return
            if told:
                continue
            session = await self._sessions.get(caller.tenant, session_id)
            if session.generation is None or session.events > number:
                continue
            if session.generation.is_over:
                return
            await self._begun(caller, session, number)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.poll_ms / 1000):
                    await written.wait()

    async def _begun(self, caller: Caller, session: Session, after: int) -> Session:
        """Begin a generation, or take one over, unless one is under way or told already."""
        if not self._is_due(session, after):
            return session

        def with_lease(now: Session) -> Session | None:
            if not self._is_due(now, after):
                return None
            own = now.generation
            is_new = own is None or own.is_over
            until_ms = self._now_ms() + self._limits.lease_ms
            if own is not None and not is_new:
                return replace(
                    now, generation=replace(own, worker=self._worker, until_ms=until_ms)
                )
            number = 1 if own is None else own.number + 1
            fresh = Generation(
                number, now.events + 1, len(now.said), self._worker, until_ms
            )
            return replace(now, generation=fresh)

        first = (_told("waiting", session.workflow, {}),)
        begun = await self._sessions.update(session.tenant, session.id, with_lease, first)
        if begun is None or begun.generation is None:
            return await self._sessions.get(session.tenant, session.id)
        name = session.tenant, session.id
        task = asyncio.create_task(self._run(caller, begun))
        self._running[name] = task
        task.add_done_callback(lambda ended: self._ended(name, ended))
        return begun

    def _is_due(self, session: Session, after: int) -> bool:
        """Tell whether there is something to draft that nobody is drafting."""
        own = session.generation
        if own is None:
            return True
        if own.is_over:
            has_new = len(session.said) > own.heard
            return has_new and (after == 0 or after >= session.events)
        is_here = (session.tenant, session.id) in self._running
        if own.worker == self._worker:
            return not is_here
        return own.until_ms <= self._now_ms()

    def _ended(self, name: tuple[str, str], task: asyncio.Task[None]) -> None:
        if self._running.get(name) is task:
            del self._running[name]
        self._wake(name, is_last=True)
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("a generation ended in a fault", exc_info=task.exception())

    def _wake(self, name: tuple[str, str], *, is_last: bool = False) -> None:
        written = self._written.pop(name, None)
        if written is not None:
            written.set()
        if is_last:
            self._written.pop(name, None)

    async def _run(self, caller: Caller, session: Session) -> None:
        """Draft, and write what happens; keep the lease meanwhile."""
        async with asyncio.TaskGroup() as group:
            pulse = group.create_task(self._pulse(session))
            try:
                async with self._places:
                    await self._draft(caller, session)
            finally:
                pulse.cancel()

    async def _pulse(self, session: Session) -> None:
        while True:
            await asyncio.sleep(self._limits.lease_ms / 3000)
            if not await self._write(session, ()):
                return

    async def _draft(self, caller: Caller, session: Session) -> None:
        name = session.workflow
        if not await self._write(session, (_told("start", name, {}),)):
            return
        try:
            now = await self._sessions.get(session.tenant, session.id)
            heard = session.generation.heard if session.generation is not None else 0
            task = await self._task(caller, now)
            task = replace(task, said=task.said[:heard])
            async for one in self._drafter.draft(task):
                told = _as_event(one, name)
                if not await self._write(session, (told,)) or told.type in _LAST:
                    return
            raise RuntimeError("the drafter came to no end")
        except PlaitError as error:
            data: JsonObject = {"code": error.code, "message": str(error)}
        except Exception:
            _LOG.exception("a draft failed")
            data = {"code": "internal", "message": "the draft failed by a fault"}
        await self._write(session, (_told("error", name, data),))

    async def _write(self, session: Session, told: tuple[Told, ...]) -> bool:
        """Write events, and renew the lease; False: the session is another worker's."""
        own = session.generation

        def renewed(now: Session) -> Session | None:
            mine = now.generation
            if mine is None or own is None or mine.number != own.number:
                return None
            if mine.worker != self._worker or mine.is_over:
                return None
            is_over = any(one.type in _LAST for one in told)
            until_ms = self._now_ms() + self._limits.lease_ms
            return replace(
                now, generation=replace(mine, until_ms=until_ms, is_over=is_over)
            )

        written = await self._sessions.update(session.tenant, session.id, renewed, told)
        if written is not None and own is not None and told and told[-1].type in _LAST:
            await self._sessions.forget_events(session.tenant, session.id, own.first)
        self._wake((session.tenant, session.id))
        return written is not None

    async def close(self) -> None:
        """Stop drafting; what was under way is begun again by the next who asks."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._drafter.close()


def _checked(message: str) -> str:
    text = "".join(char for char in message if char.isprintable() or char in "\n\t").strip()
    text = text.encode("utf-8", "ignore").decode()
    if not text:
        raise InvalidRequest("the message is empty")
    if len(text) > MESSAGE_LENGTH_MAX:
        raise InvalidRequest(f"the message has more than {MESSAGE_LENGTH_MAX} characters")
    return text


def _answer_to(session: Session, text: str) -> str | None:
    """Return what was answered to a message, if it was the last that was said."""
    if len(session.messages) < 2:
        return None
    before, last = session.messages[-2:]
    is_same = before == Message("user", text) and last.role == "assistant"
    return last.text if is_same else None


def _message(text: str) -> Told:
    return Told("message", {"type": "message", "content": text})


def _told(kind: str, workflow: str | None, data: JsonObject) -> Told:
    return Told(kind, {"type": kind, "workflow_id": workflow, "data": data})


def _as_event(one: Progress | Made | NotMade, workflow: str | None) -> Told:
    if isinstance(one, Progress):
        return _told(one.type, workflow, one.data)
    if isinstance(one, NotMade):
        data: JsonObject = {
            "code": one.code,
            "message": one.message,
            "unresolved": list(one.unresolved),
            "diagnostics": diagnostics_data(one.diagnostics),
        }
        return _told("error", workflow, data)
    made: JsonObject = {
        "definition": one.text,
        "summary": one.summary,
        "steps": list(one.steps),
        "unresolved": list(one.unresolved),
        "assumed": list(one.assumed),
        "credentials": list(one.credentials),
    }
    if one.difference is not None:
        made["difference"] = one.difference
    # The document's own name: a wish for another may have been mended, or edited away.
    return _told("complete", one.name, made)

"""Operations of the agent: conversations that end in a workflow. None of them runs one."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Request

from plait.gateway.control import models
from plait.gateway.control.events import AGENT_FIRST_S
from plait.gateway.control.executions import LastEventId
from plait.gateway.control.route import Answer, asked, by_name, told

_MESSAGE_LENGTH_MAX: Final = 16_000

SessionId = Annotated[str, Query(min_length=1, max_length=256)]


async def create_session(request: Request, wish: models.NewSession) -> Answer:
    """Begin a conversation: to create a workflow, or to edit one."""
    ask = asked(request)
    agent = ask.services.the_agent()
    made = await agent.create_session(ask.caller, wish.action, wish.workflow_id)
    return told(made, 201)


async def chat(
    request: Request,
    session_id: SessionId,
    user_message: Annotated[str, Query(min_length=1, max_length=_MESSAGE_LENGTH_MAX)],
) -> Answer:
    """Say something to the agent, and hear what it says: events `message`.

    The data of each is `{"type": "message", "content": "…"}`.
    """
    ask = asked(request)
    chatting = ask.services.the_agent().chat(ask.caller, session_id, user_message)
    return Answer(await ask.events.reply(chatting, AGENT_FIRST_S))


async def generate_workflow(
    request: Request, session_id: SessionId, last_event_id: LastEventId = 0
) -> Answer:
    """Draft the workflow of a conversation, and hear how it goes.

    Events `waiting`, `start`, `draft`, `debugging`, and `complete` or `error` at last; the
    data of each has `workflow_id` and `data`. `Last-Event-ID` goes on behind that event.
    """
    ask = asked(request)
    agent = ask.services.the_agent()
    drafting = agent.generate(ask.caller, session_id, last_event_id)
    return Answer(await ask.events.reply(drafting, AGENT_FIRST_S))


HANDLERS: Final = by_name(
    create_session,
    chat,
    generate_workflow,
)

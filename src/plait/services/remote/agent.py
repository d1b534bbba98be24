"""The agent in another process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from plait.model.caller import Caller
from plait.model.json import JsonObject
from plait.ports.platform import Told
from plait.services.remote.link import Link
from plait.services.v1 import agent_pb2 as messages
from plait.services.wire import Asked, loaded_object, told_of


class RemoteAgent:
    """Drafts workflows elsewhere (plait.ports.platform, `Agent`)."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def create_session(
        self, caller: Caller, action: Literal["create", "edit"], workflow_id: str | None
    ) -> JsonObject:
        """Begin a conversation: `{session_id, created_at, …}`."""
        request = messages.CreateSessionRequest(action=action, workflow_id=workflow_id)
        reply = await self._link.call("create_session", request, Asked(caller))
        return loaded_object(reply.json)

    def chat(
        self, caller: Caller, session_id: str, message: str
    ) -> AsyncGenerator[Told, None]:
        """Take what a person says; yield `message` events: `{type, content}`."""
        request = messages.StreamChatRequest(session_id=session_id, message=message)
        return self._events("stream_chat", request, caller)

    def generate(
        self, caller: Caller, session_id: str, after: int = 0
    ) -> AsyncGenerator[Told, None]:
        """Draft the workflow; coming again with `after` goes on behind that event."""
        request = messages.StreamWorkflowGenerationRequest(
            session_id=session_id, after=after
        )
        return self._events("stream_workflow_generation", request, caller)

    async def _events(
        self, method: str, request: Any, caller: Caller
    ) -> AsyncGenerator[Told, None]:
        events = self._link.stream(method, request, Asked(caller))
        async with aclosing(events):
            async for event in events:
                yield told_of(event)

"""AgentService, for any implementation of the agent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from plait.ports.platform import Agent, InvalidRequest
from plait.services.streams import events_of
from plait.services.v1 import agent_pb2 as messages
from plait.services.v1.common_pb2 import Event, JsonReply
from plait.services.wire import Asked, json_reply


class AgentServicer:
    """Answers for AgentService (proto/plait/v1/agent.proto)."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def create_session(
        self, asked: Asked, request: messages.CreateSessionRequest
    ) -> JsonReply:
        """See the proto."""
        workflow_id = request.workflow_id if request.HasField("workflow_id") else None
        action = _action(request.action)
        return json_reply(
            await self._agent.create_session(asked.caller, action, workflow_id)
        )

    def stream_chat(
        self, asked: Asked, request: messages.StreamChatRequest
    ) -> AsyncIterator[Event]:
        """See the proto."""
        chat = self._agent.chat(asked.caller, request.session_id, request.message)
        return events_of(chat)

    def stream_workflow_generation(
        self, asked: Asked, request: messages.StreamWorkflowGenerationRequest
    ) -> AsyncIterator[Event]:
        """See the proto."""
        after = max(request.after, 0)
        return events_of(self._agent.generate(asked.caller, request.session_id, after))


def _action(given: str) -> Literal["create", "edit"]:
    if given == "create":
        return "create"
    if given == "edit":
        return "edit"
    raise InvalidRequest("`action` is 'create' or 'edit'")

"""The agent of a process that may never need one: imported and made when first asked.

The agent's modules take 60 ms to import, and `plait serve` has to be quick to start.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal

from plait.gateway.threads import in_thread
from plait.model.caller import Caller
from plait.model.json import JsonObject
from plait.ports.platform import Told

if TYPE_CHECKING:
    from types import ModuleType

    from plait.agent import DraftingAgent


class LateAgent:
    """The agent service in this process (plait.ports.platform, `Agent`).

    Args:
        make: Makes it, given plait.assembly.agents.
    """

    def __init__(self, make: Callable[[ModuleType], DraftingAgent]) -> None:
        self._make = make
        self._agent: DraftingAgent | None = None
        self._making = asyncio.Lock()

    async def create_session(
        self, caller: Caller, action: Literal["create", "edit"], workflow_id: str | None
    ) -> JsonObject:
        """Begin a conversation: `{session_id, created_at, …}`."""
        agent = await self._made()
        return await agent.create_session(caller, action, workflow_id)

    async def chat(
        self, caller: Caller, session_id: str, message: str
    ) -> AsyncGenerator[Told, None]:
        """Take what a person says; yield `message` events."""
        agent = await self._made()
        async with aclosing(_generator(agent.chat(caller, session_id, message))) as told:
            async for one in told:
                yield one

    async def generate(
        self, caller: Caller, session_id: str, after: int = 0
    ) -> AsyncGenerator[Told, None]:
        """Draft the workflow; coming again with `after` goes on behind that event."""
        agent = await self._made()
        drafting = _generator(agent.generate(caller, session_id, after))
        async with aclosing(drafting) as told:
            async for one in told:
                yield one

    async def _made(self) -> DraftingAgent:
        if self._agent is None:
            async with self._making:
                if self._agent is None:
                    # In a thread: it reads files, and an OpenAPI document may be large.
                    self._agent = await in_thread(lambda: self._make(_import()))
        return self._agent

    async def close(self) -> None:
        """Stop drafting, where anything was drafted."""
        if self._agent is not None:
            await self._agent.close()


def _generator(told: AsyncIterator[Told]) -> AsyncGenerator[Told, None]:
    assert isinstance(told, AsyncGenerator)
    return told


def _import() -> ModuleType:
    return importlib.import_module("plait.assembly.agents")

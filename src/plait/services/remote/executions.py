"""Executions that another process keeps."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from plait.model.caller import Caller
from plait.model.json import JsonObject
from plait.ports.journal import Search
from plait.ports.platform import Told
from plait.services.remote.link import Link
from plait.services.searches import search_message
from plait.services.v1 import runtime_pb2 as messages
from plait.services.wire import Asked, loaded_object, told_of


class RemoteExecutions:
    """Executions of the runtime (plait.ports.platform, `Executions`)."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def find(
        self, caller: Caller, search: Search, page: int | None = None
    ) -> JsonObject:
        """Return `{executions, total_count, page, page_size, before}`."""
        request = search_message(search, page)
        return await self._told("find_executions", request, caller, is_safe=True)

    async def get(self, caller: Caller, execution_id: str, wait_ms: int = 0) -> JsonObject:
        """Return one execution: at once, or at its end within the wait."""
        request = messages.GetExecutionRequest(execution_id=execution_id, wait_ms=wait_ms)
        return await self._told(
            "get_execution", request, caller, is_safe=True, wait_ms=wait_ms
        )

    async def events(
        self, caller: Caller, execution_id: str, after: int
    ) -> AsyncGenerator[Told, None]:
        """Yield what happened in an execution behind `after`, and what will, to its end."""
        request = messages.FollowExecutionRequest(execution_id=execution_id, after=after)
        events = self._link.stream("follow_execution", request, Asked(caller))
        async with aclosing(events):
            async for event in events:
                yield told_of(event)

    async def timeline(self, caller: Caller, execution_id: str) -> JsonObject:
        """Return the steps of an execution with their times: `{execution_id, steps}`."""
        request = messages.GetTimelineRequest(execution_id=execution_id)
        return await self._told("get_timeline", request, caller, is_safe=True)

    async def change(
        self, caller: Caller, execution_id: str, verb: str, body: JsonObject
    ) -> JsonObject:
        """Change an execution's course: `cancel`, `resume`, `fork`, `signals`, … ."""
        request = messages.ChangeExecutionRequest(
            execution_id=execution_id, verb=verb, body=orjson.dumps(body)
        )
        return await self._told("change_execution", request, caller)

    async def _told(
        self,
        method: str,
        request: Any,
        caller: Caller,
        *,
        is_safe: bool = False,
        wait_ms: int = 0,
    ) -> JsonObject:
        reply = await self._link.call(
            method, request, Asked(caller), is_safe=is_safe, wait_ms=wait_ms
        )
        return loaded_object(reply.json)

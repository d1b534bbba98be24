"""Triggers of another process."""

from __future__ import annotations

from plait.model.caller import ANYBODY, Caller
from plait.model.json import JsonObject
from plait.ports.platform import Delivery
from plait.services.remote.link import Link
from plait.services.v1 import runtime_pb2 as messages
from plait.services.wire import Asked, loaded_object


class RemoteTriggers:
    """Triggers of the runtime (plait.ports.platform, `Triggers`)."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def deliver(self, delivery: Delivery) -> JsonObject:
        """Take a webhook's request. It is kept when this returns."""
        request = messages.DeliverWebhookRequest(
            path=delivery.path,
            method=delivery.method,
            query=delivery.query,
            headers=delivery.headers,
            body=delivery.body,
        )
        reply = await self._link.call("deliver_webhook", request, Asked(ANYBODY))
        return loaded_object(reply.json)

    async def list(self, caller: Caller) -> JsonObject:
        """Return the triggers of all active deployments: `{triggers}`."""
        request = messages.ListTriggersRequest()
        reply = await self._link.call("list_triggers", request, Asked(caller), is_safe=True)
        return loaded_object(reply.json)

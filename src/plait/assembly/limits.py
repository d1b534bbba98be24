"""Who counts the requests of a gateway, as its settings say: itself, or a shared Redis."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from plait.assembly.settings import ResilienceSection
from plait.drivers.closing import Close
from plait.gateway.limits import MakesLimit, own_limit
from plait.gateway.shared_limits import SharedLimits
from plait.resilience.rate_limit import StoreUnreachable

logger = logging.getLogger("plait.gateway")


def limits(own: ResilienceSection) -> tuple[MakesLimit, Close]:
    """Return what makes limits, and what lets go of what they count in."""
    if own.redis is None:
        return own_limit, _nothing
    # Imported when it is asked for: the client takes a tenth of a second.
    clients = importlib.import_module("plait.resilience.redis_client")
    room = importlib.import_module("plait.resilience.rate_limit.redis_buckets")
    answer_s = own.redis_timeout / 1000
    client = clients.impatient_client(own.redis, answer_s)
    buckets = room.RedisBuckets(client, answer_s_max=answer_s, on_event=_tell)

    async def close() -> None:
        await buckets.aclose()
        await clients.let_go(client)

    return SharedLimits(buckets), close


async def _nothing() -> None:
    pass


def _tell(event: Any) -> None:
    if isinstance(event, StoreUnreachable):
        text = "limits: Redis does not answer (%s); this process counts alone"
        logger.warning(text, event.reason)
    else:
        logger.info("limits: Redis answers again; the gateways count together")

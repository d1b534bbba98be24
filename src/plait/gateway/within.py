"""Within: a gateway's answers, inside the middleware of other packages.

Rule. What another package raises is answered 500 and logged: a gateway never raises.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from plait.gateway.message import Reply, Request, error_reply
from plait.ports.middleware import Layer, Then
from plait.ports.plugins import RAISED_BY_OTHERS

logger = logging.getLogger("plait.gateway")


def within(layers: Sequence[Layer], answer: Then) -> Then:
    """Return `answer` inside of `layers`, the first the outermost; itself without any."""
    for layer in reversed(layers):
        answer = _inside(layer, answer)
    return answer


def _inside(layer: Layer, then: Then) -> Then:
    name = type(layer).__name__

    async def handle(request: Request) -> Reply:
        try:
            reply: object = await layer.handle(request, then)
        except RAISED_BY_OTHERS:
            logger.exception("middleware %s failed", name)
        else:
            if isinstance(reply, Reply):
                return reply
            logger.error("middleware %s returned no reply", name)
        text = "something went wrong inside; the server's log says what"
        return error_reply(500, code="internal", message=text)

    return handle

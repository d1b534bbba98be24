"""Answers 503 while a file is there: `touch maintenance` closes the house, `rm` opens it.

    [gateway]
    middleware = ["maintenance"]

    [middleware.maintenance]
    file = "/data/maintenance"
    retry_after = 120               # seconds; default 60

Health is answered all the same, here and under `/api/v1`: the process lives.
"""

from __future__ import annotations

from pathlib import Path

from plait.ports.message import Reply, Request, error_reply
from plait.ports.middleware import Middleware, Then
from plait.ports.plugins import PluginContext

_HEALTH = ("/health", "/api/v1/health")


class Maintenance:
    """Answers 503 while a file is there.

    Args:
        retry_after_s: When asking again makes sense.
    """

    def __init__(self, file: Path, retry_after_s: int) -> None:
        self._file = file
        self._header = (b"retry-after", b"%d" % retry_after_s)

    async def handle(self, request: Request, then: Then) -> Reply:
        """See plait.ports.middleware.Layer."""
        if _is_health(request.path) or not self._file.exists():
            return await then(request)
        reply = error_reply(503, code="request.maintenance", message="closed for a while")
        reply.headers.append(self._header)
        return reply

    async def close(self) -> None:
        """Nothing is open."""


def _is_health(path: str) -> bool:
    """Tell whether a path is one of health's own, and not just begins like it."""
    return any(path == one or path.startswith(f"{one}/") for one in _HEALTH)


def _maintenance(context: PluginContext) -> Maintenance:
    unknown = set(context.options) - {"file", "retry_after"}
    if unknown:
        known = "known: file, retry_after"
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; {known}")
    file, seconds = context.options.get("file"), context.options.get("retry_after", 60)
    if not isinstance(file, str) or not file:
        raise ValueError("`file` names the file that closes the house")
    if not isinstance(seconds, int) or seconds < 1:
        raise ValueError("`retry_after` is seconds, 1 or more")
    return Maintenance(Path(file), seconds)


MIDDLEWARE = Middleware(port=1, make=_maintenance)

"""CORS: which sites' pages may read what the gateway replies.

Rule 1. Origins are compared letter by letter; there is no `*`, and no origin that is
        `null`.
Rule 2. Nothing here counts as permission to ask: whoever asks shows a key. No cookie is
        read anywhere, so `Access-Control-Allow-Credentials` is never sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from plait.gateway.message import Reply

_ALLOWED_HEADERS: Final = (
    b"authorization, content-type, idempotency-key, last-event-id, prefer, traceparent, "
    b"x-api-key, x-request-id"
)
_SHOWN_HEADERS: Final = (
    b"location, plait-completed, plait-execution-id, ratelimit, ratelimit-policy, "
    b"retry-after, server-timing, www-authenticate, x-request-id"
)
_VARY: Final = (b"vary", b"origin")
_KEPT_S: Final = b"600"


class Cors:
    """Tells browsers what pages may read.

    Args:
        origins: `https://app.example.com`, as browsers write it.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def tell(self, headers: Mapping[bytes, bytes], method: str, reply: Reply) -> None:
        """Add to a reply what the browser of a page wants to know.

        Args:
            headers: Those of the request, as far as they have come.
            method: Empty where it is not known.
        """
        reply.headers.append(_VARY)
        origin = headers.get(b"origin")
        if origin is None or origin not in self._origins:
            return
        reply.headers.append((b"access-control-allow-origin", origin))
        asks_first = b"access-control-request-method" in headers
        if method != "OPTIONS" or not asks_first:
            reply.headers.append((b"access-control-expose-headers", _SHOWN_HEADERS))
            return
        allowed = next((told for name, told in reply.headers if name == b"allow"), b"")
        reply.headers += [
            (b"access-control-allow-methods", allowed),
            (b"access-control-allow-headers", _ALLOWED_HEADERS),
            (b"access-control-max-age", _KEPT_S),
        ]

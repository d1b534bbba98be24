"""Who asks: request ids, W3C trace context, execution ids.

Rule 1. What a caller sends is passed on only if it is sane; else it is replaced, never
        repaired.
Rule 2. One random number a request: its execution id, and, where the caller gave none, its
        request id and trace id too.

Not here: handing them to the calls (plait.drivers), telling the caller
(plait.gateway.layers).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Final

from plait.model.record import record

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
_TRACEPARENT = re.compile(
    rb"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})"
    rb"-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_PRINTABLE = re.compile(rb"[\x20-\x7e]+")
_TRACESTATE_LENGTH_MAX = 512
_BAGGAGE_LENGTH_MAX = 8192
# A root that nobody asked to sample is sampled: upstreams follow this bit, and with 0 none
# of them would trace a request that they would have traced without a gateway before them.
_FLAGS_OF_A_ROOT = "01"
_FLAGS_UNDRAWN = "00"
_ID_BYTES = 16
_SPAN_BYTES = 8
_POOL_BYTES: Final = 4800

TraceHeaders = tuple[tuple[str, str], ...]


@record
class Identity:
    """The ids of one request.

    Attributes:
        request_id: As sent back in `X-Request-Id`.
        trace: Headers for every call: `traceparent`, `x-request-id`, and `tracestate` and
            `baggage` where the caller gave them.
    """

    execution_id: str
    request_id: str
    trace: TraceHeaders


class IdentitySource:
    """Gives every request its ids.

    Args:
        is_drawn: Tells of a trace that begins here whether it is; None: each is.
    """

    def __init__(self, is_drawn: Callable[[str], bool] | None = None) -> None:
        self._is_drawn = is_drawn
        # Drawn in bulk: a draw for each request would cost more than all else here.
        self._pool = ""
        self._position = 0

    def identify(self, headers: Mapping[bytes, bytes]) -> Identity:
        """Return the ids of a request with these `headers`."""
        execution_id = self._draw(_ID_BYTES)
        request_id = _given_id(headers) or execution_id
        trace = self._trace(headers, execution_id)
        return Identity(execution_id, request_id, (*trace, ("x-request-id", request_id)))

    def request_id(self, headers: Mapping[bytes, bytes]) -> str:
        """Return the id of a request that starts no execution."""
        return _given_id(headers) or self._draw(_ID_BYTES)

    def _trace(self, headers: Mapping[bytes, bytes], trace_id: str) -> TraceHeaders:
        span = self._draw(_SPAN_BYTES)
        baggage = _passed_on(headers, b"baggage", _BAGGAGE_LENGTH_MAX)
        given = headers.get(b"traceparent")
        parent = _TRACEPARENT.fullmatch(given) if given is not None else None
        if parent is None or (parent["version"] == b"00" and parent["more"]):
            flags = _FLAGS_OF_A_ROOT
            if self._is_drawn is not None and not self._is_drawn(trace_id):
                flags = _FLAGS_UNDRAWN
            return (("traceparent", f"00-{trace_id}-{span}-{flags}"), *baggage)
        trace, flags = parent["trace"].decode(), parent["flags"].decode()
        state = _passed_on(headers, b"tracestate", _TRACESTATE_LENGTH_MAX)
        return (("traceparent", f"00-{trace}-{span}-{flags}"), *state, *baggage)

    def _draw(self, byte_count: int) -> str:
        begin, end = self._position, self._position + 2 * byte_count
        if end > len(self._pool):
            self._pool = os.urandom(_POOL_BYTES).hex()
            begin, end = 0, 2 * byte_count
        self._position = end
        drawn = self._pool[begin:end]
        return drawn if drawn.strip("0") else self._draw(byte_count)


def _given_id(headers: Mapping[bytes, bytes]) -> str | None:
    given = headers.get(b"x-request-id")
    if given is None or not _REQUEST_ID.fullmatch(given):
        return None
    return given.decode("ascii")


def _passed_on(
    headers: Mapping[bytes, bytes], name: bytes, length_max: int
) -> TraceHeaders:
    value = headers.get(name)
    if value is None or len(value) > length_max or not _PRINTABLE.fullmatch(value):
        return ()
    return ((name.decode(), value.decode()),)

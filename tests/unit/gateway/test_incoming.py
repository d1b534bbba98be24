"""What a reader of requests keeps: nothing of those that are read."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from plait.gateway.incoming import Held, HttpLimits, RequestReader
from plait.gateway.message import Request
from plait.gateway.refusal import Refused

PIECE = 50_000
COUNT = 10


class Deaf:
    """Takes requests, and keeps none."""

    def __init__(self) -> None:
        self.body_bytes = 0

    def begun(self) -> None:
        """Nothing is to be done."""

    def body_follows(self) -> Refused | None:
        return None

    def complete(self, request: Request, *, keep_alive: bool) -> None:
        assert keep_alive
        self.body_bytes += len(request.body)


def feed(reader: RequestReader, pieces: int) -> None:
    """Send a head, and so many pieces of its body."""
    head = f"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {COUNT * PIECE}\r\n\r\n"
    reader.feed(head.encode())
    for _ in range(pieces):
        reader.feed(bytes(PIECE))


@pytest.mark.parametrize("pieces", [COUNT, COUNT - 1])
def test_a_connection_that_waits_for_another_request_keeps_no_body(pieces: int) -> None:
    sink, held = Deaf(), Held()
    reader = RequestReader(sink, HttpLimits(), held)
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        feed(reader, pieces)
        if pieces < COUNT:
            reader.abandon()
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert sink.body_bytes == (COUNT * PIECE if pieces == COUNT else 0)
    assert kept < PIECE

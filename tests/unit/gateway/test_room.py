"""How long requests may wait for their turn."""

from __future__ import annotations

import time

import pytest

from plait.gateway.identity import Identity
from plait.gateway.layers import Exchange, Room, with_turn
from plait.gateway.message import Reply, Request
from plait.gateway.refusal import Overloaded


def test_what_comes_at_once_may_wait_also_when_the_process_stood_still() -> None:
    room = Room(1, 500)
    assert not any(room.is_too_late(10.0, at) for at in (10.4, 13.0, 13.2, 13.4))
    assert room.is_too_late(10.0, 13.6)


def test_while_much_waits_for_long_a_fifth_of_the_wait_is_too_much() -> None:
    room = Room(1, 500)
    late = [room.is_too_late(at - 0.2, at) for at in (1.0, 1.3, 1.6, 1.9)]
    assert late == [False, False, True, True]
    assert not room.is_too_late(1.85, 1.9)


def test_a_burst_long_after_another_may_wait_again() -> None:
    room = Room(1, 500)
    for at in (1.0, 1.4, 1.8):
        room.is_too_late(at - 0.2, at)
    assert not room.is_too_late(2.8, 3.0)


async def test_a_request_that_came_too_late_is_told_when_to_come_again() -> None:
    async def answer(exchange: Exchange) -> Reply:
        del exchange
        return Reply(200)

    room = Room(1, 500)
    room.is_too_late(1e-9, time.monotonic() - 0.6)
    room.is_too_late(1e-9, time.monotonic() - 0.3)
    handler = with_turn(answer, room)
    now = Exchange(Request("GET", "/", "", {}), (), Identity("", "", ()))
    assert (await handler(now)).status == 200
    late = Exchange(Request("GET", "/", "", {}, due_s=1e-9), (), Identity("", "", ()))
    with pytest.raises(Overloaded) as refused:
        await handler(late)
    assert (b"retry-after", b"1") in refused.value.headers

"""What got no answer is doubted, for whom it was, until nothing can come of it."""

from __future__ import annotations

import asyncio

import pytest

from plait.ports.journal import LostRace, StoreUnavailable
from plait.stores import doubts
from plait.stores.doubts import Doubts


def doubted(kept: Doubts, worker_id: str, error: BaseException) -> str:
    """Make a request that ends with `error`; return its token."""
    with pytest.raises(type(error)), kept.about(worker_id) as token:
        raise error
    return token


async def test_a_request_without_an_answer_is_doubted_for_its_worker() -> None:
    kept = Doubts("n")
    lost = doubted(kept, "ann", StoreUnavailable("gone"))
    cancelled = doubted(kept, "ann", asyncio.CancelledError())
    assert kept.of("ann") == [lost, cancelled]
    assert kept.of("bob") == []


async def test_a_request_with_an_answer_is_not() -> None:
    kept = Doubts("n")
    doubted(kept, "ann", LostRace("x1"))
    with kept.about("ann"):
        pass
    assert kept.of("ann") == []


async def test_no_two_requests_have_one_token() -> None:
    kept = Doubts("n")
    assert len({doubted(kept, "ann", StoreUnavailable("gone")) for _ in range(9)}) == 9


async def test_a_doubt_ends_when_nothing_can_come_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doubts, "_DOUBT_S", -1.0)
    kept = Doubts("n")
    doubted(kept, "ann", StoreUnavailable("gone"))
    assert kept.of("ann") == []

"""Limits of requests: what is told of them, and what is one too many."""

from __future__ import annotations

import pytest

from plait.gateway.limits import Limit, OwnCounts, TooMany
from plait.model.rate import Rate
from tests.unit.resilience.clocks import HandClock


def told(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


async def test_each_key_has_a_limit_of_its_own() -> None:
    limit = Limit("address", OwnCounts(Rate(1, 60_000), HandClock()))
    await limit.take("a")
    await limit.take("b")
    with pytest.raises(TooMany):
        await limit.take("a")


async def test_replies_tell_the_limit_and_what_is_left_of_it() -> None:
    clock = HandClock()
    limit = Limit("address", OwnCounts(Rate(10, 60_000), clock))
    assert told(await limit.take("a")) == {
        "ratelimit-policy": '"address";q=10;w=60',
        "ratelimit": '"address";r=9;t=6',
    }
    await limit.take("a")
    assert told(await limit.take("a"))["ratelimit"] == '"address";r=7;t=18'


async def test_one_too_many_is_told_when_to_come_again() -> None:
    clock = HandClock()
    limit = Limit("address", OwnCounts(Rate(2, 60_000), clock))
    await limit.take("a")
    await limit.take("a")
    with pytest.raises(TooMany) as caught:
        await limit.take("a")
    refused = caught.value
    headers = told(list(refused.headers))
    assert (refused.status, refused.code) == (429, "request.rate_limited")
    assert headers["retry-after"] == "30"
    assert headers["ratelimit"] == '"address";r=0;t=60'
    clock.advance(29.9)
    with pytest.raises(TooMany):
        await limit.take("a")
    clock.advance(0.2)
    await limit.take("a")


async def test_to_look_counts_nothing() -> None:
    limit = Limit("address", OwnCounts(Rate(1, 60_000), HandClock()))
    assert limit.peek("a") is None
    assert limit.peek("a") is None
    await limit.take("a")
    refused = limit.peek("a")
    assert refused is not None
    assert told(list(refused.headers))["retry-after"] == "60"


async def test_a_refused_request_does_not_count() -> None:
    clock = HandClock()
    limit = Limit("address", OwnCounts(Rate(1, 1_000), clock))
    await limit.take("a")
    for _ in range(100):
        with pytest.raises(TooMany):
            await limit.take("a")
    clock.advance(1.01)
    await limit.take("a")

"""Kept connections: when they are used again, when not, and what happens if one dies."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from plait.ports.calls import CallReply, Outcome
from plait.testing.calls_suite import call_to
from plait.testing.upstream import Peer, Request
from plait.testing.upstream_scripts import (
    after,
    head,
    in_turn,
    raw,
    raw_then_close,
    raw_then_hang,
    raw_then_reset,
    reply,
    reply_bytes,
)
from tests.unit.connectors.scenes import http, on_both_loops

CLOSING = {"Connection": "close", "Content-Length": "2"}


def soon(awaitable: Coroutine[Any, Any, CallReply]) -> asyncio.Task[CallReply]:
    """Start the call behind `awaitable`; calls start in the order of these."""
    return asyncio.get_running_loop().create_task(awaitable)


@on_both_loops
async def test_one_connection_serves_calls_one_after_the_other() -> None:
    async with http(reply(json=1)) as scene:
        for _ in range(5):
            await scene.reply()
        assert scene.upstream.connection_count == 1


@on_both_loops
async def test_the_connection_used_last_is_used_next() -> None:
    seen: list[int] = []

    async def script(peer: Peer, request: Request) -> None:
        seen.append(peer.number)
        await reply(json=1)(peer, request)

    async with http(script) as scene:
        await asyncio.gather(*(scene.reply() for _ in range(3)))
        seen.clear()
        for _ in range(4):
            await scene.reply()
        assert len(set(seen)) == 1


@pytest.mark.parametrize("spelling", ["close", "Close", "keep-alive, close"])
@on_both_loops
async def test_a_reply_that_says_close_is_the_last(spelling: str) -> None:
    message = head(200, {**CLOSING, "Connection": spelling}) + b"ok"
    async with http(raw(message)) as scene:
        assert [(await scene.reply()).response for _ in range(2)] == ["ok", "ok"]
        assert scene.upstream.connection_count == 2


@on_both_loops
async def test_an_idle_connection_that_the_server_closes_is_noticed() -> None:
    async with http(in_turn(raw_then_close(reply_bytes(json=1)), reply(json=2))) as scene:
        await scene.reply()
        await scene.upstream.until_open(0)
        assert (await scene.reply()).response == 2


@on_both_loops
async def test_bytes_on_an_idle_connection_end_it() -> None:
    said = asyncio.Event()

    async def script(peer: Peer, request: Request) -> None:
        await reply(json=1)(peer, request)
        if peer.number == 1:
            await said.wait()
            await peer.send(reply_bytes(json="poison"))

    async with http(script) as scene:
        await scene.reply()
        said.set()
        await scene.upstream.until_open(0)
        assert (await scene.reply()).response == 1


def closing_race(break_off: Any) -> Any:
    """The second request on a first connection finds it closed; fresh ones answer."""

    async def script(peer: Peer, request: Request) -> None:
        if peer.number == 1 and peer.request_count == 2:
            await break_off(peer, request)
        else:
            await reply(json=peer.number)(peer, request)

    return script


@pytest.mark.parametrize("break_off", [raw_then_close(), raw_then_reset()])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@on_both_loops
async def test_a_repeatable_request_that_met_a_dead_connection_is_repeated_once(
    break_off: Any, method: str
) -> None:
    async with http(closing_race(break_off)) as scene:
        assert (await scene.reply(method=method)).response == 1
        assert (await scene.reply(method=method)).response == 2
        assert len(scene.upstream.requests) == 3


@on_both_loops
async def test_a_connection_that_fails_before_anybody_was_told_is_replaced() -> None:
    async with http(reply(json=1)) as scene:
        await scene.reply()
        [pool] = scene.calls._pools._pools.values()
        [idle] = pool._idle
        assert idle._transport is not None
        # What the loop does on a reset; `connection_lost` comes a turn later.
        idle._transport.abort()
        assert (await scene.reply()).response == 1
        assert scene.upstream.connection_count == 2


@on_both_loops
async def test_a_keyed_request_is_repeated_with_the_same_key() -> None:
    async with http(closing_race(raw_then_close())) as scene:
        call = {"idempotency_key": "key-1"}
        for _ in range(2):
            await scene.reply(method="POST", body={}, call=call)
        keys = [request.headers["idempotency-key"] for request in scene.upstream.requests]
        assert keys == ["key-1"] * 3


@on_both_loops
async def test_a_read_by_post_rides_kept_connections_and_is_repeated() -> None:
    async with http(closing_race(raw_then_close())) as scene:
        call = {"effect": "read"}
        for number in (1, 2):
            got = await scene.reply(method="POST", body={"query": "x"}, call=call)
            assert got.response == number
        bodies = [request.body for request in scene.upstream.requests]
        assert bodies == [b'{"query":"x"}'] * 3


@pytest.mark.parametrize("method", ["GET", "PUT"])
@on_both_loops
async def test_what_a_step_calls_unsafe_is_sent_once_whatever_its_method(
    method: str,
) -> None:
    async with http(in_turn(reply(json=1), raw_then_close())) as scene:
        call = {"effect": "unsafe", "idempotency_key": "key-1"}
        await scene.reply(method=method, call=call)
        failure = await scene.failure(method=method, call=call)
        assert (failure.code, failure.sent) == ("connector.closed", True)
        assert len(scene.upstream.requests) == 2
        assert scene.upstream.connection_count == 2


@on_both_loops
async def test_a_repetition_that_fails_too_is_a_failure() -> None:
    async def script(peer: Peer, request: Request) -> None:
        if peer.number == 1 and peer.request_count == 1:
            await reply(json=1)(peer, request)
        else:
            peer.close()

    async with http(script) as scene:
        await scene.reply()
        failure = await scene.failure()
        assert (failure.code, failure.sent) == ("connector.closed", True)
        assert scene.upstream.connection_count == 2


@on_both_loops
async def test_once_a_byte_of_the_reply_came_nothing_is_repeated() -> None:
    async with http(closing_race(raw_then_close(b"HTTP/1.1 2"))) as scene:
        await scene.reply()
        assert (await scene.failure()).code == "connector.closed"
        assert len(scene.upstream.requests) == 2


@on_both_loops
async def test_an_unsafe_request_never_rides_a_kept_connection() -> None:
    async with http(reply(json=1)) as scene:
        for count in (1, 2, 3):
            await scene.reply(method="POST", body={})
            assert scene.upstream.connection_count == count


@on_both_loops
async def test_an_unsafe_request_at_the_limit_takes_the_place_of_an_idle_connection() -> (
    None
):
    async with http(reply(json=1), connection_count_max=1) as scene:
        await scene.reply()
        await scene.reply(method="POST", body={})
        assert scene.upstream.connection_count == 2
        await scene.upstream.until_open(1)


@on_both_loops
async def test_an_unsafe_request_in_line_gets_a_fresh_connection_too() -> None:
    go = asyncio.Event()

    async def script(peer: Peer, request: Request) -> None:
        await go.wait()
        await reply(json=peer.number)(peer, request)

    async with http(script, connection_count_max=1) as scene:
        methods = ("GET", "POST", "GET")
        replies = [soon(scene.reply(method=method)) for method in methods]
        await scene.upstream.until_requests(1)
        go.set()
        assert [(await reply).response for reply in replies] == [1, 2, 2]


@on_both_loops
async def test_calls_beyond_the_limit_wait_in_line() -> None:
    go = asyncio.Event()

    async def script(peer: Peer, request: Request) -> None:
        await go.wait()
        await reply(json=request.target)(peer, request)

    async with http(script, connection_count_max=2) as scene:
        replies = [soon(scene.reply(f"/{number}")) for number in range(6)]
        await scene.upstream.until_requests(2)
        assert scene.upstream.connection_count == 2
        go.set()
        await asyncio.gather(*replies)
        assert [r.target for r in scene.upstream.requests[2:]] == ["/2", "/3", "/4", "/5"]
        assert scene.upstream.connection_count == 2


@on_both_loops
async def test_a_call_in_line_times_out_without_being_sent() -> None:
    async with http(raw_then_hang(), connection_count_max=1) as scene:
        heard: list[Outcome] = []
        scene.start(heard)
        await scene.upstream.until_requests(1)
        failure = await scene.failure(call={"timeout_ms": 30})
        assert (failure.code, failure.sent) == ("connector.timeout", False)
        assert len(scene.upstream.requests) == 1


@on_both_loops
async def test_a_cancelled_call_gives_its_place_to_the_next_in_line() -> None:
    script = in_turn(raw_then_hang(), reply(json=2))
    async with http(script, connection_count_max=1) as scene:
        heard: list[Outcome] = []
        first = scene.start(heard)
        gone = scene.start(heard)
        await scene.upstream.until_requests(1)
        gone.cancel()
        waiting = asyncio.ensure_future(scene.reply())
        first.cancel()
        assert (await waiting).response == 2
        assert heard == []


@on_both_loops
async def test_a_call_cancelled_in_line_is_never_sent() -> None:
    go = asyncio.Event()
    async with http(after(go, reply(json=1)), connection_count_max=1) as scene:
        heard: list[Outcome] = []
        first = soon(scene.reply("/first"))
        await scene.upstream.until_requests(1)
        scene.start(heard, "/gone").cancel()
        last = soon(scene.reply("/last"))
        go.set()
        await asyncio.gather(first, last)
        assert [r.target for r in scene.upstream.requests] == ["/first", "/last"]
        assert heard == []


@on_both_loops
async def test_giving_up_while_connecting_frees_the_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(*args: Any, **more: Any) -> None:
        await asyncio.Event().wait()

    async with http(reply(json=1), connection_count_max=1) as scene:
        with monkeypatch.context() as patch:
            patch.setattr(scene.calls._egress, "route", hang)
            failure = await scene.failure(call={"timeout_ms": 20})
            assert (failure.code, failure.sent) == ("connector.timeout", False)
        assert (await scene.reply(call={"timeout_ms": 2_000})).response == 1


@pytest.mark.parametrize("turns", range(12))
@on_both_loops
async def test_a_call_cancelled_at_any_moment_of_connecting_frees_its_place(
    turns: int,
) -> None:
    """Without a turn of the loop, the opening of a connection has not even begun."""
    async with http(reply(json=1), connection_count_max=1) as scene:
        heard: list[Outcome] = []
        gone = scene.start(heard)
        for _ in range(turns):
            await asyncio.sleep(0)
        gone.cancel()
        assert (await scene.reply(call={"timeout_ms": 2_000})).response == 1


@pytest.mark.parametrize("turns", range(12))
@on_both_loops
async def test_a_call_cancelled_at_any_moment_of_connecting_leaves_nothing_to_wait_for(
    turns: int,
) -> None:
    async with http(reply(json=1)) as scene:
        heard: list[Outcome] = []
        gone = scene.start(heard)
        for _ in range(turns):
            await asyncio.sleep(0)
        gone.cancel()
        await scene.calls.close()
        assert scene.calls._pools._registry._all == set()
        await scene.upstream.until_open(0)


@on_both_loops
async def test_a_timed_out_call_gives_its_place_to_the_next_in_line() -> None:
    script = in_turn(raw_then_hang(), reply(json=2))
    async with http(script, connection_count_max=1) as scene:
        first = asyncio.ensure_future(scene.failure(call={"timeout_ms": 30}))
        await scene.upstream.until_requests(1)
        assert (await scene.reply()).response == 2
        assert (await first).code == "connector.timeout"


@on_both_loops
async def test_idle_connections_are_closed_after_a_while() -> None:
    async with http(reply(json=1), idle_ms_max=40) as scene:
        await scene.reply()
        await scene.upstream.until_open(0)
        assert (await scene.reply()).response == 1
        assert scene.upstream.connection_count == 2


@on_both_loops
async def test_origins_that_nobody_calls_any_more_are_forgotten() -> None:
    async with http(reply(json=1), idle_ms_max=20) as scene:
        pools = scene.calls._pools
        await scene.reply()
        assert len(pools._pools) == len(pools.trusted) == 1
        await scene.upstream.until_open(0)
        while pools._pools:
            await asyncio.sleep(0)
        assert (pools.trusted, pools._timer) == ({}, None)
        assert (await scene.reply()).response == 1


@on_both_loops
async def test_a_request_answered_before_it_was_sent_ends_the_connection() -> None:
    answered = asyncio.Event()

    async def early(peer: Peer) -> None:
        await peer.send(reply_bytes(413))
        await answered.wait()
        await peer.gone()

    async with http(greeting=early) as scene:
        body = {"text": "x" * 20_000_000}
        failure = await scene.failure(method="PUT", body=body)
        assert failure.code == "connector.http.413"
        answered.set()
        await scene.upstream.until_open(0)


@on_both_loops
async def test_close_closes_idle_connections_too() -> None:
    async with http(reply(json=1)) as scene:
        await scene.reply()
        await scene.calls.close()
        await scene.upstream.until_open(0)


@on_both_loops
async def test_a_done_that_raises_harms_no_other_call() -> None:
    async with http(reply(json=1)) as scene:
        loop = asyncio.get_running_loop()
        told: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: told.append(context))

        def fail(outcome: Outcome) -> None:
            raise RuntimeError(f"the caller's own mistake about {outcome}")

        scene.calls.start(call_to({"url": scene.upstream.url()}), fail)
        await scene.upstream.until_requests(1)
        assert [(await scene.reply()).response for _ in range(3)] == [1, 1, 1]
        assert "the caller's own mistake" in str(told)

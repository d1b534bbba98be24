"""Batched lookups, in express mode: real upstreams, the real client."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from plait.drivers.inline import Result
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import after, reply
from tests.unit.drivers.policies import Bench, bench, plan_of, said_by, turns

WAIT_S = 10
LOOKUP = """\
name: w
mode: express
steps:
  - id: get
    type: http
    request:
      url: http://service/users
      params: {ids: ["${input.id}"]}
      headers: {authorization: "${input.?who.orValue('me')}"}
    batch: {over: params.ids, results: users, max_size: 3, max_delay: 20ms}
output: ${get.response}
"""


def asked(request: Request) -> list[str]:
    return parse_qs(urlsplit(request.target).query)["ids"]


async def users(peer: Peer, request: Request) -> None:
    known = [int(one) for one in asked(request) if one != "0"]
    found: Any = [{"id": one, "name": f"u{one}"} for one in known]
    await reply(json={"users": found, "page": 1})(peer, request)


async def look_up(process: Bench, *ids: Any, **more: Any) -> list[Result]:
    plan_of(LOOKUP)
    return await asyncio.gather(*(process.run(LOOKUP, id=one, **more) for one in ids))


async def test_single_lookups_become_one_call_and_each_is_given_its_own() -> None:
    async with Upstream(users) as service, bench(service) as process:
        results = await look_up(process, 1, "2", 0)
        assert [one.output for one in results] == [
            {"users": [{"id": 1, "name": "u1"}], "page": 1},
            {"users": [{"id": 2, "name": "u2"}], "page": 1},
            {"users": [], "page": 1},
        ]
        assert [asked(one) for one in service.requests] == [["1", "2", "0"]]
        assert said_by(results[0]) == [{"policy": "batch", "lookups": 3}]
        told = process.told("batch", "lookups")
        assert (told["lookups"], told["calls"]) == (3, 1)


async def test_a_full_batch_goes_at_once_and_the_same_is_asked_for_once() -> None:
    async with Upstream(users) as service, bench(service) as process:
        await look_up(process, 1, 2, 3, 4, 4)
        assert sorted(asked(one) for one in service.requests) == [["1", "2", "3"], ["4"]]


async def test_who_asks_alone_is_answered_as_ever() -> None:
    async with Upstream(users) as service, bench(service) as process:
        (result,) = await look_up(process, 7)
        assert result.output == {"users": [{"id": 7, "name": "u7"}], "page": 1}
        assert said_by(result) == []


async def test_lookups_with_other_credentials_do_not_go_together() -> None:
    async with Upstream(users) as service, bench(service) as process:
        await asyncio.gather(look_up(process, 1, who="ann"), look_up(process, 2, who="bob"))
        assert sorted(asked(one) for one in service.requests) == [["1"], ["2"]]


async def test_a_call_that_fails_fails_for_all_and_their_retry_goes_together() -> None:
    text = LOOKUP.replace("    batch:", "    retry: {delay: 1ms}\n    batch:")
    count = 0

    async def script(peer: Peer, request: Request) -> None:
        nonlocal count
        count += 1
        await (reply(503) if count == 1 else users)(peer, request)

    async with Upstream(script) as service, bench(service) as process:
        plan_of(text)
        results = await asyncio.gather(*(process.run(text, id=one) for one in (1, 2)))
        assert [one.status for one in results] == ["completed"] * 2
        assert [sorted(asked(one)) for one in service.requests] == [["1", "2"]] * 2


@pytest.mark.parametrize("body", [{"users": 7}, {"people": []}, [1]])
async def test_a_reply_that_cannot_be_dealt_out_says_so(body: Any) -> None:
    async with Upstream(reply(json=body)) as service, bench(service) as process:
        (result,) = await look_up(process, 1)
        assert result.failure is not None
        assert result.failure.code == "resilience.batch"


async def test_results_may_be_an_object_by_what_was_looked_up() -> None:
    text = LOOKUP.replace("results: users, ", "")
    body: Any = {"1": "one", "2": "two"}
    async with Upstream(reply(json=body)) as service, bench(service) as process:
        plan_of(text)
        results = await asyncio.gather(*(process.run(text, id=one) for one in (1, 2)))
        assert [one.output for one in results] == [{"1": "one"}, {"2": "two"}]


async def test_who_leaves_takes_nobody_along() -> None:
    answered = asyncio.Event()
    async with Upstream(after(answered, users)) as service, bench(service) as process:
        plan_of(LOOKUP)
        first, second = [asyncio.create_task(process.run(LOOKUP, id=n)) for n in (1, 2)]
        await service.until_requests(1)
        first.cancel()
        await turns()
        answered.set()
        async with asyncio.timeout(WAIT_S):
            output: Any = (await second).output
        assert output["users"] == [{"id": 2, "name": "u2"}]


async def test_a_breaker_sees_the_bulk_call_once() -> None:
    text = LOOKUP.replace(
        "    batch:", "    circuit_breaker: {failure_threshold: 2}\n    batch:"
    )
    async with Upstream(reply(503)) as service, bench(service) as process:
        plan_of(text)
        await asyncio.gather(*(process.run(text, id=one) for one in (1, 2, 3)))
        assert process.told("circuit_breaker")["failed"] == 1

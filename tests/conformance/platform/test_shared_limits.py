"""Limits that gateways on one Redis count together, and what becomes of them without it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from plait.assembly import roles, serving
from plait.assembly.compose import catalog
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured
from plait.compile import compile_text
from plait.gateway.app import Gateway
from plait.gateway.deployment import Deployment
from plait.gateway.message import Request
from plait.resilience.rate_limit import redis_buckets
from tests.conformance.journal.servers import PrivateServer, redis, redis_url
from tests.unit.gateway.scenes import Seen

WAIT_S = 30
ANN, BOB = "203.0.113.7", "203.0.113.8"
DOCUMENT = """
name: said
mode: express
endpoint: {{method: GET, path: /said, auth: none, rate_limit: {limit}}}
steps: [{{id: said, type: set, value: {value}}}]
output: ${{said.response}}
"""
LIMITED = DOCUMENT.format(limit="{limit: 3, per: 1h, by: address}", value=1)


class Pod:
    """One gateway of several."""

    def __init__(self, gateway: Gateway, key: str) -> None:
        self.gateway = gateway
        self.key = key

    def deploy(self, text: str) -> None:
        plan = compile_text(text.encode(), name="a.yaml", catalog=catalog()).plan
        assert not self.gateway.deploy([Deployment("a.yaml", plan)])

    async def ask(self, path: str, peer: str = ANN, key: str = "") -> Seen:
        shown = {b"x-api-key": key.encode()} if key else {}
        request = Request("GET", path, "", shown, b"", peer=peer)
        return Seen(await self.gateway.handle(request))

    async def until_limited(self, path: str) -> int:
        """Return how often it can be asked before it is one too many."""
        for count in range(1_000):
            seen = await self.ask(path)
            if seen.status == 429:
                return count
            assert seen.status == 200
        raise AssertionError("nothing was one too many")


@asynccontextmanager
async def pods(
    folder: Path, url: str, build: Any = serving.gateway, **security: Any
) -> AsyncIterator[tuple[Pod, Pod]]:
    """Give two gateways on one store and one Redis, and wait for it on a busy machine."""
    settings = Settings.model_validate(
        {
            "store": {"url": str(folder / "plait.db")},
            "resilience": {"redis": url, "redis_timeout": f"{WAIT_S}s"},
            "security": {"required": True, **security},
        }
    )
    keys: list[str] = []
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(2):
            gateway = build(Configured(settings, {}), None, keys.append)
            stack.push_async_callback(gateway.close)
            await gateway.prepare()
            made.append(gateway)
        one, other = (Pod(gateway, keys[0]) for gateway in made)
        yield one, other


@pytest.fixture
def own_redis() -> Iterator[PrivateServer]:
    """A server to be taken away."""
    with redis(appendonly="no") as server:
        yield server


@pytest.fixture
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_buckets, "_REST_S", 0.0)


@pytest.mark.parametrize("build", [serving.gateway, roles.gateway])
async def test_an_address_has_one_limit_at_all_gateways(
    client: Any, shared_redis: PrivateServer, tmp_path: Path, build: Any
) -> None:
    url = redis_url(shared_redis)
    async with pods(tmp_path, url, build, address_rate="3/1h") as (one, other):
        left = []
        for pod in (one, other, one):
            seen = await pod.ask("/nothing-here")
            assert seen.status == 404
        for pod in (other, one):
            seen = await pod.ask("/openapi.json")
            assert (seen.status, seen.error["code"]) == (429, "request.rate_limited")
            left.append(seen.headers["ratelimit"])
            assert 1_000 <= int(seen.headers["retry-after"]) <= 1_200
            assert seen.headers["ratelimit-policy"] == '"address";q=3;w=3600'
        assert left[0].startswith('"address";r=0;t=3')
        assert (await other.ask("/nothing-here", BOB)).status == 404
        told = b" ".join(await client.keys("*"))
        assert told.count(b"plait:limit:address:") == 2
        assert b"203.0" not in told
        for key in await client.keys("plait:limit:*"):
            assert 0 < await client.pttl(key) <= 3_601_000


async def test_a_caller_and_a_route_have_one_limit_at_all_gateways(
    client: Any, shared_redis: PrivateServer, tmp_path: Path
) -> None:
    routes = {"GET /api/v1/executions": "2/1h"}
    url = redis_url(shared_redis)
    own = {"caller_rate": "4/1h", "route_rates": routes}
    async with pods(tmp_path, url, **own) as (one, other):
        statuses = []
        for pod, path in (
            (one, "/api/v1/executions"),
            (other, "/api/v1/executions"),
            (one, "/api/v1/executions"),
            (other, "/api/v1/workflow/deployments"),
            (one, "/api/v1/workflow/deployments"),
        ):
            # Whatever the address: the key is the caller.
            seen = await pod.ask(path, BOB if pod is one else ANN, one.key)
            statuses.append(seen.status)
            if len(statuses) == 2:
                assert seen.headers["ratelimit"].startswith('"route";r=0;t=')
        assert statuses == [200, 200, 429, 200, 429]
        told = b" ".join(await client.keys("plait:limit:*"))
        assert b"default" not in told
        assert b"first" not in told


async def test_an_endpoint_has_one_limit_at_all_gateways_and_through_versions(
    client: Any, shared_redis: PrivateServer, tmp_path: Path
) -> None:
    async with pods(tmp_path, redis_url(shared_redis)) as (one, other):
        for pod in (one, other):
            pod.deploy(LIMITED)
        seen = [await pod.ask("/said") for pod in (one, other)]
        assert [reply.status for reply in seen] == [200, 200]
        assert [reply.headers["ratelimit"][:14] for reply in seen] == [
            '"endpoint";r=2',
            '"endpoint";r=1',
        ]
        # While the pods are replaced one by one, the limit is one.
        other.deploy(LIMITED.replace("value: 1", "value: 2"))
        assert (await other.ask("/said")).status == 200
        assert (await one.ask("/said")).status == 429
        assert (await one.ask("/said", BOB)).status == 200
        # Another limit begins anew.
        other.deploy(LIMITED.replace("limit: 3", "limit: 2"))
        assert await other.until_limited("/said") == 2


async def test_a_flood_is_refused_without_asking_redis_about_each(
    client: Any, shared_redis: PrivateServer, tmp_path: Path
) -> None:
    async with pods(tmp_path, redis_url(shared_redis), address_rate="2/1h") as (one, other):
        for pod in (one, other):
            await pod.ask("/nothing-here")
        await client.config_resetstat()
        for pod in (one, other):
            assert await asked_a_hundred_times(pod) == {429}
        stats = await client.info("commandstats")
        # The first one of `one`, which cannot know what `other` has used up.
        assert stats["cmdstat_evalsha"]["calls"] == 1
        # Nor is a body read for that.
        request = Request("POST", "/api/v1/workflow/execute", "", {}, b"", peer=ANN)
        request.headers[b"x-api-key"] = b"any"  # type: ignore[index]
        refused = one.gateway.screen(request)
        assert refused is not None
        assert refused.status == 429


async def asked_a_hundred_times(pod: Pod) -> set[int]:
    return {(await pod.ask("/nothing-here")).status for _ in range(100)}


async def test_without_limits_redis_is_not_asked(
    client: Any, shared_redis: PrivateServer, tmp_path: Path
) -> None:
    async with pods(tmp_path, redis_url(shared_redis)) as (one, _):
        await one.ask("/nothing-here")
        await one.ask("/api/v1/executions", key=one.key)
        assert len(await client.client_list()) == 1


async def test_without_redis_at_the_start_each_gateway_counts_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = "redis://127.0.0.1:1/0"
    async with pods(tmp_path, url, address_rate="1000/1h") as (one, other):
        for pod in (one, other):
            pod.deploy(LIMITED)
            assert await pod.until_limited("/said") == 3
        refused = await one.ask("/said")
        assert refused.headers["ratelimit"].startswith('"endpoint";r=0;t=')
        assert 1_000 <= int(refused.headers["retry-after"]) <= 1_200
        assert refused.headers["ratelimit-policy"] == '"endpoint";q=3;w=3600'
        said = [one for one in caplog.records if "limits:" in one.message]
        assert [one.levelno for one in said] == [logging.WARNING] * 2


@pytest.mark.usefixtures("_no_rest")
async def test_a_redis_that_dies_and_comes_back(
    own_redis: PrivateServer, tmp_path: Path
) -> None:
    async with pods(tmp_path, redis_url(own_redis)) as (one, other):
        for pod in (one, other):
            pod.deploy(LIMITED)
        assert (await one.ask("/said")).headers["ratelimit"].startswith('"endpoint";r=2')
        own_redis.kill()
        # Nobody is refused for it, and nobody goes without a limit.
        assert await one.until_limited("/said") == 3
        assert await other.until_limited("/said") == 3
        own_redis.start()
        async with asyncio.timeout(WAIT_S):
            # It has forgotten all: from now on there are three again, for both.
            for pod in (one, other):
                while (await pod.ask("/said")).status == 429:
                    await asyncio.sleep(0)
        passed = [(await pod.ask("/said")).status for pod in (other, one) * 4]
        assert passed.count(200) == 1, "the third: each was let in once while it waited"


async def test_a_closed_gateway_leaves_no_connection(
    client: Any, shared_redis: PrivateServer, tmp_path: Path
) -> None:
    async with pods(tmp_path, redis_url(shared_redis), address_rate="9/1h") as (one, other):
        for pod in (one, other):
            await pod.ask("/nothing-here")
        assert len(await client.client_list()) == 3
    async with asyncio.timeout(WAIT_S):
        while len(await client.client_list()) > 1:
            await asyncio.sleep(0)

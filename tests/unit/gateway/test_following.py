"""A gateway that follows a store: one beat after the other, and never down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from plait.compile import compile_text
from plait.drivers.inline import InlineDriver
from plait.gateway.app import Gateway
from plait.gateway.deployment import Deployment, Loaded
from plait.gateway.following import Follower
from plait.gateway.message import Request
from plait.gateway.parts import Running
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.ports.journal import StoreTooNew, StoreUnavailable
from tests.unit.gateway.scenes import CATALOG, ScriptedCalls

TEXT = """
name: {name}
mode: express
endpoint: {{path: /{path}}}
steps: [{{id: said, type: set, value: "{value}"}}]
output: ${{said.response}}
"""


def deployed(name: str, value: str, path: str = "x", tenant: str = "default") -> Deployment:
    text = TEXT.format(name=name, value=value, path=path)
    plan = compile_text(text.encode(), name=name, catalog=CATALOG).plan
    return Deployment(f"{tenant}/{name}", plan, tenant=tenant)


class Store:
    """What `told` says, once; an exception is raised."""

    def __init__(self) -> None:
        self.told: Sequence[Loaded] | Exception | None = None
        self.revision = self.looks = 0
        self.is_closed = False

    async def look(self) -> Sequence[Loaded] | None:
        told, self.told = self.told, None
        self.looks += 1
        if isinstance(told, Exception):
            raise told
        self.revision += told is not None
        return told

    async def close(self) -> None:
        self.is_closed = True


class Scene:
    """A gateway, the store that it follows, and its beats."""

    def __init__(self) -> None:
        self.store = Store()
        self._beats = asyncio.Semaphore(0)
        self._waits = asyncio.Condition()
        self._waiting = 0
        self.follower = Follower(self.store, self._beat)
        driver = InlineDriver(ScriptedCalls())
        self.gateway = Gateway(driver, running=Running(follower=self.follower))

    async def _beat(self) -> None:
        async with self._waits:
            self._waiting += 1
            self._waits.notify_all()
        await self._beats.acquire()

    async def beat(self, told: Sequence[Loaded] | Exception | None) -> None:
        """Let the store say `told`, and return when that was looked at."""
        self.store.told = told
        async with self._waits:
            seen = self._waiting
            self._beats.release()
            await self._waits.wait_for(lambda: self._waiting > seen)

    async def ask(self, path: str) -> tuple[int, bytes | None]:
        reply = await self.gateway.handle(Request("GET", path, "", {}))
        return reply.status, reply.body if reply.status == 200 else None


async def test_each_beat_serves_what_is_deployed_then() -> None:
    scene = Scene()
    scene.store.told = [deployed("a", "1")]
    await scene.gateway.prepare()
    assert await scene.ask("/x") == (200, b'"1"')
    await scene.beat([deployed("a", "2")])
    assert await scene.ask("/x") == (200, b'"2"')
    await scene.beat(None)  # the same
    assert await scene.ask("/x") == (200, b'"2"')
    await scene.beat([])
    assert (await scene.ask("/x"))[0] == 404
    await scene.gateway.close()
    assert scene.store.is_closed


async def test_what_is_deployed_here_is_served_without_a_beat() -> None:
    scene = Scene()
    await scene.follower.look()  # before there is a gateway: it will look itself
    await scene.gateway.prepare()
    scene.store.told = [deployed("a", "1")]
    await scene.follower.look()
    assert await scene.ask("/x") == (200, b'"1"')
    await scene.gateway.close()


async def test_what_somebody_who_asks_knows_already_is_served_before_the_answer() -> None:
    scene = Scene()
    scene.store.told = [deployed("a", "1")]
    await scene.gateway.prepare()
    scene.store.told = [deployed("a", "2")]
    await scene.follower.at_least(1)
    assert await scene.ask("/x") == (200, b'"1"')  # no news: nobody has looked
    await asyncio.gather(*(scene.follower.at_least(2) for _ in range(3)))
    assert await scene.ask("/x") == (200, b'"2"')
    assert scene.store.looks == 2  # one for all who waited
    await scene.gateway.close()


async def test_nobody_who_asks_waits_for_a_store_that_cannot_be_reached() -> None:
    scene = Scene()
    scene.store.told = [deployed("a", "1")]
    await scene.gateway.prepare()
    scene.store.told = StoreUnavailable("gone")
    await asyncio.gather(*(scene.follower.at_least(2) for _ in range(3)))
    await scene.follower.at_least(2)
    assert scene.store.looks == 2
    assert await scene.ask("/x") == (200, b'"1"')
    await scene.beat([deployed("a", "2")])
    assert await scene.ask("/x") == (200, b'"2"')
    await scene.gateway.close()


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), RuntimeError("bug")])
async def test_what_goes_wrong_stops_nothing(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene()
    scene.store.told = [deployed("a", "1")]
    await scene.gateway.prepare()
    with caplog.at_level(logging.WARNING, "plait.deployments"):
        await scene.beat(error)
        await scene.beat(error)
    told_once = isinstance(error, PlaitError)
    assert len(caplog.records) == (1 if told_once else 2)
    assert await scene.ask("/x") == (200, b'"1"')
    # Callers are known from the store, too; a mistake of ours is not its.
    away = error.code if isinstance(error, PlaitError) else None
    assert scene.gateway.trouble == away
    await scene.beat([deployed("a", "2")])
    assert scene.gateway.trouble is None
    assert await scene.ask("/x") == (200, b'"2"')
    await scene.gateway.close()


async def test_a_gateway_that_does_not_know_what_is_deployed_is_not_ready() -> None:
    scene = Scene()
    scene.store.told = StoreUnavailable("gone")
    await scene.gateway.prepare()
    scene.gateway.begin()
    assert (await scene.ask("/health/ready"))[0] == 503
    await scene.beat(StoreUnavailable("gone"))
    assert (await scene.ask("/health/ready"))[0] == 503
    await scene.beat([deployed("a", "1")])
    assert (await scene.ask("/health/ready"))[0] == 200
    await scene.gateway.close()


async def test_a_gateway_is_not_ready_while_the_store_that_it_follows_is_away() -> None:
    scene = Scene()
    scene.store.told = [deployed("a", "1")]
    await scene.gateway.prepare()
    scene.gateway.begin()
    assert (await scene.ask("/health/ready"))[0] == 200
    await scene.beat(StoreUnavailable("gone"))
    assert (await scene.ask("/health/ready"))[0] == 503
    # What no waiting mends is told in the log, and keeps nothing from being served.
    await scene.beat(None)
    await scene.beat(StoreTooNew(found=9, known=8, store="plait.db"))
    assert (await scene.ask("/health/ready"))[0] == 200
    await scene.gateway.close()


async def test_a_store_that_never_opens_stops_only_who_serves_nothing_else() -> None:
    scene = Scene()
    scene.store.told = StoreTooNew(found=9, known=8, store="plait.db")
    with pytest.raises(StoreTooNew):
        await scene.gateway.prepare()
    scene.gateway.deploy([deployed("file", "1")])
    scene.store.told = StoreTooNew(found=9, known=8, store="plait.db")
    await scene.gateway.prepare()
    assert scene.gateway.trouble is None
    assert await scene.ask("/x") == (200, b'"1"')
    await scene.gateway.close()


async def test_a_file_s_route_and_name_win_over_what_is_deployed() -> None:
    scene = Scene()
    scene.gateway.deploy([deployed("a", "file")])
    scene.store.told = [deployed("b", "deployed"), deployed("c", "1", path="c")]
    await scene.gateway.prepare()
    assert await scene.ask("/x") == (200, b'"file"')
    assert scene.gateway.refused == ("default/b",)
    await scene.beat([Deployment("same", deployed("a", "1", path="other").plan)])
    told: JsonObject = {}
    plan = scene.gateway.plan_named("default", "a")
    assert plan is not None
    assert plan.endpoint is not None
    told["path"] = plan.endpoint.path
    assert told == {"path": "/x"}
    await scene.gateway.close()


async def test_other_tenants_have_paths_of_their_own_and_stay_unseen() -> None:
    scene = Scene()
    ours, theirs = deployed("a", "ours"), deployed("a", "theirs", tenant="ac/me")
    same = deployed("a", "ours", tenant="other")
    scene.store.told = [theirs, same, ours]
    await scene.gateway.prepare()
    assert await scene.ask("/x") == (200, b'"ours"')
    assert await scene.ask("/~ac%2Fme/x") == (200, b'"theirs"')
    assert await scene.ask("/~other/x") == (200, b'"ours"')
    assert scene.gateway.plan_named("default", "a") is ours.plan
    status, document = await scene.ask("/openapi.json")
    assert status == 200
    assert document is not None
    assert b"me/x" not in document
    assert b'"/x"' in document
    await scene.gateway.close()

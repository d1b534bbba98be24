"""The stage for tests of connectors: both event loops, a client, an upstream."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from plait.connectors.http import HttpCalls, HttpSettings
from plait.model.failure import Failure
from plait.ports.calls import CallHandle, CallReply, Outcome
from plait.testing.calls_suite import call_to, failure_of, outcome_of, reply_of
from plait.testing.upstream import Greeting, Script, Upstream

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

AsyncTest = Callable[..., Coroutine[Any, Any, None]]


def on_both_loops(test: AsyncTest) -> Callable[..., None]:
    """Run an async test on asyncio's loop and on uvloop's.

    What the loop would only log (an exception in a callback) fails the test.
    """

    @functools.wraps(test)
    def run(loop_name: str, **fixtures: Any) -> None:
        complaints: list[dict[str, Any]] = []

        async def watched() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            await test(**fixtures)

        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            runner.run(watched())
        assert complaints == [], complaints

    signature = inspect.signature(test)
    loop_name = inspect.Parameter("loop_name", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [loop_name, *signature.parameters.values()]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    both: Callable[..., None] = pytest.mark.parametrize("loop_name", list(LOOPS))(run)
    return both


class Scene:
    """One client and one upstream."""

    def __init__(self, calls: HttpCalls, upstream: Upstream) -> None:
        self.calls = calls
        self.upstream = upstream

    async def fetch(
        self, path: str = "/", *, call: dict[str, Any] | None = None, **request: Any
    ) -> Outcome:
        """Call the upstream and return the outcome; `call` changes the call itself."""
        request = {"url": self.upstream.url(path), **request}
        return await outcome_of(self.calls, call_to(request, **(call or {})))

    async def reply(self, path: str = "/", **request: Any) -> CallReply:
        """Call the upstream, which has to answer as the request expects."""
        return reply_of(await self.fetch(path, **request))

    async def failure(self, path: str = "/", **request: Any) -> Failure:
        """Call the upstream, which has to fail."""
        return failure_of(await self.fetch(path, **request))

    def start(self, heard: list[Outcome], path: str = "/", **changes: Any) -> CallHandle:
        """Start a call; its outcome is added to `heard`."""
        call = call_to({"url": self.upstream.url(path)}, **changes)
        return self.calls.start(call, heard.append)


@asynccontextmanager
async def http(
    script: Script | None = None, *, greeting: Greeting | None = None, **settings: Any
) -> AsyncIterator[Scene]:
    """Open a client with `settings`, and an upstream that answers with `script`."""
    calls = HttpCalls(HttpSettings(**settings))
    async with Upstream(script, greeting=greeting) as upstream:
        try:
            yield Scene(calls, upstream)
        finally:
            await calls.close()

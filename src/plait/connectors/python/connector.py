"""The `python` connector: plait.ports.calls.Calls over functions of this process.

Rule 1. A coroutine runs as a task; any other function in a thread of a pool, so that it
holds up nobody.
Rule 2. Giving up a call cancels its task. A thread cannot be stopped: it goes on, and what
it returns is dropped.
Rule 3. `start` never raises, and a failure never carries the arguments.

Not here: retries (plait.kernel), which functions there are (functions).
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from plait.connectors.egress import ConnectorError, InvalidRequest
from plait.connectors.python.call import CURRENT, FunctionCall
from plait.connectors.python.errors import NotBool, NotJson, ShutDown, TimedOut, failure_of
from plait.connectors.python.functions import Arguments, Function, Functions
from plait.connectors.python.values import NoJson, as_json
from plait.ports.calls import Call, CallHandle, CallReply, Done, Outcome

THREADS_MAX: Final = 32


class _Over:
    """The handle of a call that ended before `start` returned."""

    def cancel(self) -> None:
        """Nothing is under way."""


class PythonCalls:
    """Performs the calls of `python` steps.

    Args:
        functions: What may be called; more may be registered later.
        threads_max: How many functions that are no coroutines run at a time; further ones
            wait, and that counts as their time.

    >>> calls = PythonCalls(Functions({"shop.largest": max}))
    """

    def __init__(self, functions: Functions, *, threads_max: int = THREADS_MAX) -> None:
        self.functions = functions
        self._threads = ThreadPoolExecutor(threads_max, thread_name_prefix="plait-python")
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def start(self, call: Call, done: Done) -> CallHandle:
        """Begin `call`. See plait.ports.calls.Calls."""
        try:
            if self._is_closed:
                raise ShutDown
            function, arguments = self._asked(call.request)
            args, kwargs = function.bound(arguments)
        except ConnectorError as error:
            done(error.as_failure(sent=False))
            return _Over()
        work = self._answer(done, call, function, args, kwargs)
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return _Handle(task)

    def lacks(self, call: Call) -> bool:
        """Tell whether a call waits for a worker that has its function."""
        request = call.request
        if request.get("wait_for_worker") is not True:
            return False
        return request.get("function") not in self.functions

    def _asked(self, request: object) -> tuple[Function, Arguments]:
        if not isinstance(request, Mapping):
            raise InvalidRequest("a request is a mapping with `function`")
        arguments = request.get("arguments", {})
        if not isinstance(arguments, (list, dict)):
            raise InvalidRequest(
                "arguments are a mapping from parameter to value, or a list"
            )
        return self.functions.named(request.get("function")), arguments

    async def _answer(self, done: Done, *asked: Any) -> None:
        # Whoever is cancelled before it has begun is never heard of, and makes nothing.
        try:
            outcome = await self._outcome(*asked)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            # Nobody else would say so, and the step would wait for ever.
            outcome = failure_of(error)
        done(outcome)

    async def _outcome(
        self, call: Call, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Outcome:
        CURRENT.set(
            FunctionCall(call.execution_id, call.step, call.attempt, call.idempotency_key)
        )
        limit = asyncio.timeout(call.timeout_ms / 1000)
        try:
            async with limit:
                value = await self._returned(function, args, kwargs)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The function's own: something that it awaited was cancelled, this call not.
            return failure_of(error)
        except Exception as error:
            if limit.expired():
                late = TimedOut(function=function.name, waited_ms=call.timeout_ms)
                return late.as_failure(sent=True)
            return failure_of(error.error if isinstance(error, _Raised) else error)
        try:
            told = as_json(value)
        except NoJson as error:
            return NotJson(function=function.name, reason=str(error)).as_failure(sent=True)
        if function.is_condition and not isinstance(told, bool):
            return NotBool(function=function.name, returned=told).as_failure(sent=True)
        return CallReply(told, {})

    async def _returned(
        self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if function.is_async:
            return await function.call(*args, **kwargs)
        work = functools.partial(
            contextvars.copy_context().run, _heard, function, args, kwargs
        )
        value = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        if isinstance(value, _Raised):
            raise value
        # A lambda around a coroutine function, for one, is none itself.
        return await value if inspect.isawaitable(value) else value

    async def close(self) -> None:
        """Cancel what is under way; later calls fail. Threads end by themselves."""
        self._is_closed = True
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Raised(Exception):
    """What a function in a thread raised, in a cover: a future holds no StopIteration, and
    whoever awaits it would never hear of it."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def _heard(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return function.call(*args, **kwargs)
    except BaseException as error:
        return _Raised(error)


class _Handle:
    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def cancel(self) -> None:
        """See plait.ports.calls.CallHandle."""
        self._task.cancel()

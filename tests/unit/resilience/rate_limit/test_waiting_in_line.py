"""Who waits is admitted in turn, at the first moment that a simple model allows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.resilience.errors import RateLimited
from plait.testing.virtual_time import run_virtually
from tests.unit.resilience.rate_limit.models import (
    KINDS,
    TICK_S,
    Model,
    Shape,
    limiter_of,
    model_of,
)

pytestmark = pytest.mark.slow

# Callers come in whole turns of so many ticks; in between there is a tick of its own for
# each one's time-out, and one for its giving up: no two things happen at once.
TURN = 32
CALLERS_MAX = 10


class LoopClock:
    """Tells the time of the loop that it was made on."""

    def __init__(self) -> None:
        self.now = asyncio.get_running_loop().time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True)
class Caller:
    """Comes in a turn; `timeout` and `gives_up` in turns from then, None: never."""

    turn: int
    part: float
    timeout: int | None
    gives_up: int | None

    def weight(self, shape: Shape) -> int:
        return 1 + round(self.part * (shape.weight_max - 1))


callers = st.lists(
    st.builds(
        Caller,
        turn=st.integers(0, 12),
        part=st.floats(0, 1),
        timeout=st.none() | st.integers(0, 12),
        gives_up=st.none() | st.integers(0, 12),
    ),
    min_size=2,
    max_size=CALLERS_MAX,
).map(lambda drawn: sorted(drawn, key=lambda caller: caller.turn))


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Draw one whose calls fall due on whole ticks."""
    limit = draw(st.integers(1, 5))
    period = limit * draw(st.sampled_from((1, 4, 16, 64)))
    return Shape(draw(st.sampled_from(KINDS)), limit, period, draw(st.integers(1, 6)))


@dataclass
class Simulated:
    """The line by the book: served before anything else happens."""

    model: Model
    callers: list[Caller]
    line: list[int] = field(default_factory=list)
    admitted: dict[int, int] = field(default_factory=dict)
    served_until: int = 0

    def run(self) -> dict[int, int]:
        """Return the tick of admission of each caller that is admitted."""
        for tick, number, comes in sorted(self._events()):
            self._serve(tick)
            if comes:
                self._come(tick, number)
            elif number in self.line:
                self.line.remove(number)
            self._serve(tick)
        self._serve(1 << 40)
        return self.admitted

    def _events(self) -> Iterator[tuple[int, int, bool]]:
        for number, caller in enumerate(self.callers):
            come_at = caller.turn * TURN
            yield come_at, number, True
            if caller.timeout is not None:
                yield come_at + timeout_ticks(number, caller.timeout), number, False
            if caller.gives_up is not None:
                yield come_at + gives_up_ticks(number, caller.gives_up), number, False

    def _come(self, tick: int, number: int) -> None:
        caller = self.callers[number]
        wait = self.model.wait(tick, caller.weight(self.model.shape))
        bound = caller.timeout
        if bound is None or wait <= timeout_ticks(number, bound):
            self.line.append(number)

    def _serve(self, tick: int) -> None:
        while self.line:
            weight = self.callers[self.line[0]].weight(self.model.shape)
            at = self.served_until + self.model.wait(self.served_until, weight)
            if at > tick:
                break
            assert self.model.take(at, weight)
            self.admitted[self.line.pop(0)] = at
            self.served_until = at
        self.served_until = max(self.served_until, min(tick, 1 << 30))


def timeout_ticks(number: int, turns: int) -> int:
    return turns * TURN + 1 + number


def gives_up_ticks(number: int, turns: int) -> int:
    return turns * TURN + 1 + CALLERS_MAX + number


async def admissions(shape: Shape, callers: list[Caller]) -> dict[int, int]:
    """Return what happens in truth, on the loop's clock."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    limiter = limiter_of(shape, LoopClock())
    admitted: dict[int, int] = {}

    async def wait(number: int, caller: Caller) -> None:
        timeout_s = None
        if caller.timeout is not None:
            timeout_s = timeout_ticks(number, caller.timeout) * TICK_S
        try:
            await limiter.acquire_or_wait(caller.weight(shape), timeout=timeout_s)
        except RateLimited:
            return
        admitted[number] = round((loop.time() - begun_s) / TICK_S)

    tasks = []
    for number, caller in enumerate(callers):
        await asyncio.sleep(begun_s + caller.turn * TURN * TICK_S - loop.time())
        tasks.append(asyncio.create_task(wait(number, caller)))
        if caller.gives_up is not None:
            after_s = gives_up_ticks(number, caller.gives_up) * TICK_S
            loop.call_later(after_s, give_up, tasks[-1])
        await asyncio.sleep(0)
    await asyncio.wait(tasks)
    assert limiter.snapshot().waiting == 0
    return admitted


def give_up(task: asyncio.Task[None]) -> None:
    """Cancel it when all that is due at this moment has happened."""
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: loop.call_soon(task.cancel))


@given(shapes(), callers)
def test_waiters_are_admitted_in_turn_and_as_soon_as_the_limit_allows(
    shape: Shape, callers: list[Caller]
) -> None:
    expected = Simulated(model_of(shape), callers).run()
    assert run_virtually(admissions(shape, callers)) == expected

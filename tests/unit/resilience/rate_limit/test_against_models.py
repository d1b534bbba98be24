"""Each limiter in process decides as its model does, whatever is asked of it and when."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.unit.resilience.rate_limit.clocks import HandClock
from tests.unit.resilience.rate_limit.models import (
    KINDS,
    TICK_S,
    Shape,
    limiter_of,
    model_of,
)

pytestmark = pytest.mark.slow

shapes = st.builds(
    Shape,
    kind=st.sampled_from(KINDS),
    limit=st.integers(1, 7),
    period=st.sampled_from((1, 3, 8, 10)),
    size=st.integers(1, 9),
)


class LimiterMachine(RuleBasedStateMachine):
    """Calls of any weight at any time: model and limiter always agree."""

    @initialize(shape=shapes)
    def begin(self, shape: Shape) -> None:
        self.shape = shape
        self.clock = HandClock()
        self.limiter = limiter_of(shape, self.clock)
        self.model = model_of(shape)
        self.tick = 0

    @rule(ticks=st.integers(1, 12))
    def time_passes(self, ticks: int) -> None:
        self.tick += ticks
        self.clock.now_s += ticks * TICK_S

    @rule(part=st.floats(0, 1))
    def call(self, part: float) -> None:
        weight = 1 + round(part * (self.shape.weight_max - 1))
        admission = self.limiter.try_acquire(weight)
        assert bool(admission) == self.model.take(self.tick, weight)
        assert (admission.retry_after == 0) == admission.admitted

    @precondition(lambda self: not self.model.fits(self.tick, 1))
    @rule(part=st.floats(0, 1))
    def come_back_when_told(self, part: float) -> None:
        """Just before `retry_after` it is too soon, then it is not."""
        weight = 1 + round(part * (self.shape.weight_max - 1))
        wait_s = self.limiter.try_acquire(weight).retry_after
        if wait_s == 0:
            assert self.model.take(self.tick, weight)
            return
        begun_s = self.clock.now_s
        self.clock.now_s = begun_s + wait_s - 1e-6
        assert not self.limiter.try_acquire(weight)
        ticks = self.model.wait(self.tick, weight)
        assert (ticks - 1) * TICK_S <= wait_s <= ticks * TICK_S + 1e-6
        # On to a whole tick, where the model lives.
        self.tick += ticks
        self.clock.now_s = begun_s + ticks * TICK_S
        assert self.limiter.try_acquire(weight)
        assert self.model.take(self.tick, weight)

    @invariant()
    def what_is_left_is_shown(self) -> None:
        standing = self.limiter.snapshot()
        assert standing.remaining == self.model.remaining(self.tick)
        assert 0 <= standing.remaining <= standing.limit
        assert (standing.reset_after == 0) == self.limiter.is_idle


TestLimiterMachine = LimiterMachine.TestCase
TestLimiterMachine.settings = settings(stateful_step_count=40)

"""What a circuit breaker is, said simply: all outcomes are kept, nothing is counted ahead.

Every breaker is driven beside this model, by the same machine.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from plait.resilience import BreakerSettings, BreakerSnapshot, BreakerState
from tests.unit.resilience.clocks import HandClock

CLOSED, OPEN = BreakerState.CLOSED, BreakerState.OPEN
HALF_OPEN, ISOLATED = BreakerState.HALF_OPEN, BreakerState.ISOLATED

SETTINGS = st.builds(
    BreakerSettings,
    failure_threshold=st.integers(1, 4),
    failure_rate=st.sampled_from([None, 0.25, 0.5, 1.0]),
    slow_call_s=st.just(2.0),
    slow_rate=st.sampled_from([None, 0.5, 1.0]),
    window_calls=st.integers(4, 6),
    window_s=st.sampled_from([None, 10.0]),
    min_calls=st.integers(1, 4),
    success_threshold=st.integers(1, 3),
    open_s=st.just(5.0),
    max_half_open_calls=st.integers(1, 3),
    half_open_s=st.just(8.0),
)
DURATIONS = st.sampled_from([0.1, 0.1, 2.0])


class Rig(Protocol):
    """A breaker as the machine drives it, whether or not it has to be awaited."""

    def acquire(self) -> int: ...
    def succeed(self, permit: int, duration_s: float) -> None: ...
    def fail(self, permit: int, duration_s: float) -> None: ...
    def abandon(self, permit: int) -> None: ...
    def by_hand(self, verb: str) -> None: ...
    def snapshot(self) -> BreakerSnapshot: ...


class Probe:
    """A call that was let through in the model, and the round that it belongs to."""

    def __init__(self, round_number: int) -> None:
        self.round_number = round_number


class Model:
    """The state, the outcomes of this round, and the calls that are out."""

    def __init__(self, settings: BreakerSettings, clock: HandClock) -> None:
        self.settings, self.clock = settings, clock
        self.round_number = 0
        self.out: list[Probe] = []
        self.totals = {"succeeded": 0, "failed": 0, "slow": 0, "refused": 0}
        self.turn(CLOSED)

    def turn(self, state: BreakerState) -> None:
        self.state = state
        self.round_number += 1
        self.since = self.admitted_at = self.clock.now()
        self.outcomes: list[tuple[float, bool, bool]] = []

    def out_now(self) -> int:
        """Return how many calls of this round are out."""
        return sum(probe.round_number == self.round_number for probe in self.out)

    def acquire(self) -> Probe | None:
        now = self.clock.now()
        if self.state is OPEN and now >= self.since + self.settings.open_s:
            self.turn(HALF_OPEN)
        if self.state is HALF_OPEN and self.out_now() >= self.settings.max_half_open_calls:
            if now - self.admitted_at >= self.settings.half_open_s:
                self.turn(OPEN)
        elif self.state in (CLOSED, HALF_OPEN):
            self.admitted_at = now
            self.out.append(Probe(self.round_number))
            return self.out[-1]
        self.totals["refused"] += 1
        return None

    def settle(self, probe: Probe, failed: bool, duration_s: float) -> None:
        self.out.remove(probe)
        slow = duration_s >= (self.settings.slow_call_s or 1e9)
        failed = failed or (slow and self.settings.slow_rate is None)
        self.totals["slow"] += slow
        self.totals["failed" if failed else "succeeded"] += 1
        if probe.round_number != self.round_number:
            return
        if self.state is ISOLATED:
            return
        self.outcomes.append((self.clock.now(), failed, slow))
        half_open = self.state is HALF_OPEN
        if (failed or slow) if half_open else self.is_too_bad():
            self.turn(OPEN)
        elif half_open and len(self.outcomes) == self.settings.success_threshold:
            self.turn(CLOSED)

    def consecutive(self) -> int:
        if self.state is not CLOSED:
            return 0
        return len(list(takewhile(lambda outcome: outcome[1], reversed(self.outcomes))))

    def window(self) -> list[tuple[float, bool, bool]]:
        settings = self.settings
        if settings.window_s is None:
            return self.outcomes[-settings.window_calls :]
        slice_s = settings.window_s / 10
        last = int(self.clock.now() / slice_s)
        return [one for one in self.outcomes if int(one[0] / slice_s) > last - 10]

    def is_too_bad(self) -> bool:
        settings = self.settings
        if self.consecutive() >= (settings.failure_threshold or 1e9):
            return True
        window = self.window()
        if len(window) < settings.min_calls:
            return False
        failed = sum(one[1] for one in window) / len(window)
        slow = sum(one[2] for one in window) / len(window)
        return failed >= (settings.failure_rate or 2) or slow >= (settings.slow_rate or 2)


class BreakerMachine(RuleBasedStateMachine):
    """Does at random what callers do, and compares breaker and model at every step."""

    clock: HandClock

    def rig_of(self, settings: BreakerSettings, clock: HandClock) -> Rig:
        raise NotImplementedError

    @initialize(settings=SETTINGS)
    def begin(self, settings: BreakerSettings) -> None:
        self.clock = HandClock()
        self.rig = self.rig_of(settings, self.clock)
        self.model = Model(settings, self.clock)
        self.permits: list[tuple[int, Probe]] = []

    @rule()
    def ask(self) -> None:
        permit, probe = self.rig.acquire(), self.model.acquire()
        assert bool(permit) == (probe is not None)
        if probe is not None:
            self.permits.append((permit, probe))
        self.agree()

    @rule(ends=st.lists(st.tuples(st.booleans(), DURATIONS), min_size=2, max_size=12))
    def call_in_a_row(self, ends: list[tuple[bool, float]]) -> None:
        for failed, duration_s in ends:
            self.ask()
            if self.permits:
                self.settle_one(*self.permits.pop(), failed, duration_s)

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), failed=st.booleans(), duration_s=DURATIONS)
    def settle(self, data: st.DataObject, failed: bool, duration_s: float) -> None:
        self.settle_one(*self.taken(data), failed, duration_s)

    def settle_one(
        self, permit: int, probe: Probe, failed: bool, duration_s: float
    ) -> None:
        counts = probe.round_number == self.model.round_number
        (self.rig.fail if failed else self.rig.succeed)(permit, duration_s)
        self.model.settle(probe, failed, duration_s)
        self.agree()
        if counts and self.model.state is CLOSED and self.model.settings.has_rates:
            self.agree_on_window()

    @precondition(lambda self: self.permits)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        permit, probe = self.taken(data)
        self.rig.abandon(permit)
        self.model.out.remove(probe)
        self.agree()

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 5.0, 8.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(verb=st.sampled_from(["open", "close", "reset"]))
    def by_hand(self, verb: str) -> None:
        self.rig.by_hand(verb)
        self.model.turn(ISOLATED if verb == "open" else CLOSED)
        if verb == "reset":
            self.model.totals = dict.fromkeys(self.model.totals, 0)
        self.agree()

    def taken(self, data: st.DataObject) -> tuple[int, Probe]:
        return self.permits.pop(data.draw(st.integers(0, len(self.permits) - 1)))

    def agree(self) -> None:
        model, found = self.model, self.rig.snapshot()
        assert found.state is model.state
        assert found.consecutive_failures == model.consecutive()
        if model.state is HALF_OPEN:
            assert found.half_open_calls == model.out_now()
            assert model.out_now() <= model.settings.max_half_open_calls
        told = (found.succeeded, found.failed, found.slow, found.refused)
        assert told == tuple(model.totals.values())

    def agree_on_window(self) -> None:
        """Compare what is left of the window, right after it has turned."""
        found, kept = self.rig.snapshot(), self.model.window()
        failed, slow = sum(one[1] for one in kept), sum(one[2] for one in kept)
        told = (found.window_calls, found.window_failures, found.window_slow)
        assert told == (len(kept), failed, slow)

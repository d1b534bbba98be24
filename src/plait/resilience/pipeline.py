"""Pipeline: several policies around one call, always in the same order.

Rule. The order is that of `Place`, outermost first, however the pipeline is spelled:
    docs/patterns/README.md says why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from enum import IntEnum
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from plait.resilience.bulkhead import Bulkhead
from plait.resilience.circuit_breaker import CircuitBreaker
from plait.resilience.fallback import Fallback
from plait.resilience.hedge import Hedge
from plait.resilience.keys import KeyedPolicy
from plait.resilience.policy import Policy
from plait.resilience.retry import RetryPolicy
from plait.resilience.timeout import Timeout

P = ParamSpec("P")
T = TypeVar("T")


class Place(IntEnum):
    """Where a policy stands around the call; the lowest is outermost."""

    FALLBACK = 0
    TIMEOUT = 1
    RETRY = 2
    CACHE = 3
    IDEMPOTENCY = 4
    COLLAPSE = 5
    HEDGE = 6
    CIRCUIT_BREAKER = 7
    RATE_LIMIT = 8
    BULKHEAD = 9
    ATTEMPT_TIMEOUT = 10


class Layer(Protocol):
    """What can be put around a call."""

    def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]:
        """Call `function`, or answer without it."""
        ...


class Pipeline(Policy):
    """Policies around calls, put together by a `PipelineBuilder`.

    Attributes:
        name: For messages.
        layers: The policies by place, outermost first.
    """

    __slots__ = ("_chain", "layers", "name")

    def __init__(self, layers: Mapping[Place, Layer], *, name: str = "") -> None:
        """Put `layers` around each other.

        Raises:
            ValueError: There are none.
        """
        if not layers:
            raise ValueError("the pipeline is empty; add a policy before `build`")
        self.name = name
        self.layers = {place: layers[place] for place in sorted(layers)}
        # a.call(b.call, c.call, function, …): each takes the next as its function, so that
        # a call makes no closures.
        last = len(layers) - 1
        outermost, *inner = (
            _call_of(layer, last - place)
            for place, layer in enumerate(self.layers.values())
        )
        self._chain: Callable[..., Coroutine[Any, Any, Any]] = partial(
            cast("Any", outermost), *inner
        )

    def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]:
        """Call `function` inside all policies; return what comes out of them."""
        return cast("Coroutine[Any, Any, T]", self._chain(function, *args, **kwargs))

    def check(self, function: Callable[..., Any]) -> None:
        """Refuse a function that one of the policies cannot protect."""
        for one in self.layers.values():
            if isinstance(one, Policy):
                one.check(function)

    def policies(self) -> tuple[Any, ...]:
        """Return the pipeline and its policies."""
        return (self, *self.layers.values())


def _call_of(layer: Layer, depth: int) -> Callable[..., Any]:
    """Return the coroutine method of `layer`, which has `depth` others further in."""
    # One that goes by keys needs the protected function's, not the next layer's.
    if isinstance(layer, KeyedPolicy):
        return partial(layer.call_inside, depth)
    return layer.call


class PipelineBuilder:
    """Collects policies, each place once, in whatever order they are named.

    >>> pipeline = (
    ...     PipelineBuilder("payments")
    ...     .attempt_timeout(Timeout(2))
    ...     .retry(RetryPolicy(max_attempts=3))
    ...     .build()
    ... )
    >>> [place.name for place in pipeline.layers]
    ['RETRY', 'ATTEMPT_TIMEOUT']
    """

    __slots__ = ("_layers", "name")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._layers: dict[Place, Layer] = {}

    def fallback(self, policy: Fallback) -> PipelineBuilder:
        """Answer when everything inside has failed."""
        return self.put(Place.FALLBACK, policy)

    def timeout(self, policy: Timeout) -> PipelineBuilder:
        """Bound the time of all attempts together."""
        return self.put(Place.TIMEOUT, policy)

    def retry(self, policy: RetryPolicy) -> PipelineBuilder:
        """Make failed attempts again."""
        return self.put(Place.RETRY, policy)

    def cache(self, policy: Layer) -> PipelineBuilder:
        """Answer from what was answered before."""
        return self.put(Place.CACHE, policy)

    def idempotency(self, policy: Layer) -> PipelineBuilder:
        """Do once what is asked for twice."""
        return self.put(Place.IDEMPOTENCY, policy)

    def collapse(self, policy: Layer) -> PipelineBuilder:
        """Make one call of several that ask the same, or ask in bulk."""
        return self.put(Place.COLLAPSE, policy)

    def hedge(self, policy: Hedge) -> PipelineBuilder:
        """Call again when the first call is slow; each call is under what is further in."""
        return self.put(Place.HEDGE, policy)

    def circuit_breaker(self, policy: CircuitBreaker | Layer) -> PipelineBuilder:
        """Leave alone what keeps failing."""
        return self.put(Place.CIRCUIT_BREAKER, policy)

    def rate_limit(self, policy: Layer) -> PipelineBuilder:
        """Bound how many calls begin in a time."""
        return self.put(Place.RATE_LIMIT, policy)

    def bulkhead(self, policy: Bulkhead) -> PipelineBuilder:
        """Bound how many calls run at a time."""
        return self.put(Place.BULKHEAD, policy)

    def attempt_timeout(self, policy: Timeout) -> PipelineBuilder:
        """Bound the time of each attempt."""
        return self.put(Place.ATTEMPT_TIMEOUT, policy)

    def put(self, place: Place, policy: Layer) -> PipelineBuilder:
        """Put any policy in a place, also one of your own.

        Raises:
            ValueError: The place is taken.
            TypeError: `policy` has no `call`.
        """
        if not callable(getattr(policy, "call", None)):
            raise TypeError(f"{policy!r} is no policy: it has no method `call`")
        if place in self._layers:
            message = f"{place.name.lower()} is there already; a pipeline has one of each"
            raise ValueError(message)
        self._layers[place] = policy
        return self

    def build(self) -> Pipeline:
        """Return the pipeline; the builder may go on.

        Raises:
            ValueError: There is no policy in it.
        """
        return Pipeline(self._layers, name=self.name)

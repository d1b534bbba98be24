"""The settings of what stands around each attempt of a call: `cache`,
`idempotency_key`, `batch`, `hedge`, `circuit_breaker`, `rate_limit`, `bulkhead`, and the
`budget` of `retry`.

Not here: where they may stand (plait.compile.policies), what they do
(plait.drivers.policies).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from plait.document.error_words import WordMatch
from plait.document.fields import DURATION_PATTERN, DurationMs, Span, Strict, Templated
from plait.model.duration import parse_duration_ms

_KEYS: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", re.ASCII)
_CALLS_MAX = 1_000_000_000
_CALLERS_MAX = 1_000_000
_QUANTILE = re.compile(r"p([5-9][0-9](?:\.[0-9])?)", re.ASCII)


def _share(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= 1:
        raise ValueError("should be a share, above 0 and at most 1")
    return float(value)


Share: TypeAlias = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
]
Calls: TypeAlias = Annotated[int, Field(ge=1, le=_CALLS_MAX)]
Callers: TypeAlias = Annotated[int, Field(ge=0, le=_CALLERS_MAX)]
SharedName: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.:/-]+$")
]


class Budget(Strict):
    """How many retries the upstream can bear, all callers of this process together."""

    ratio: Share = 0.2
    """Retries per request, in the window and since the last success."""
    min_retries: Annotated[int, Field(ge=0, le=_CALLS_MAX)] = 10
    """So many are granted per window, however few requests there are."""
    window: Span = 10_000
    """Over which requests and retries are counted."""


class Cache(Strict):
    """How long an answer may be given again, of calls that only read."""

    ttl: Span
    """It is fresh for so long, and given without a call."""
    stale_while_revalidate: DurationMs = 0
    """For so long after that it is still given, while another one is fetched."""
    stale_if_error: DurationMs = 0
    """For so long after that it is given where the call fails."""
    key: Templated = None
    """What an answer is kept under, in place of the request. A call whose key is null or
    empty is not cached."""
    user: Templated = None
    """Whose answer it is: nobody else gets it. A call of nobody is not cached."""
    name: SharedName | None = None
    """Share the answers under a `key` with all that name it so. Default: the step has its
    own."""


def _after(value: Any) -> int | float:
    found = _QUANTILE.fullmatch(value) if isinstance(value, str) else None
    if found is not None:
        return float(found[1]) / 100
    try:
        after_ms = parse_duration_ms(value) if isinstance(value, str) else 0
    except ValueError:
        after_ms = 0
    if after_ms < 1:
        raise ValueError(
            "should be a duration, such as 200ms, or p50 to p99.9, such as p95"
        )
    return after_ms


HedgeAfter: TypeAlias = Annotated[
    int | float,
    BeforeValidator(_after),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{_QUANTILE.pattern}$"},
                {"type": "string", "pattern": DURATION_PATTERN},
            ]
        }
    ),
]


class Hedge(Strict):
    """When a call that reads is made a second time because the first is slow."""

    after: HedgeAfter
    """How long the call before has: a duration, or `p95`: longer than 95 % of the latest
    calls of the upstream took."""
    max_: Annotated[int, Field(alias="max", ge=1, le=10)] = 1
    """How many further calls at most, each after the same time."""
    share: Share = 0.1
    """Further calls per request of the upstream, at most."""


def _keys(value: Any) -> str:
    if not isinstance(value, str) or not _KEYS.fullmatch(value):
        raise ValueError("write keys with dots between them: params.ids")
    return value


KeyPath: TypeAlias = Annotated[
    str,
    BeforeValidator(_keys),
    WithJsonSchema({"type": "string", "pattern": f"^{_KEYS.pattern}$"}),
]


class Batch(Strict):
    """How single lookups, of this step in many executions, become one bulk call."""

    over: KeyPath
    """Where the list of what is looked up stands in the request: `params.ids`. Lookups
    that are equal in all else go together."""
    results: KeyPath | None = None
    """Where what was found stands in the response: a list of objects, or an object by what
    was looked up. Each lookup is given its own of it. Default: the response itself."""
    by: Annotated[str, Field(min_length=1, max_length=200)] = "id"
    """Of a list's objects, the key that says what each answers."""
    max_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Lookups in one call."""
    max_delay: Span = 2
    """How long the first one waits for others."""


class Once(Strict):
    """An idempotency key under which a call is made once, whoever asks."""

    key: Annotated[str, Field(min_length=1)]
    """The key: a template that yields text, or a whole number."""
    once_for: Span = 86_400_000
    """For so long who comes with the key is given the reply to the first call. Default
    24h."""


def _form(value: Any) -> str:
    return "once" if isinstance(value, dict | Once) else "text"


# Told apart, so that what is wrong with one is not reported of the other as well.
IdempotencyKey: TypeAlias = Annotated[
    Annotated[str, Field(min_length=1), Tag("text")] | Annotated[Once, Tag("once")],
    Discriminator(_form),
]


class CircuitBreaker(Strict):
    """When calls are refused because too many before them have failed."""

    failure_threshold: Calls | None = 5
    """Opens after so many failures in a row; null: not for that."""
    failure_rate: Share | None = None
    """Opens when this share of the window's calls has failed."""
    slow_call: Span | None = None
    """A call that takes so long is slow, and counts as a failure."""
    slow_rate: Share | None = None
    """Opens when this share of the window's calls was slow, which then is no failure."""
    window_calls: Annotated[int, Field(ge=1, le=100_000)] = 100
    """The window is the last so many calls…"""
    window: Span | None = None
    """…or, when given, those of the last so much time."""
    min_calls: Annotated[int, Field(ge=1, le=100_000)] = 10
    """No rate opens the breaker before so many calls are in the window."""
    success_threshold: Calls = 1
    """Closes after so many calls that succeeded while it was half open."""
    open_time: Span = 30_000
    """How long it refuses calls before it lets some through to see how they fare."""
    max_half_open_calls: Calls = 1
    """How many of those are under way at a time."""
    half_open_time: Span = 60_000
    """One that has not ended for so long counts as failed: who made it may be gone."""
    on: WordMatch | None = None
    """What counts as a failure: classes, statuses, codes. Default: whatever speaks against
    the upstream, which is all but the statuses 400 to 499 without 408 and 429."""
    name: SharedName | None = None
    """Share it with all that name it so. Default: with all calls of the upstream."""

    @model_validator(mode="after")
    def _can_open(self) -> CircuitBreaker:
        rates = (self.failure_rate, self.slow_rate)
        if self.failure_threshold is None and rates == (None, None):
            raise ValueError(
                "the breaker would never open: give a failure_threshold, a failure_rate "
                "or a slow_rate"
            )
        if self.slow_rate is not None and self.slow_call is None:
            raise ValueError("no call is slow: a slow_rate needs a slow_call, such as 2s")
        is_counted = self.window is None and rates != (None, None)
        if is_counted and self.min_calls > self.window_calls:
            raise ValueError(
                f"the rates would never count: min_calls, {self.min_calls}, is more than "
                f"window_calls, {self.window_calls}"
            )
        return self


class RateLimit(Strict):
    """How many calls may begin in a stretch of time."""

    limit: Calls
    """So many calls…"""
    per: Span
    """…in so much time."""
    strategy: Literal[
        "token_bucket",
        "fixed_window",
        "sliding_window",
        "leaky_bucket",
        "leaky_bucket_meter",
    ] = "token_bucket"
    """How they are counted: see docs/patterns/rate-limit.md."""
    burst: Calls | None = None
    """How many at once, of a token_bucket or leaky_bucket_meter. Default: `limit`."""
    weight: Calls = 1
    """How many of the limit one call takes."""
    max_queue: Callers = 1_000
    """How many calls may wait for their turn."""
    queue_timeout: DurationMs = 5_000
    """How long one may wait; `0s`: not at all."""
    name: SharedName | None = None
    """Share it with all that name it so. Default: with all calls of the upstream."""
    key: Templated = None
    """Each value has a limit of its own: `${input.user_id}`."""

    @model_validator(mode="after")
    def _fits(self) -> RateLimit:
        has_bucket = self.strategy in ("token_bucket", "leaky_bucket_meter")
        if self.burst is not None and not has_bucket:
            raise ValueError(f"a {self.strategy} has no burst: leave it out")
        at_once = self.burst or self.limit
        if self.weight > at_once:
            raise ValueError(
                f"a call of weight {self.weight} would never be let through: at most "
                f"{at_once} at once"
            )
        return self


class Bulkhead(Strict):
    """How many calls may be under way at a time."""

    max_concurrency: Annotated[int, Field(ge=1, le=_CALLERS_MAX)]
    """So many at a time."""
    max_queue: Callers = 0
    """How many more may wait for a place; the rest is refused."""
    queue_timeout: Span = 5_000
    """How long one may wait."""
    name: SharedName | None = None
    """Share it with all that name it so. Default: with all calls of the upstream."""
    key: Templated = None
    """Each value has places of its own: `${input.tenant}`."""

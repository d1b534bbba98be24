"""When to try again: which failures, and after how long. Pure arithmetic, no dice.

Jitter is drawn from a hash of execution, step and attempt, so a replay waits as long.
"""

from __future__ import annotations

import hashlib

from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.plan import RetryPolicy

# 63: past this the power only builds numbers that the ceiling discards.
_EXPONENT_MAX = 63
# What is the same every time: beginnings of codes that end in a dot, or whole codes.
_HOPELESS = ("expression.", "limit.", "saga.")
_UNSENDABLE = frozenset(
    {
        "connector.invalid_request",
        "connector.forbidden_address",
        "step.idempotency_key",
        "step.policy_key",
        "wait.duration",
        "foreach.items",
        "resilience.idempotency_conflict",
    }
)
_STATUS = "connector.http."


def next_delay_ms(
    policy: RetryPolicy, attempt: int, *, seed: str, asked_ms: int | None
) -> int:
    """Return how long to wait after failed attempt number `attempt`.

    Args:
        policy: Its `delay_ms_max` caps every result.
        attempt: The attempt that failed; >= 1.
        seed: Equal seeds draw equal jitter.
        asked_ms: What the other side asked for (Retry-After); waited at least, as far as
            the ceiling allows.

    >>> policy = RetryPolicy(5, 100, "exponential", 2.0, 500, 0.0, None, None)
    >>> [next_delay_ms(policy, n, seed="x", asked_ms=None) for n in (1, 2, 3, 9)]
    [100, 200, 400, 500]
    """
    base = _base_delay_ms(policy, attempt, seed)
    delay = _spread(base, policy.jitter, f"{seed}/{attempt}")
    return round(min(max(delay, asked_ms or 0), policy.delay_ms_max))


def _base_delay_ms(policy: RetryPolicy, attempt: int, seed: str) -> float:
    match policy.backoff:
        case "fixed":
            return policy.delay_ms
        case "linear":
            return policy.delay_ms * attempt
        case "exponential":
            power = min(attempt - 1, _EXPONENT_MAX)
            return min(policy.delay_ms * policy.factor**power, policy.delay_ms_max)
        case "random":
            low, high = sorted((policy.delay_ms, policy.delay_ms_max))
            return low + (high - low) * draw(f"{seed}/{attempt}/random")


def _spread(delay_ms: float, jitter: float, seed: str) -> float:
    return delay_ms * (1 + jitter * (2 * draw(seed) - 1)) if jitter else delay_ms


def draw(seed: str) -> float:
    """Return a number in [0, 1) that depends on `seed` alone."""
    digest = hashlib.blake2b(seed.encode(), digest_size=8).digest()
    # 53 bits, all that a float holds: with 64 the greatest would round up to 1.
    return (int.from_bytes(digest) >> 11) / 2**53


def is_retryable(failure: Failure, policy: RetryPolicy, effect: str) -> bool:
    """Tell whether `policy` wants another attempt after `failure`.

    A wrong expression, a used-up limit or a request that cannot be sent is the same every
    time and never retried; nor is an unsafe call that may have been carried out, nor what
    is to be given up. Otherwise what the document names wins over what the failure
    advises: `on: [404]` is for systems that answer 404 for a while. `policy.when` is not
    looked at: it needs names.
    """
    if failure.code.startswith(_HOPELESS) or failure.code in _UNSENDABLE:
        return False
    if effect == "unsafe" and failure.sent:
        return False
    if failure.advice is Advice.GIVE_UP:
        return False
    if policy.on is None:
        return policy.when is not None or failure.advice is Advice.RETRY
    return any(word_matches(word, failure) for word in policy.on)


def word_matches(word: str, failure: Failure) -> bool:
    """Tell whether one word of `retry.on` or `endpoint.status` means `failure`.

    >>> refused = Failure("connector.http.503", "…", classes=("unavailable",))
    >>> [word_matches(w, refused) for w in ("503", "5xx", "connector.http.503", "timeout")]
    [True, True, True, False]
    """
    if word == "any" or word == failure.code or word in failure.classes:
        return True
    if word.endswith(".*"):
        return failure.code.startswith(word[:-1])
    status = failure.code.removeprefix(_STATUS)
    if status == failure.code:
        return False
    return word == status or (word.endswith("xx") and word[:1] == status[:1])

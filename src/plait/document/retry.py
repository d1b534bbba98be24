"""The `retry` setting."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from plait.document.error_words import ErrorMatch
from plait.document.fields import DurationMs, Strict
from plait.document.policies import Budget
from plait.model.json import JsonObject


def _number(value: Any) -> Any:
    """Refuse what would be converted: true, and texts of digits."""
    if isinstance(value, bool | str):
        raise ValueError("should be a number")
    return value


class Retry(Strict):
    """When and how often a failed attempt is made again."""

    max_attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    """All attempts, the first included."""
    delay: DurationMs = 100
    """Wait before the second attempt."""
    backoff: Literal["fixed", "linear", "exponential", "random"] = "fixed"
    """How the wait grows from attempt to attempt; `random`: between delay and max_delay."""
    factor: Annotated[
        float, Field(ge=1, le=100, strict=False), BeforeValidator(_number)
    ] = 2.0
    """Base of the exponential back-off."""
    max_delay: DurationMs = 30_000
    """Ceiling of every wait, also of one that the other side asks for (Retry-After)."""
    jitter: Annotated[float, Field(ge=0, le=1, strict=False), BeforeValidator(_number)] = (
        0.0
    )
    """Share of the wait that is drawn at random, to spread callers out."""
    on: ErrorMatch | None = None
    """Errors to retry: classes, statuses, codes, or an expression over `error`.

    Left out: whatever the error itself advises, which is failed connections, time-outs,
    and the statuses 408, 425, 429, 500, 502, 503 and 504.
    """
    budget: Budget | None = Budget()
    """What the upstream can bear of retries, all callers of this process together; null:
    any number. Of calls only."""

    @model_validator(mode="after")
    def _has_waits_to_draw(self) -> Self:
        if self.backoff == "random" and self.max_delay < self.delay:
            raise ValueError(
                f"a random wait is drawn between delay, {self.delay} ms, and max_delay, "
                f"{self.max_delay} ms: give a max_delay that is no less"
            )
        return self


def retry_options(retry: Retry) -> JsonObject:
    """Return `retry` as a plan keeps it, but for an expression, which is a template."""
    on = retry.on
    return {
        "attempts_max": retry.max_attempts,
        "delay_ms": retry.delay,
        "backoff": retry.backoff,
        "factor": retry.factor,
        "delay_ms_max": retry.max_delay,
        "jitter": retry.jitter,
        "on": list(on) if isinstance(on, tuple) else None,
    }

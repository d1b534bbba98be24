"""stamina's retries, without its instrumentation."""

from __future__ import annotations

from typing import Any

import stamina
from stamina.instrumentation import set_on_retry_hooks

from benchmarks.resilience import sampling
from benchmarks.resilience.sampling import Call, Down, failing_twice, nothing


def policy() -> Any:
    """Return the decorator: three attempts, no wait."""
    return stamina.retry(on=Down, attempts=3, wait_initial=0, wait_max=0, wait_jitter=0)


async def retry_unused() -> Call:
    """Return a call that needs no second attempt."""
    made: Call = policy()(nothing)
    return made


async def retry_twice() -> Call:
    """Return a call that succeeds in its third attempt."""
    made: Call = policy()(failing_twice())
    return made


if __name__ == "__main__":
    set_on_retry_hooks([])
    sampling.tell({sampling.RETRY: retry_unused, sampling.THIRD: retry_twice})

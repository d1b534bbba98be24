"""tenacity's retries."""

from __future__ import annotations

from typing import Any

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from benchmarks.resilience import sampling
from benchmarks.resilience.sampling import Call, Down, failing_twice, nothing


def policy() -> Any:
    """Return the decorator: three attempts, no wait."""
    return retry(
        stop=stop_after_attempt(3), wait=wait_fixed(0), retry=retry_if_exception_type(Down)
    )


async def retry_unused() -> Call:
    """Return a call that needs no second attempt."""
    made: Call = policy()(nothing)
    return made


async def retry_twice() -> Call:
    """Return a call that succeeds in its third attempt."""
    made: Call = policy()(failing_twice())
    return made


if __name__ == "__main__":
    sampling.tell({sampling.RETRY: retry_unused, sampling.THIRD: retry_twice})

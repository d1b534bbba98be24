"""Those who wait for an execution, and leave before they hear of it."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from plait.drivers.journal.waiters import Waiters, has_ended


async def test_who_leaves_as_the_failure_comes_leaves_no_complaint_behind() -> None:
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: heard.append(told))
    waiters = Waiters()
    with waiters.waiting("e-1", has_ended):
        waiters.fail("e-1", RuntimeError("it cannot go on"))
    gc.collect()
    assert (heard, list(waiters.ids)) == ([], [])

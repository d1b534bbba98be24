"""Work in a thread of its own: whoever waits for it hears how it ended."""

from __future__ import annotations

import sys

import pytest

from plait.gateway.threads import in_thread


async def test_whoever_waits_for_work_that_exits_hears_of_it() -> None:
    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        await in_thread(lambda: sys.exit(3))

"""Letting go of several things, of which one may fail to."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

logger = logging.getLogger("plait.closing")

Close: TypeAlias = Callable[[], Awaitable[object]]


async def close_all(*closes: Close) -> None:
    """Await all of `closes`, one after the other: also those behind one that fails.

    Raises:
        BaseException: The first error, when all have been tried; the others are logged.
    """
    first: BaseException | None = None
    for close in closes:
        try:
            await close()
        except BaseException as error:  # who is cancelled here has things to give back too
            if first is None:
                first = error
            else:
                logger.warning("what was to be closed then failed too", exc_info=error)
    if first is not None:
        raise first

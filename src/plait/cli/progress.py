"""How far a command is that takes long: a bar on a terminal, a line now and then else."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Final

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from plait.cli.output import is_terminal, say

_SAID_EVERY_S: Final = 1.0


class Course:
    """A count on its way to `count_max`, told on standard error while the block lasts.

    Args:
        quiet: Whether nothing is told.
    """

    def __init__(self, title: str, count_max: int, *, quiet: bool) -> None:
        self._count, self._count_max = 0, count_max
        self._title = title
        self._bar: Progress | None = None
        self._saying: asyncio.Task[None] | None = None
        self._quiet = quiet

    async def __aenter__(self) -> Course:
        if self._quiet:
            return self
        if is_terminal(sys.stderr):
            columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
            console = Console(stderr=True)
            self._bar = Progress(*columns, TimeRemainingColumn(), console=console)
            self._bar.add_task(self._title, total=self._count_max)
            self._bar.start()
        else:
            self._saying = asyncio.create_task(self._say())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._saying is not None:
            self._saying.cancel()
            with suppress(asyncio.CancelledError):
                await self._saying

    def step(self) -> None:
        """Count one more."""
        self._count += 1
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])

    async def _say(self) -> None:
        while True:
            await asyncio.sleep(_SAID_EVERY_S)
            say(f"{self._title} {self._count:,} of {self._count_max:,}")

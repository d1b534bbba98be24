"""Following a store: what is deployed there is served, whoever deployed it.

Rule 1. Whoever deploys through this gateway is answered when it serves that (`look`).
        What other processes deploy is served after the next beat, or before the first
        call of one that knows it already (`at_least`).
Rule 2. A store that cannot be reached, or a definition that cannot be compiled, stops
        nothing: what was served goes on. While the store is away `trouble` says so.

Not here: what is in the store (plait.operations.deploying), snapshots
(plait.gateway.app).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeAlias

from plait.gateway.deployment import Finding, Loaded
from plait.model.errors import Advice, PlaitError

logger = logging.getLogger("plait.deployments")

BEAT_S: Final = 0.5

# Serves documents in the place of those it was given before.
Serve: TypeAlias = Callable[[Sequence[Loaded]], list[Finding]]


class Stored(Protocol):
    """What is deployed in a store."""

    @property
    def revision(self) -> int:
        """Up to which revision of the store `look` has told; 0: it has not."""
        ...

    async def look(self) -> Sequence[Loaded] | None:
        """Return what is to be served; None: the same as the last time.

        Raises:
            PlaitError: Nobody can tell now.
        """
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...


async def beat() -> None:
    """Return when it is time to look again."""
    await asyncio.sleep(BEAT_S)


class Follower:
    """Serves what is deployed in a store.

    Args:
        next_beat: Returns when it is time to look.

    Attributes:
        trouble: Why nobody knows now what is deployed, and waiting may mend it, as a code;
            None: that is known.
    """

    def __init__(
        self, stored: Stored, next_beat: Callable[[], Awaitable[None]] = beat
    ) -> None:
        self.trouble: str | None = None
        self._stored = stored
        self._next_beat = next_beat
        self._serve: Serve | None = None
        self._following: asyncio.Future[None] | None = None
        self._told: str | None = None
        self._catching_up = asyncio.Lock()

    async def begin(self, serve: Serve, *, is_needed: bool) -> None:
        """Serve what is deployed now, and from now on what will be.

        Args:
            is_needed: Whether there is nothing to do without the store.

        Raises:
            PlaitError: It is needed, and to wait for it would not help.
        """
        self._serve = serve
        error = await self._look()
        if error is not None and error.advice is not Advice.RETRY and is_needed:
            raise error
        self._tell(error)
        self._following = asyncio.ensure_future(self._follow())

    async def look(self) -> None:
        """Serve what is deployed now: somebody here has changed it.

        What keeps this from being so is told in the log: it is deployed all the same.
        """
        if self._serve is not None:
            self._tell(await self._look())

    @property
    def revision(self) -> int:
        """Up to which revision of the store it is known what is deployed; 0: it is not."""
        return self._stored.revision

    async def at_least(self, revision: int) -> None:
        """Serve what was deployed up to a revision: somebody who asks here knows that.

        One look is for all who wait. Nobody waits for a store that was out of reach at the
        last look: that is left to the beat.
        """
        if self.revision >= revision:
            return
        async with self._catching_up:
            if self.revision < revision and self._told is None:
                await self.look()

    async def _follow(self) -> None:
        while True:
            await self._next_beat()
            self._tell(await self._look())

    async def _look(self) -> PlaitError | None:
        """Serve what is deployed now; return what stood against that."""
        serve = self._serve
        assert serve is not None
        try:
            loaded = await self._stored.look()
            # Without a pause in between: two looks at once serve the later one last.
            for finding in serve(loaded) if loaded is not None else ():
                level = logging.ERROR if finding.is_error else logging.WARNING
                logger.log(level, "%s", finding.render())
        except PlaitError as error:
            if error.advice is Advice.RETRY:
                self.trouble = error.code
            return error
        except Exception:
            logger.exception("what is deployed could not be served; the last one stays")
        else:
            self.trouble = None
        return None

    def _tell(self, error: PlaitError | None) -> None:
        """Say once what is wrong with the store."""
        code = None if error is None else error.code
        if code is not None and code != self._told:
            text = "what is deployed cannot be looked at, and is tried again: %s"
            logger.warning(text, error)
        self._told = code

    async def close(self) -> None:
        """Follow no more."""
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        await self._stored.close()

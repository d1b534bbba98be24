"""Doubts: what a worker may hold without knowing it.

When a start, a claim or a take gets no answer, the server may have done it all the same.
The executions would then be this worker's, who knows nothing of them and lives on: nobody
else could claim them. So each of these requests has a token, which it leaves with the
executions, and what bears the token of a doubtful one is given back before every claim
that follows, until the server cannot do the old request any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final

from plait.ports.journal import StoreUnavailable

# A server drops a request whose connection is gone; what it has read it may do late.
_DOUBT_S: Final = 60.0


class Doubts:
    """The tokens of a store's requests that got no answer, and for whom each was.

    Args:
        name: Tells this store's tokens from all others'.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers = count()
        self._until_s: dict[tuple[str, str], float] = {}

    @contextmanager
    def about(self, worker_id: str) -> Iterator[str]:
        """Yield a token for the request that is made inside; doubt it without an answer."""
        token = f"{self._name}-{next(self._numbers)}"
        try:
            yield token
        except (StoreUnavailable, asyncio.CancelledError):
            now_s = asyncio.get_running_loop().time()
            self._until_s[worker_id, token] = now_s + _DOUBT_S
            raise

    def of(self, worker_id: str) -> list[str]:
        """Return the tokens of what has to be given back for the worker."""
        if not self._until_s:
            return []
        now_s = asyncio.get_running_loop().time()
        kept = self._until_s.items()
        self._until_s = {one: until_s for one, until_s in kept if until_s > now_s}
        return [token for worker, token in self._until_s if worker == worker_id]

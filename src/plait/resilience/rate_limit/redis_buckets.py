"""Token buckets of any number of keys in one Redis, for callers who do not wait in line.

`KeyedRedisRateLimiter` has an object per key, with a line and a question of its own. Here
nothing is kept for a key, so that a flood of keys costs neither memory nor connections.

Rule 1. The script of `RedisTokenBucket` counts: the same answers, by the server's clock.
Rule 2. One question at a time is under way: those who come meanwhile, whatever their keys,
    go together in the next one. So a flood needs one connection.
Rule 3. While Redis does not answer nobody waits for it. A second after it failed, the next
    who comes has it asked again, and does not wait for that either.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from redis.asyncio import Redis

from plait.resilience.checks import check_seconds
from plait.resilience.rate_limit.admission import (
    OnEvent,
    Standing,
    StoreReachable,
    StoreUnreachable,
)
from plait.resilience.rate_limit.redis import script_text

# Scripts in one question: Redis and the loop are held up by them for some milliseconds.
_BATCH_MAX: Final = 250
# After a question without an answer the next one is asked so much later.
_REST_S: Final = 1.0


class Taken(NamedTuple):
    """What Redis said of one key.

    Attributes:
        standing: What is left now.
        wait_s: 0: it was admitted; else seconds after which asking again makes sense.
    """

    standing: Standing
    wait_s: float


# The key, and what the script is to be given.
_Question: TypeAlias = tuple[str | int, ...]
_Place: TypeAlias = "asyncio.Future[Taken | None]"

# Nobody's key: who comes then is counted where nobody waits for Redis.
_SIGN_OF_LIFE: Final[_Question] = "plait:rate_limit:sign_of_life", 1, 1_000, 1, 0, -1


class RedisBuckets:
    """A token bucket per key, for all processes that use the same keys.

    Args:
        client: Of redis-py; its owner closes it, after `aclose`.
        name: For events.
        answer_s_max: Seconds to wait for an answer of Redis.
        on_event: Is told when Redis does not answer, and when it does again; it must not
            raise.
        clock: Another clock for the script, in Lua; the server's unless given.
    """

    def __init__(
        self,
        client: Redis,
        *,
        name: str = "",
        answer_s_max: float = 0.25,
        on_event: OnEvent | None = None,
        clock: str = "",
    ) -> None:
        check_seconds("answer_s_max", answer_s_max)
        self._client: Any = client
        self._name = name
        self._answer_s_max = answer_s_max
        self._on_event = on_event
        self._script = script_text("bucket", clock)
        self._sha: str | None = None
        self._asked: deque[tuple[_Place, _Question]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._silent_until: float | None = None

    @property
    def is_silent(self) -> bool:
        """Whether Redis did not answer when it was last asked."""
        return self._silent_until is not None

    async def take(self, key: str, limit: int, period_s: float) -> Taken | None:
        """Take one of the `limit` per `period_s` of `key`; None: Redis does not answer."""
        loop = asyncio.get_running_loop()
        if self._silent_until is not None:
            if self._task is None and loop.time() >= self._silent_until:
                self._task = loop.create_task(self._ask_again())
            return None
        question = key, limit, round(period_s * 1e6), limit, 0, -1
        place: _Place = loop.create_future()
        self._asked.append((place, question))
        if self._task is None:
            self._task = loop.create_task(self._work())
        return await place

    async def aclose(self) -> None:
        """Wait for the question under way: else it might connect once more."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        """Ask and answer until nobody is left."""
        try:
            while self._asked:
                count = min(len(self._asked), _BATCH_MAX)
                batch = [self._asked.popleft() for _ in range(count)]
                answers = await self._answers([question for _, question in batch])
                for (place, _), answer in zip(batch, answers, strict=True):
                    if not place.done():
                        place.set_result(answer)
        finally:
            self._task = None

    async def _ask_again(self) -> None:
        """Ask a Redis that was silent for a sign of life: that it counts."""
        try:
            self._silent_until = await self._silence()
            if self._silent_until is None and self._on_event is not None:
                self._on_event(StoreReachable(self._name))
        finally:
            self._task = None

    async def _silence(self) -> float | None:
        try:
            await self._said([_SIGN_OF_LIFE])
        except Exception:  # it was told of when it began
            return asyncio.get_running_loop().time() + _REST_S
        return None

    async def _answers(self, questions: Sequence[_Question]) -> Sequence[Taken | None]:
        if self._silent_until is None:
            try:
                return [_taken(one) for one in await self._said(questions)]
            except Exception as error:  # whatever it is, nobody may be left waiting
                self._fall_silent(error)
        return [None] * len(questions)

    async def _said(self, questions: Sequence[_Question]) -> list[list[int]]:
        async with asyncio.timeout(self._answer_s_max):
            if self._sha is None:
                self._sha = await self._client.script_load(self._script)
            pipe = self._client.pipeline(transaction=False)
            for key, *given in questions:
                pipe.evalsha(self._sha, 1, key, *given)
            said: list[list[int]] = await pipe.execute()
            return said

    def _fall_silent(self, error: Exception) -> None:
        self._silent_until = asyncio.get_running_loop().time() + _REST_S
        # It may come back without what it was given.
        self._sha = None
        if self._on_event is not None:
            reason = f"{type(error).__name__}: {error}"
            self._on_event(StoreUnreachable(self._name, reason))


def _taken(said: list[int]) -> Taken:
    _, limit, remaining, reset_after, wait = said
    return Taken(Standing(limit, remaining, reset_after / 1e6, waiting=0), wait / 1e6)

"""One change made to many executions: so many at a time, and a refusal stops no other.

Not here: which executions are meant, and who is told of it (plait.cli.bulk).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from plait.model.errors import PlaitError
from plait.model.record import record
from plait.ports.journal import StoreUnavailable, Summary


@record
class Changed:
    """What came of one of them.

    Attributes:
        execution_id: Of the one that was meant, not of a new one made from it.
        summary: How it stands now, or the new one; None: it was not changed.
        error: Why it was not.
    """

    execution_id: str
    summary: Summary | None
    error: PlaitError | None = None


async def change_each(
    ids: Sequence[str],
    change: Callable[[str], Awaitable[Summary]],
    tell: Callable[[Changed], None],
    *,
    count_max: int,
) -> None:
    """Do `change` to each, `count_max` of them at a time, and `tell` what came of it.

    Raises:
        StoreUnavailable: None of the others could be changed either.
    """
    todo = iter(ids)
    workers = min(count_max, len(ids))
    tasks = [asyncio.create_task(_work(todo, change, tell)) for _ in range(workers)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _work(
    todo: Iterator[str],
    change: Callable[[str], Awaitable[Summary]],
    tell: Callable[[Changed], None],
) -> None:
    for execution_id in todo:
        try:
            changed = Changed(execution_id, await change(execution_id))
        except StoreUnavailable:
            raise
        except PlaitError as error:
            changed = Changed(execution_id, None, error)
        tell(changed)

"""What a worker holds without its knowing: the store did as it was asked, and its answer
was lost. Nobody else takes it from a worker that lives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from plait.ports.journal import RUNNING, Journal, Search, Summary

_PAGE: Final = 200


async def row_in(journal: Journal, execution_id: str) -> Summary:
    """Return an execution's row; its history is not looked at.

    Raises:
        UnknownExecution: There is none of that id.
        PlaitError: The row is damaged: a search passes over it.
    """
    for summary in await journal.find(Search(execution_ids=(execution_id,))):
        return summary
    return (await journal.read(execution_id)).summary


async def held_by(worker_id: str, journal: Journal) -> AsyncIterator[Summary]:
    """Yield the rows of all running executions that the store says this worker holds.

    Raises:
        StoreUnavailable: The store gives no answer.
    """
    before: int | None = None
    while True:
        search = Search(statuses=(RUNNING,), before=before, limit=_PAGE)
        page = await journal.find(search)
        for summary in page:
            if summary.owner == worker_id:
                yield summary
        if len(page) < _PAGE:
            return
        before = page[-1].number

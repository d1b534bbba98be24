"""Derived data: what a store keeps a second time, so that executions are found quickly.

Lists by tag, status or due time, idempotency keys, places in lanes: all of it follows from
the executions' rows, and can be made anew from them. Rows and histories cannot.

Contract: tests/conformance/journal/derived.py.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Protocol, runtime_checkable

from plait.model.errors import PlaitError
from plait.model.record import record


@record
class Difference:
    """Something derived that is not what the rows say.

    Attributes:
        execution_id: Whose it is; None: it is a lane's.
        lane: Which lane's it is; None: it is an execution's.
        reason: What differs, for people.
        is_mended: Whether it follows from the rows again.
    """

    execution_id: str | None
    lane: str | None
    reason: str
    is_mended: bool = False


class StoreInconsistent(PlaitError):
    """Something that a store derives from its rows is not what they say."""

    code: ClassVar[str] = "store.inconsistent"

    def __init__(self, difference: Difference) -> None:
        super().__init__(
            f"{difference.reason}; `plait journal verify --repair` makes anew what can be"
        )
        self.difference = difference


@runtime_checkable
class Derived(Protocol):
    """Compares what is derived with the rows. Other workers may go on meanwhile."""

    async def differences(
        self, *, mends: bool = False, unsure: Collection[str] = ()
    ) -> list[Difference]:
        """Return what differs, up to some hundreds.

        Args:
            mends: Make it anew from the rows, each in one step that nobody sees half done.
                What cannot be known from the rows alone stays as it is: nobody is put out
                of a lane that is too full, and no key is taken from an execution.
            unsure: Executions whose rows are not to be trusted: they are left out.

        Raises:
            StoreUnavailable: What was not mended by then is as it was.
        """
        ...


@runtime_checkable
class Indexed(Protocol):
    """Keeps indexes of its own over its tables, and can make them anew."""

    async def rebuild(self) -> list[Difference]:
        """Rebuild the indexes that are not what their tables say; return which those were.

        No table is changed. Where a table is damaged, or an index may tell of rows that its
        table has lost, all stays as it is.

        Raises:
            StoreUnavailable: What was not rebuilt by then is as it was.
        """
        ...

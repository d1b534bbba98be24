"""Journal: the histories of executions, and one row about each that can be searched.

What a store must promise is in each method's prose; `plait.testing.journal_suite` checks
it, and every implementation runs that suite.

Rule 1. When a method that writes returns, the write outlives a crash of the machine.
Rule 2. What a method refuses it has not begun: no entry of it is ever seen.
Rule 3. Stores keep bytes. What an entry means is the driver's and the kernel's business.
Rule 4. Of one lane no more than its `lane_max` run: an execution is in its lane from when
        it was let in until it has ended, also while it waits, and whoever holds it. The
        write that ends one lets in the next: the highest priority first, then the oldest.

Not here: who may write to an execution (plait.ports.leases).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import field
from typing import ClassVar, Final, Protocol

from plait.model.caller import DEFAULT_TENANT
from plait.model.errors import Advice, PlaitError
from plait.model.record import record

RUNNING: Final = "running"
TERMINAL: Final = ("completed", "failed", "cancelled", "compensated")
# How an execution stands to its lane: it runs; it was let in and nobody has begun it; it
# waits for another of its lane to end.
IN_LANE: Final = 0
LET_IN: Final = 1
QUEUED: Final = 2


@record
class Entry:
    """One turn of an execution.

    Attributes:
        body: The turn's bytes (plait.kernel.codec).
        digest: The chain's link: what it was before, and this body, hashed.
    """

    body: bytes
    digest: bytes


@record
class Standing:
    """How an execution stands after its latest entry.

    Attributes:
        status: `running`, `completed`, `failed` or `cancelled`.
        at_ms: The moment of its latest entry, milliseconds since the Unix epoch.
        wake_at_ms: When somebody has to look at it again, should nobody hold it: 0 or 1 for
            at once (a call is under way), None when only a message can wake it.
        error_code: Why it failed, or, while it runs, why it waits for a person; else None.
    """

    status: str
    at_ms: int
    wake_at_ms: int | None
    error_code: str | None = None


@record
class NewExecution:
    """What is known of an execution when it begins.

    Attributes:
        key: The caller's idempotency key; None: every start is another execution. A key
            counts within its workflow and tenant.
        input: The input as JSON text, for people who search in it; a large one is cut off.
        tags: Words to find it by.
        priority: Higher is claimed first.
        parent: The execution that this one belongs to or came from; None: none.
        lane: Executions of one lane are run side by side up to `lane_max`; None: it is in
            no lane.
        tenant: Whose it is.
    """

    execution_id: str
    workflow: str
    plan_hash: str
    created_at_ms: int
    input: str
    key: str | None = None
    tags: tuple[str, ...] = ()
    priority: int = 0
    parent: str | None = None
    lane: str | None = None
    lane_max: int = 0
    tenant: str = DEFAULT_TENANT


@record
class Summary:
    """One row about an execution: what it is, and how it stands.

    Attributes:
        length: How many entries were written, those that are dropped among them.
        head: The digest of the latest one.
        epoch: How often it has changed hands; only its latest holder may write.
        owner: The worker that holds it; None: nobody.
        lane_state: `IN_LANE`, `LET_IN` or `QUEUED`; `IN_LANE` too without a lane.
        number: Its place in the store's order of creation; 0 where that was not asked for.
    """

    new: NewExecution
    standing: Standing
    length: int
    head: bytes
    epoch: int
    owner: str | None
    lane_state: int = IN_LANE
    number: int = field(default=0, compare=False)


@record
class Message:
    """Something that an execution is to hear of: a wish to cancel it, a signal."""

    message_id: str
    execution_id: str
    body: bytes


@record
class History:
    """All of an execution: its row, and its entries from the first on that is kept.

    Attributes:
        aside: The messages that were put aside, by their ids.
        waiting: The messages that nobody has heard yet, in the order in which beats tell
            them.
    """

    summary: Summary
    entries: list[Entry]
    aside: tuple[Message, ...] = ()
    waiting: tuple[Message, ...] = ()


@record
class Created:
    """What became of a start: `is_new` is False when its key was used before."""

    summary: Summary
    is_new: bool


@record
class Hold:
    """That somebody holds an execution in an epoch: a condition of a write to another.

    One that is nowhere written is held by whoever says so.
    """

    execution_id: str
    epoch: int


@record
class Append:
    """Entries to be added to one execution.

    Attributes:
        entries: None at all, when there is only something to be heard.
        expected_length: How long its history is, as the writer believes.
        epoch: The writer's hold on it.
        heard: Ids of the messages that these entries take in; they are gone afterwards.
        is_released: True when the writer gives the execution back with them.
        is_begun: True when the writer begins what was let in.
        begins_history: True when the first of these entries takes the place of all that
            came before: those are dropped, in the same write. They go on counting in
            `Summary.length`.
        put_aside: Ids of messages that nobody could read: told to nobody any more, and
            kept in `History.aside` for as long as the execution is.
        under: What has to hold still when this is written.
    """

    execution_id: str
    entries: Sequence[Entry]
    standing: Standing
    expected_length: int
    epoch: int
    heard: tuple[str, ...] = ()
    is_released: bool = False
    is_begun: bool = False
    begins_history: bool = False
    put_aside: tuple[str, ...] = ()
    under: Hold | None = None


@record
class Search:
    """Which executions are asked for; everything given must hold.

    Attributes:
        execution_ids, statuses: One of these; none given: any.
        key: Its idempotency key, in whichever workflow and tenant.
        text: Stands somewhere in the input's JSON text.
        since_ms, until_ms: Created at or after, created before.
        before: The `number` of the last one of the page before, which may be gone by now;
            None: first page.
        tenant: Whose it is; None: anybody's.
    """

    execution_ids: tuple[str, ...] = ()
    workflow: str | None = None
    statuses: tuple[str, ...] = ()
    error_code: str | None = None
    tag: str | None = None
    text: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    parent: str | None = None
    key: str | None = None
    lane: str | None = None
    before: int | None = None
    limit: int = field(default=50)
    tenant: str | None = None


class LostRace(PlaitError):
    """Somebody else has written to this execution, or holds it now."""

    code: ClassVar[str] = "journal.lost_race"
    advice: ClassVar[Advice] = Advice.RETRY

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"execution {execution_id} is in other hands: nothing was written")
        self.execution_id = execution_id


class HoldLost(PlaitError):
    """Somebody else holds the execution under whose hold something was to be written."""

    code: ClassVar[str] = "journal.hold_lost"
    advice: ClassVar[Advice] = Advice.RETRY

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution {execution_id} is in other hands: nothing was written for it"
        )
        self.execution_id = execution_id


class UnknownExecution(PlaitError):
    """There is no execution of that id."""

    code: ClassVar[str] = "execution.unknown"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"there is no execution '{execution_id}'; `plait executions list` shows all"
        )
        self.execution_id = execution_id


class UnknownPlan(PlaitError):
    """An execution's plan is not in the store that holds the execution."""

    code: ClassVar[str] = "journal.unknown_plan"

    def __init__(self, plan_hash: str) -> None:
        super().__init__(f"the store holds no plan {plan_hash}")
        self.plan_hash = plan_hash


class StoreUnavailable(PlaitError):
    """The store could not be reached or could not write; nothing is acknowledged.

    Whether the write happened is unknown: whoever goes on reads the history again.
    """

    code: ClassVar[str] = "store.unavailable"
    advice: ClassVar[Advice] = Advice.RETRY


class StoreFull(StoreUnavailable):
    """There is no space left; reading goes on."""

    code: ClassVar[str] = "store.full"


class StoreTooNew(PlaitError):
    """A newer version of Plait has changed the store's schema."""

    code: ClassVar[str] = "store.too_new"

    def __init__(self, *, found: int, known: int, store: str) -> None:
        super().__init__(
            f"{store} has schema {found}, this version knows up to {known}: "
            "use the version that wrote it, or a newer one"
        )
        self.found = found
        self.known = known


class Journal(Protocol):
    """Keeps histories. Contract: plait.testing.journal_suite."""

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        """Begin an execution, held by `owner` in epoch 1; return its row.

        When its lane is full, nobody holds it: it is `QUEUED`, and not due until it is let
        in. It is `LET_IN` then, due at once, until an append says that it `is_begun`. Nor
        does anybody hold one that has ended already.

        When the workflow has an execution of the same tenant and key already, nothing is
        written and the row of that one is returned.

        Args:
            under: What has to hold still when this is written.

        Raises:
            HoldLost: `under` holds no more.
            LostRace: The id is taken.
            StoreUnavailable: Nothing is acknowledged.
        """
        ...

    def append(self, append: Append) -> Awaitable[None]:
        """Add all entries or none, and say how the execution stands now.

        May be a coroutine, which costs a task, or a future that is to be awaited.

        One that had ended and runs again queues, and is let in as soon as there is room.
        What it had not heard when it ended, or was told since, it never hears.

        Raises:
            HoldLost: `append.under` holds no more; nothing else is looked at then.
            LostRace: The history has another length, or another holder.
            UnknownExecution: There is none of that id.
            StoreUnavailable: Nothing is acknowledged.
        """
        ...

    async def read(self, execution_id: str) -> History:
        """Return an execution's whole history, as of one moment.

        With it comes every message that was posted before and not heard, so that whoever
        takes it up acts on nothing before it has heard what others were promised.

        Raises:
            UnknownExecution: There is none of that id.
        """
        ...

    async def find(self, search: Search) -> list[Summary]:
        """Return the rows of executions, the latest created first.

        Rows that are damaged are passed over; `read` tells what is wrong with one.
        """
        ...

    async def post(self, message: Message) -> None:
        """Leave a message for whoever holds, or will hold, the execution.

        A message of an id that was posted already, be it heard or not, changes nothing
        while the execution is open.

        Raises:
            UnknownExecution: There is none of that id.
        """
        ...

    async def save_plan(self, plan_hash: str, data: bytes) -> None:
        """Keep a plan's bytes; one that is kept already stays."""
        ...

    async def load_plan(self, plan_hash: str) -> bytes:
        """Return a plan's bytes.

        Raises:
            UnknownPlan: None of that hash is kept.
        """
        ...

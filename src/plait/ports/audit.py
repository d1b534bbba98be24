"""The audit log: who changed what, when, from where, and what came of it.

Rule 1. What is to be recorded is kept before it is done: where that cannot be written,
        nothing is done.
Rule 2. Each change comes to one entry. One whose end nobody told, because a process died,
        becomes an entry of the outcome `unknown`.
Rule 3. An entry holds no secret, and nothing of what was sent but names and ids.
Rule 4. Entries of a tenant are a chain: each has the hash of the one before it.

Not here: keeping it (plait.security.audit).
"""

from __future__ import annotations

from typing import Final, Protocol

from plait.model.caller import Caller
from plait.model.json import JsonObject
from plait.model.record import record

DONE: Final = "done"
REFUSED: Final = "refused"
FAILED: Final = "failed"
UNKNOWN: Final = "unknown"
OUTCOMES: Final = (DONE, REFUSED, FAILED, UNKNOWN)


@record
class Act:
    """What somebody is about to do.

    Attributes:
        who: The caller's subject: `key:k3v7…`, `user:ann`, `cli:ann`.
        action: `deployment.deploy`, `execution.cancel`, `credential.add`, ….
        subject: What it is done to: a name or an id. Empty: nothing that has one.
        request_id: Of the request that asks for it; empty: there is none.
        peer: The address that it comes from; empty: this machine's own command.
    """

    tenant: str
    who: str
    action: str
    subject: str = ""
    request_id: str = ""
    peer: str = ""


@record
class Opened:
    """An act that was kept, and has not come to its end.

    Attributes:
        id: Under which it is kept until then.
        at_ms: When it began, ms since the Unix epoch.
        version: Of its record.
    """

    act: Act
    id: str
    at_ms: int
    version: int


@record
class Search:
    """Which entries somebody wants to see. What is empty asks for nothing.

    Attributes:
        action: An action, or how actions begin: `credential`.
        since_ms, until_ms: When they began, ms since the Unix epoch; the end is exclusive.
        before: Only entries of a smaller number; 0: the newest first.
        limit: How many at most.
    """

    action: str = ""
    who: str = ""
    subject: str = ""
    outcome: str = ""
    since_ms: int | None = None
    until_ms: int | None = None
    before: int = 0
    limit: int = 50


class Audit(Protocol):
    """Records what is changed."""

    async def begin(self, act: Act) -> Opened:
        """Keep what somebody is about to do.

        Raises:
            StoreUnavailable: It cannot be kept; the act must not be done.
        """
        ...

    async def end(self, opened: Opened, outcome: str, code: str | None = None) -> None:
        """Make the entry of an act; `code` is the error's that it came to.

        Raises:
            StoreUnavailable: It will be made later, as `unknown`.
        """
        ...

    async def note(self, act: Act, outcome: str, code: str | None = None) -> None:
        """Make the entry of what was done in no time, such as a refusal.

        Raises:
            StoreUnavailable: There is no entry.
        """
        ...

    async def search(self, caller: Caller, wanted: Search) -> JsonObject:
        """Return `{entries, next}`, the newest first; `next` is what to give as `before`.

        Needs the role `admin`, and shows the caller's tenant only.
        """
        ...

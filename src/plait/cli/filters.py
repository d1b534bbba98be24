"""Options that say which executions are meant, shared by whatever takes several."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from plait.cli.output import check_texts, stop
from plait.drivers.clock import now_ms
from plait.model.moment import parse_since_ms
from plait.model.record import record
from plait.ports.journal import RUNNING, TERMINAL, Search

WorkflowOption: TypeAlias = Annotated[
    str | None, typer.Option("--workflow", "-w", metavar="NAME", help="Of this one.")
]
StatusOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STATUS",
        help="running, completed, failed, cancelled, compensated. Several may be given.",
    ),
]
FailedOption: TypeAlias = Annotated[
    bool, typer.Option("--failed", help="The same as --status failed.")
]
ErrorOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="CODE", help="With this error code.")
]
TagOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="WORD", help="With this tag.")
]
KeyOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="KEY", help="Started with this idempotency key.")
]
TenantOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of this tenant.")
]
TextOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="With this text somewhere in the input's JSON."),
]
SinceOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN", help="Started within 1h, 3d, or since 2026-12-24T18:00:00Z."
    ),
]
UntilOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Started before: so long ago, or a moment."),
]


@record
class Filters:
    """What was given of them (see plait.cli.groups)."""

    workflow: WorkflowOption = None
    status: StatusOption = None
    failed: FailedOption = False
    error: ErrorOption = None
    tag: TagOption = None
    key: KeyOption = None
    text: TextOption = None
    since: SinceOption = None
    until: UntilOption = None
    tenant: TenantOption = None

    @property
    def are_given(self) -> bool:
        """Whether there is any."""
        return self != Filters()

    @property
    def statuses(self) -> tuple[str, ...]:
        """Those asked for; none: any."""
        return (*(self.status or ()), *(("failed",) if self.failed else ()))

    def search(self, limit: int = 50, statuses: tuple[str, ...] = ()) -> Search:
        """Return what they ask for; ends with EXIT_INVALID when one cannot be read.

        Args:
            statuses: Those asked for when no others are.
        """
        texts = {"--workflow": self.workflow, "--error": self.error}
        texts["--tenant"] = self.tenant
        check_texts({**texts, "--tag": self.tag, "--text": self.text, "--key": self.key})
        known = (RUNNING, *TERMINAL)
        for one in self.statuses:
            if one not in known:
                stop(f"--status {one}: write one of {', '.join(known)}")
        return Search(
            workflow=self.workflow,
            statuses=self.statuses or statuses,
            error_code=self.error,
            tag=self.tag,
            key=self.key,
            text=self.text,
            since_ms=_moment_ms("--since", self.since),
            until_ms=_moment_ms("--until", self.until),
            limit=limit,
            tenant=self.tenant,
        )


def _moment_ms(option: str, text: str | None) -> int | None:
    """Return the moment that `text` names, or that is a duration ago."""
    if text is None:
        return None
    try:
        return parse_since_ms(text, now_ms())
    except ValueError as error:
        stop(f"{option}: {error}")

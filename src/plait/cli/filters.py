"""Options that say which executions are meant, shared by whatever takes several."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from plait.cli.stores import duration_ms, now_ms
from plait.model.record import record
from plait.ports.journal import Search

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
ErrorOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="CODE", help="Failed with this error code.")
]
TagOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="WORD", help="With this tag.")
]
TextOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="With this text somewhere in the input's JSON."),
]
SinceOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Started within: 1h, 3d.")
]


@record
class Filters:
    """What was given of them."""

    workflow: str | None
    status: list[str] | None
    error: str | None
    tag: str | None
    text: str | None
    since: str | None

    @property
    def are_given(self) -> bool:
        """Whether there is any."""
        given = (self.workflow, self.status, self.error, self.tag, self.text, self.since)
        return any(given)

    def search(self, limit: int = 50) -> Search:
        """Return what they ask for; ends with EXIT_INVALID when one cannot be read."""
        since_ms = None
        if self.since is not None:
            since_ms = now_ms() - duration_ms("--since", self.since)
        return Search(
            workflow=self.workflow,
            statuses=tuple(self.status or ()),
            error_code=self.error,
            tag=self.tag,
            text=self.text,
            since_ms=since_ms,
            limit=limit,
        )

"""`plait graph`: a workflow's graph in one of four formats."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from plait.cli.options import ConfigOption, FileArgument
from plait.cli.output import write
from plait.cli.plans import plan_of
from plait.compile.draw import DRAWERS, graph_of


class Format(StrEnum):
    """What a graph can be written as."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    JSON = "json"


def command(
    file: FileArgument,
    format_: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            metavar="mermaid|dot|svg|json",
            help="mermaid: for Markdown pages. dot: for Graphviz. svg: a picture. "
            "json: for scripts.",
        ),
    ] = Format.MERMAID,
    config: ConfigOption = None,
) -> None:
    """Draw a workflow's graph.

    Nobody draws an edge in a document: a step waits for the steps it reads. A dashed line
    is a wait that only `depends_on` asks for; a dashed box has a condition.

    Between the handlers of a `route` a line stands for each handover, in JSON an edge.

    Of a state machine it draws the states, and a line for each transition between them.

    Examples:

    - `plait graph profile.yaml`

    - `plait graph profile.yaml --format svg > profile.svg`
    """
    write(DRAWERS[format_.value](graph_of(plan_of(file, config))))

"""Tables, for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.table import Table

from plait.cli.streams import is_terminal
from plait.kernel.views import moment_text
from plait.model.duration import format_ms
from plait.model.visible import visible_line
from plait.ports.journal import QUEUED, Summary

# Where no terminal says how wide it is: wide enough that no line is folded.
TABLE_CELLS: Final = 400


def print_rows(names: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Write a table to standard output, as wide as the terminal that shows it."""
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(visible_line, row))
    width = None if is_terminal(sys.stdout) else TABLE_CELLS
    # No markup: what people have named `[a]` or `:a:` is written so.
    Console(highlight=False, markup=False, emoji=False, width=width).print(table)


def print_executions(rows: Iterable[Summary]) -> None:
    """Write a line for each execution to standard output."""
    names = ("ID", "WORKFLOW", "STATUS", "STARTED", "TOOK", "ERROR")
    print_rows(names, map(_execution, rows))


def _execution(row: Summary) -> tuple[str, ...]:
    new, standing = row.new, row.standing
    # A fork may have ended as it was made, by what is older than itself.
    took_ms = max(standing.at_ms - new.created_at_ms, 0)
    return (
        new.execution_id,
        new.workflow,
        "queued" if row.lane_state == QUEUED else standing.status,
        moment_text(new.created_at_ms),
        format_ms(took_ms),
        standing.error_code or "",
    )

"""What `plait run` says of an execution on standard error: for people, or as JSON Lines.

Rule. With `--json-timeline` every line is one object that says its `type`, in this order:
      `warning` (of the document), `step` (in the order in which they began), `execution`
      (how it ended), and, last, `error` if there is one. A script reads line by line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from plait.assembly.documents import LoadedFile
from plait.cli.output import cut_deep, error_json, is_terminal, json_text, say
from plait.cli.timeline import print_timeline
from plait.cli.validate import finding_json
from plait.drivers.inline import Result
from plait.model.duration import format_ms
from plait.model.failure import Failure
from plait.model.json import JsonObject
from plait.model.record import record


@record
class Manner:
    """How to say it. `quiet` spares people; what a script asked for is written still."""

    quiet: bool
    as_json: bool


def tell_warnings(loaded: LoadedFile, manner: Manner) -> None:
    """Say what is doubtful about a document that is run all the same."""
    if manner.quiet:
        return
    if manner.as_json:
        found = (finding_json(loaded.name, one) for one in loaded.diagnostics)
        _say_lines({"type": "warning", **one} for one in found)
        return
    for line in loaded.findings():
        say(line)


def tell_timeline(result: Result, manner: Manner) -> None:
    """Say what happened when."""
    steps = result.trace.as_json()
    total_ms = result.trace.ms(result.trace.ended_s)
    if manner.as_json:
        _say_lines({"type": "step", **step} for step in steps)
        ending: JsonObject = {
            "type": "execution",
            "execution_id": result.execution_id,
            "status": result.status,
            "is_degraded": result.is_degraded,
            "ended_ms": total_ms,
        }
        _say_lines([ending])
    elif is_terminal(sys.stderr) and not manner.quiet:
        optional = ", without a step that failed" if result.is_degraded else ""
        title = f"{result.status} in {format_ms(total_ms)}{optional}"
        print_timeline(steps, title=title)


def tell_error(failure: Failure, manner: Manner) -> None:
    """Say why there is no output: one object, indented only for people."""
    error: JsonObject = {"error": error_json(failure)}
    if manner.as_json:
        _say_lines([{"type": "error", **error}])
    else:
        say(json_text(error, is_pretty=is_terminal(sys.stderr)))


def _say_lines(lines: Iterable[JsonObject]) -> None:
    for line in lines:
        say(json_text(cut_deep(line), is_pretty=False))

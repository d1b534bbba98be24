"""What `plait run` says of an execution on standard error: for people, or as JSON Lines.

Rule. With `--json-timeline` every line is one object that says its `type`, in this order:
      `warning` (of the document), `step` (in the order in which they began), `execution`
      (how it ended), and, last, `error` if there is one. A script reads line by line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Protocol

from plait.assembly.documents import LoadedFile
from plait.cli.output import (
    EXIT_FAILED,
    cut_deep,
    error_json,
    is_terminal,
    json_text,
    say,
    stop,
    write,
)
from plait.cli.timeline import print_timeline
from plait.cli.validate import finding_json
from plait.drivers.inline import Trace
from plait.model.duration import format_ms
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
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


class Ended(Protocol):
    """An execution that has ended, however it was run."""

    @property
    def execution_id(self) -> str:
        """Its id."""
        ...

    @property
    def status(self) -> str:
        """`completed`, `failed` or `cancelled`."""
        ...

    @property
    def output(self) -> JsonValue:
        """What it yielded."""
        ...

    @property
    def failure(self) -> Failure | None:
        """Why it did not."""
        ...

    @property
    def is_degraded(self) -> bool:
        """True when the output goes without a step that failed."""
        ...

    @property
    def trace(self) -> Trace:
        """What happened when."""
        ...


def tell_ended(result: Ended, manner: Manner, *, is_pretty: bool | None) -> None:
    """Say all there is to say; ends with EXIT_FAILED when there is no output.

    Args:
        is_pretty: Whether to indent the output; None: when a terminal reads it.
    """
    tell_timeline(result, manner)
    wanted = is_terminal(sys.stdout) if is_pretty is None else is_pretty
    text = result.failure or output_text(result.output, is_pretty=wanted)
    if isinstance(text, Failure):
        tell_error(text, manner)
        stop(code=EXIT_FAILED)
    write(text)


def output_text(output: JsonValue, *, is_pretty: bool) -> str | Failure:
    """Return what goes to standard output, or why it cannot be written."""
    try:
        return json_text(output, is_pretty=is_pretty) + "\n"
    except TypeError as error:
        too_deep = "Recursion limit" in str(error)
        why = "it is nested too deep" if too_deep else str(error)
        return Failure("reply.not_json", f"the output cannot be written as JSON: {why}")


def tell_timeline(result: Ended, manner: Manner) -> None:
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

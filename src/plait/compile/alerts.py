"""Alert documents → alerts: shape and expression checked, all findings at once."""

from __future__ import annotations

from typing import Final

from plait.compile.compiler import CompileErrors
from plait.document.alert import AlertModel, Told
from plait.document.found import Found
from plait.document.limits import DEFAULT_LIMITS, SourceLimits
from plait.document.nearest import nearest_hint
from plait.document.parse import validated_as
from plait.document.source import Source, SourceErrors, read_as_meant
from plait.expression import Template, TemplateErrors, parse_template
from plait.model.diagnostic import Diagnostic
from plait.model.place import Place
from plait.model.record import record

# What `when` may read, and what it says then.
WORDS: Final = {
    "executions": "how many executions ended within the window",
    "failed": "how many of them failed",
    "failure_rate": "which part of them failed, 0 to 1; 0 of none",
    "latency_p50": "in which time half of them ended, seconds; 0 of none",
    "latency_p95": "in which time 95 of 100 ended, seconds",
    "latency_p99": "in which time 99 of 100 ended, seconds",
    "compensations_failed": "how many compensations could not undo everything",
    "requests": "how many requests were answered within the window",
    "request_errors": "how many of them with 5xx",
    "request_error_rate": "which part of them with 5xx, 0 to 1",
    "running": "how many durable executions in the store have not ended",
    "queued": "how many of them wait for room in their lane",
    "stuck": "how many of them wait for a person or another worker, or are overdue",
    "open_breakers": "how many circuit breakers are open",
    "store_up": "1 when the store answers, else 0",
}


@record
class Alert:
    """An alert, checked.

    Attributes:
        when: Reads `WORDS`; True: it holds.
        for_ms: How long it must hold.
        workflow: Whose executions count; None: everybody's.
    """

    name: str
    description: str
    when: Template
    window_ms: int
    for_ms: int
    workflow: str | None
    notify: tuple[Told, ...]


def compile_alert(
    data: bytes, *, name: str, limits: SourceLimits = DEFAULT_LIMITS
) -> Alert:
    """Return the alert that a text holds.

    Args:
        name: Of the file.

    Raises:
        CompileErrors: With everything that is wrong.
    """
    try:
        source = read_as_meant(data, name=name, limits=limits)
    except SourceErrors as error:
        raise CompileErrors(error.diagnostics) from error
    model, found = validated_as(AlertModel, source)
    value = source.value.get("when") if isinstance(source.value, dict) else None
    when = _when(source, value, found) if isinstance(value, bool | str) else None
    if found.has_errors or model is None or when is None:
        raise CompileErrors(found.in_order())
    return Alert(
        model.alert,
        model.description,
        when,
        model.window,
        model.for_ms,
        model.workflow,
        tuple(model.notify),
    )


def _when(source: Source, value: str | bool, found: Found) -> Template | None:
    def locate(pointer: str, offset: int) -> Place:
        return Place(pointer, *source.column_in(("when",), offset))

    try:
        template = parse_template(value, source.place_of, pointer="/when", locate=locate)
    except TemplateErrors as error:
        for one in error.diagnostics:
            found.add(one)
        return None
    for root in dict.fromkeys(str(read[0]) for read in template.reads):
        if root not in WORDS:
            hint = nearest_hint(root, WORDS) or f"known: {', '.join(WORDS)}"
            text = f"an alert has no '{root}' to read"
            found.add(Diagnostic("P001", text, hint, source.span_of(("when",))))
    return template

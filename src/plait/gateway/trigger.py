"""`trigger`: what templates may read of a request, and what they do read of it.

Not here: what it is read for: plait.gateway.layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from plait.expression import Template
from plait.gateway.message import Request
from plait.gateway.reply_headers import is_header_name
from plait.model.caller import Caller
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.plan import CREDENTIAL_HEADERS, Plan


def trigger_of(request: Request) -> JsonObject:
    """Return what templates read as `trigger`."""
    headers: JsonObject = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in request.headers.items()
    }
    return {
        "type": "http",
        "method": request.method,
        "path": request.path,
        "headers": headers,
    }


@record
class TriggerReads:
    """What the templates of a plan read of `trigger`. False: nothing.

    Attributes:
        headers: The headers that they name, sorted.
        all_headers: Some template reads headers by names that are not known before, or
            all of them.
    """

    method: bool = False
    path: bool = False
    headers: tuple[str, ...] = ()
    all_headers: bool = False

    def __bool__(self) -> bool:
        return self.method or self.path or self.all_headers or bool(self.headers)

    def of(self, request: Request) -> JsonValue:
        """Return what they read of `request`; equal for requests that look the same."""
        told = request.headers
        values = [told.get(name.encode()) for name in self.headers]
        return [
            request.method if self.method else None,
            request.path if self.path else None,
            *(None if value is None else value.decode("latin-1") for value in values),
        ]


def trigger_reads(plan: Plan) -> TriggerReads:
    """Return what the templates of `plan` read of `trigger`."""
    if "trigger" not in plan.roots:
        return TriggerReads()
    reads = {
        read[1:]
        for template in _templates(plan)
        for read in template.reads
        if read[0] == "trigger"
    }
    names = {str(read[1]) for read in reads if len(read) > 1 and read[0] == "headers"}
    # Any other name is never there.
    names = {name for name in names if is_header_name(name) and name == name.lower()}
    return TriggerReads(
        method=any(read[:1] in ((), ("method",)) for read in reads),
        path=any(read[:1] in ((), ("path",)) for read in reads),
        headers=tuple(sorted(names)),
        all_headers=() in reads or ("headers",) in reads,
    )


def kept_trigger(
    request: Request, reads: TriggerReads, caller: Caller | None = None
) -> JsonObject:
    """Return what is written down as `trigger`: what templates read, and no credential.

    Args:
        caller: Who asks, where that is known: by name, or by the id of a key.
    """
    trigger = trigger_of(request)
    if caller is not None:
        trigger["by"] = caller.subject
    headers = trigger["headers"]
    assert isinstance(headers, dict)
    trigger["headers"] = {
        name: value
        for name, value in headers.items()
        if (reads.all_headers or name in reads.headers) and name not in CREDENTIAL_HEADERS
    }
    return trigger


def _templates(part: Any) -> Iterator[Template]:
    """Yield every template in a plan, wherever it stands."""
    if isinstance(part, Template):
        yield part
    elif isinstance(part, Mapping):
        for inner in part.values():
            yield from _templates(inner)
    elif isinstance(part, tuple):
        for inner in part:
            yield from _templates(inner)
    elif is_dataclass(part):
        for field in fields(part):
            yield from _templates(getattr(part, field.name))

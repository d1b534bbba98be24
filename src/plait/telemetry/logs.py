"""Logs: one line for what an operator has to know, as JSON or for a person at a terminal.

All of Plait logs through `logging`, as libraries do; here its records become lines. What
names an execution or a request stands in fields of its own (`FIELDS`), so that a log store
finds all lines of one.

Rule 1. A line that cannot be written changes nothing else: a full disk under a log ends no
        request.
Rule 2. Secrets are masked in the finished line, wherever in it they stand.
Rule 3. structlog is imported for the first line, or when there is time (`warm_up`): it and
        what it looks for take a tenth of the time until executions go on after a crash.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property, partial
from io import StringIO
from typing import Any, Final, TextIO

import orjson

from plait.model.visible import visible, visible_json

# What records may carry beside their text (`extra=`), by the names that lines give it.
FIELDS: Final = (
    "execution_id",
    "workflow",
    "step",
    "attempt",
    "tenant",
    "request_id",
    "trace_id",
    "span_id",
    "method",
    "route",
    "status",
    "duration_ms",
    "code",
    "alert",
    "service",
)
_OWN: Final = "plait"
_MASK: Final = "***"
# A key's id is no secret, and tells which one to revoke.
_KEY: Final = re.compile(r"(plait_[a-z2-7]{12}_)[a-z2-7]{52}")
_BEARER: Final = re.compile(r"\b(Bearer|Basic)\s+(?!plait_)[A-Za-z0-9._~+/=-]{8,}")

Redact = Callable[[str], str]


def configure(
    stream: TextIO, *, level: str, is_json: bool, redact: Redact
) -> logging.Handler:
    """Write the records of this process to `stream` from now on; return what does it.

    Whatever was configured by an earlier call is not any more. Records of other packages
    are written from `warning` on.

    Args:
        level: From which on Plait's own are: `debug`, `info`, `warning`, `error`.
        redact: Masks the secrets of the settings.
    """
    root = logging.getLogger()
    for former in [one for one in root.handlers if isinstance(one, _Lines)]:
        root.removeHandler(former)
    handler = _Lines(stream)
    written = partial(_formatter, is_json=is_json, stream=stream)
    handler.setFormatter(_Masked(redact, written))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OWN).setLevel(level.upper())
    return handler


def masked(text: str) -> str:
    """Return a text without keys and passwords that stand in it by their own form.

    >>> masked("key plait_k3v7aaaaaaaa_" + "x" * 52 + ", Authorization: Basic dTpwYXNz")
    'key plait_k3v7aaaaaaaa_***, Authorization: Basic ***'
    """
    return _BEARER.sub(rf"\1 {_MASK}", _KEY.sub(rf"\1{_MASK}", text))


class _Lines(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nobody can be told that nobody can be told."""


def warm_up() -> None:
    """Import what the first line needs, before it is written. It takes 80 ms."""
    importlib.import_module("structlog")


class _Masked(logging.Formatter):
    """Masks what another formatter writes, which is made for the first line."""

    def __init__(self, redact: Redact, make: Callable[[], logging.Formatter]) -> None:
        super().__init__()
        self._redact = redact
        self._make = make

    @cached_property
    def _written(self) -> logging.Formatter:
        return self._make()

    def format(self, record: logging.LogRecord) -> str:
        return masked(self._redact(self._written.format(record)))


def _formatter(*, is_json: bool, stream: TextIO) -> logging.Formatter:
    structlog: Any = importlib.import_module("structlog")
    stdlib = structlog.stdlib
    gathered: list[Any] = [
        structlog.contextvars.merge_contextvars,
        stdlib.ExtraAdder(allow=FIELDS),
        stdlib.add_log_level,
        stdlib.add_logger_name,
        _at,
    ]
    last: list[Any] = [stdlib.ProcessorFormatter.remove_processors_meta]
    if is_json:
        last += [structlog.processors.format_exc_info, _ordered, _as_json]
    else:
        told = partial(_traceback, structlog.dev.plain_traceback)
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), pad_event_to=0, exception_formatter=told
        )
        last += [_visible, renderer]
    made = stdlib.ProcessorFormatter(foreign_pre_chain=gathered, processors=last)
    assert isinstance(made, logging.Formatter)
    return made


def _at(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Give the moment of the record, not that of the line."""
    made_s: float = event["_record"].created
    at = datetime.fromtimestamp(made_s, UTC)
    event["timestamp"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _visible(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Show what others wrote without what would command a terminal."""
    return {
        name: visible(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _traceback(tell: Callable[[TextIO, Any], None], stream: TextIO, raised: Any) -> None:
    own = StringIO()
    tell(own, raised)
    stream.write(visible(own.getvalue()))


def _ordered(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Put first what people read first."""
    message = event.pop("event", "")
    first = {name: event.pop(name) for name in ("timestamp", "level", "logger")}
    return {**first, "message": message, **event}


def _as_json(_: Any, __: str, event: dict[str, Any]) -> str:
    try:
        return visible_json(orjson.dumps(event, default=str).decode())
    except TypeError:  # half a surrogate pair, out of somebody's text
        return json.dumps(event, default=str)

"""Telemetry, put together from settings: where lines, spans and numbers go.

Rule. What writes lines takes 0.1 s to import, and what sends spans longer: each is imported
      when it is set up, for no other command pays for it.
"""

from __future__ import annotations

import importlib
import os
from functools import partial
from typing import Final, TextIO

from plait.assembly.sources import Configured
from plait.drivers.redact import redacted_value
from plait.model.json import JsonValue
from plait.ports.observer import Watch
from plait.telemetry.access import all_of, write_access

# gRPC's core writes lines of its own to standard error, "Got goaway" for each service that
# is stopped, and has no other way to be asked not to than this, before it is imported.
_GRPC: Final = ("GRPC_VERBOSITY", "NONE")


def begin_logs(configured: Configured, stream: TextIO) -> None:
    """Write what this process logs to `stream`, as the settings say."""
    own = configured.settings.telemetry
    is_json = own.log_format == "json" or (own.log_format == "auto" and not stream.isatty())
    os.environ.setdefault(*_GRPC)
    importlib.import_module("plait.telemetry.logs").configure(
        stream,
        level=own.log_level,
        is_json=is_json,
        redact=partial(_masked, configured),
    )


def watch(configured: Configured) -> Watch | None:
    """Return what hears of every request; None: nobody wants to."""
    watches: list[Watch] = []
    if configured.settings.telemetry.access_log:
        watches.append(write_access)
    return all_of(watches)


def _masked(configured: Configured, text: str) -> str:
    masked: JsonValue = redacted_value(text, configured.secrets)
    return str(masked)

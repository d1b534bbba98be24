"""Errors of Plait's own, told to Sentry: what the log has from `error` on.

Imported only where an address of a project is set; needs the extra `sentry`.

Rule. What is sent has been masked like a line of the log, and has no local variables, no
      request and no environment in it: a traceback, the message, and ids.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.logging import LoggingIntegration, ignore_logger
from sentry_sdk.utils import BadDsn

from plait import __version__
from plait.telemetry.logs import FIELDS, masked

_CLOSE_S_MAX: Final = 2


def begin(address: str, service: str, redact: Callable[[str], str]) -> None:
    """Tell a project of every error that is logged from now on.

    Args:
        address: Its DSN.
        redact: Masks the secrets of the settings.

    Raises:
        ValueError: The address is none.
    """

    def scrub(event: Any, hint: dict[str, Any]) -> Any:
        record = hint.get("log_record")
        found = {name: getattr(record, name, None) for name in FIELDS}
        event["tags"] = {name: str(one) for name, one in found.items() if one is not None}
        event.pop("extra", None)
        event.pop("modules", None)
        return _scrubbed(event, lambda text: masked(redact(text)))

    try:
        sentry_sdk.init(
            address,
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[
                LoggingIntegration(level=None, event_level=logging.ERROR),
                AtexitIntegration(callback=lambda _, __: None),
            ],
            before_send=scrub,
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            server_name=service,
            release=f"plait@{__version__}",
            shutdown_timeout=_CLOSE_S_MAX,
        )
    except BadDsn as error:
        raise ValueError("this is no DSN") from error
    ignore_logger("plait.access")


def _scrubbed(value: Any, scrub: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: _scrubbed(one, scrub) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(one, scrub) for one in value]
    return value

"""Alert documents: what is watched of a served platform, and who hears of it.

Not here: what `when` may read (plait.compile.alerts), watching (plait.telemetry.alerts).
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from plait.document.fields import Condition, DurationMs, Identifier, Span, Strict

WINDOW_MS_MAX: Final = 3_600_000
_URL: Final = r"^https?://[^\s/]+[^\s]*$"
# Beside it, nothing of a workflow stands in an alert.
KEY: Final = "alert"


def _short(value: int) -> int:
    if value > WINDOW_MS_MAX:
        raise ValueError("a window has at most 1h: longer ones are for what stores metrics")
    return value


class WebhookTold(Strict):
    """A URL that is sent a POST."""

    url: Annotated[str, Field(pattern=_URL, max_length=2_000)]
    authorization: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The name of the secret that is sent as `Authorization`. Default: none is."""


class Told(Strict):
    """Who hears of it: one of these."""

    webhook: WebhookTold | None = None
    workflow: Identifier | None = None
    """A workflow that is served here: a durable execution of it is started, once for each
    firing and each end of one."""

    @model_validator(mode="after")
    def _one(self) -> Told:
        if (self.webhook is None) == (self.workflow is None):
            raise ValueError("write either `webhook` or `workflow`")
        return self


class AlertModel(Strict):
    """An alert: a condition on what the platform counts, and who hears when it holds."""

    alert: Identifier
    """Its name."""
    description: Annotated[str, Field(max_length=2_000)] = ""
    """What is wrong then, and what to do, for whoever is told."""
    when: Condition
    """What must hold: one expression over the words of the guide."""
    window: Annotated[Span, AfterValidator(_short)] = 300_000
    """How far back the counts in `when` reach; at most 1h."""
    workflow: Identifier | None = None
    """The workflow whose executions count. Default: all."""
    # `for` is a word of Python's.
    for_ms: Annotated[DurationMs, Field(alias="for")] = 0
    """How long it must hold before anybody hears of it. Default: not at all."""
    notify: Annotated[list[Told], Field(min_length=1, max_length=20)]
    """Who hears when it fires, and when that is over."""


def is_alert(data: bytes) -> bool:
    """Tell whether a text is meant as an alert: `alert` stands among its outermost keys.

    >>> is_alert(b"# why\\nalert: slow\\nwhen: x"), is_alert(b"name: w\\nsteps: []")
    (True, False)
    """
    return _MEANT.search(data) is not None


_MEANT: Final = re.compile(rb'^(?:alert|"alert")[ \t]*:|^\{?\s*"alert"\s*:', re.MULTILINE)

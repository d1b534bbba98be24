"""The `http` step type: how a document asks for this connector."""

from __future__ import annotations

from typing import ClassVar, Literal

from plait.connectors.http.spec import HttpRequest, default_effect
from plait.connectors.http.url import host_is_literal
from plait.document import Step
from plait.document.step import Effect, Parts, TemplatePart
from plait.expression import Escape
from plait.model.json import JsonObject


class HttpStep(Step):
    """Call one HTTP endpoint and return its decoded body."""

    machine: ClassVar[str] = "call"
    facts: ClassVar[tuple[str, ...]] = ("status_code", "headers")
    takes_defaults: ClassVar[bool] = True

    type: Literal["http"]
    request: HttpRequest
    """What to send, and which replies to accept."""

    def parts(self, raw: JsonObject) -> Parts:
        """The URL is a template of its own: what is put into it is percent-encoded."""
        request = raw["request"]
        assert isinstance(request, dict)
        return Parts(
            templates=(
                TemplatePart(
                    "request", ("request",), without=("url",), may_read_secrets=True
                ),
                TemplatePart(
                    "url", ("request", "url"), escape=Escape.URL, may_read_secrets=True
                ),
            ),
            options={"host_is_literal": host_is_literal(str(request["url"]))},
        )

    def own_effect(self, raw: JsonObject) -> Effect:
        """By method: GET, HEAD and OPTIONS read; the rest carry a key."""
        request = raw["request"]
        assert isinstance(request, dict)
        return default_effect(request)

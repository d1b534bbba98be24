"""The `http` step type: how a document asks for this connector."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from plait.connectors.egress import InvalidRequest
from plait.connectors.http.literal import check_key
from plait.connectors.http.request import read_outgoing
from plait.connectors.http.spec import HttpRequest, default_effect
from plait.connectors.http.url import host_is_literal
from plait.document import Step
from plait.document.fields import CredentialName
from plait.document.step import Effect, Parts, TemplatePart
from plait.expression import Escape
from plait.model.json import JsonObject, JsonValue


class HttpStep(Step):
    """Call one HTTP endpoint and return its decoded body."""

    machine: ClassVar[str] = "call"
    facts: ClassVar[tuple[str, ...]] = ("status_code", "headers")
    takes_defaults: ClassVar[bool] = True

    type: Literal["http"]
    request: HttpRequest
    """What to send, and which replies to accept."""
    credential: CredentialName | None = None
    """The name of a credential of the vault, which is put into the request when it is sent,
    and only to the hosts that it is for. No template."""

    @model_validator(mode="after")
    def _sendable(self) -> HttpStep:
        if self.key_template is not None:
            check_key(self.key_template)
        return self

    def parts(self, raw: JsonObject) -> Parts:
        """The URL is a template of its own: what is put into it is percent-encoded."""
        request = raw["request"]
        assert isinstance(request, dict)
        options: JsonObject = {"host_is_literal": host_is_literal(str(request["url"]))}
        if self.credential is not None:
            options["credential"] = self.credential
        return Parts(
            templates=(
                TemplatePart(
                    "request",
                    ("request",),
                    without=("url",),
                    may_read_secrets=True,
                    check=_check_rendered,
                ),
                TemplatePart(
                    "url", ("request", "url"), escape=Escape.URL, may_read_secrets=True
                ),
            ),
            options=options,
        )

    def own_effect(self, raw: JsonObject) -> Effect:
        """By method: GET, HEAD and OPTIONS read; the rest carry a key."""
        request = raw["request"]
        assert isinstance(request, dict)
        return default_effect(request)


def _check_rendered(request: JsonValue) -> None:
    """Raise ValueError for a request that reads nothing, and cannot be sent."""
    assert isinstance(request, dict)
    try:
        read_outgoing(request, None, ())
    except InvalidRequest as error:
        raise ValueError(str(error)) from None

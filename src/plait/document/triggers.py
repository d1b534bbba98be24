"""`triggers` of a document: what starts executions of it, beside its endpoint."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from plait.document.fields import Strict, without_dots

# No tilde: behind `/webhooks/~` stand the names of tenants.
_PATH = r"^(/[A-Za-z0-9._-]+)+$"
_SECRET = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Webhook(Strict):
    """A request from another service, signed by the rules of Standard Webhooks, starts a
    durable execution. Its JSON body is the input.
    """

    type: Literal["webhook"]
    path: Annotated[str, Field(pattern=_PATH, max_length=200), AfterValidator(without_dots)]
    """Where it comes in, behind `/webhooks`: `/shop/paid`. One deployment has it."""
    secret: Annotated[str, Field(pattern=_SECRET, max_length=200)]
    """The name of the secret that signs it (`secrets.NAME`): `whsec_` and base64."""

"""Operations of administration: credentials, and who changed what."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path, Query, Request

from plait.gateway.control import models
from plait.gateway.control.route import Answer, asked, by_name, told
from plait.ports.audit import Search

_PAGE_SIZE_MAX: Final = 500
_MS_MAX: Final = 2**53

CredentialName = Annotated[str, Path(max_length=100)]
Text = Annotated[str, Query(max_length=300)]
Moment = Annotated[int | None, Query(ge=0, le=_MS_MAX)]


async def list_credentials(
    request: Request,
    after: Annotated[
        str, Query(max_length=100, description="`next` of the page before.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=_PAGE_SIZE_MAX)] = models.PAGE_SIZE,
) -> Answer:
    """List credentials, by name: whom each is for, never what it holds."""
    ask = asked(request)
    found = await ask.services.the_vault().list(ask.caller, after=after, limit=limit)
    return told(found)


async def add_credential(request: Request, wish: models.NewCredential) -> Answer:
    """Keep a credential, encrypted. Nothing ever tells what it holds."""
    ask = asked(request)
    return told(await ask.services.the_vault().add(ask.caller, wish.model_dump()), 201)


async def get_credential(request: Request, name: CredentialName) -> Answer:
    """Show what is known of a credential, which is not what it holds."""
    ask = asked(request)
    return told(await ask.services.the_vault().get(ask.caller, name))


async def replace_credential(
    request: Request, name: CredentialName, wish: models.CredentialValue
) -> Answer:
    """Put another in the place of a credential; calls show it within seconds."""
    ask = asked(request)
    vault, wanted = ask.services.the_vault(), wish.model_dump()
    return told(await vault.replace(ask.caller, name, wanted))


async def remove_credential(request: Request, name: CredentialName) -> Answer:
    """Remove a credential; calls that name it fail from then on."""
    ask = asked(request)
    return told(await ask.services.the_vault().remove(ask.caller, name))


async def list_audit(
    request: Request,
    action: Annotated[
        str,
        Query(max_length=300, description="An action, or what it is about: `credential`."),
    ] = "",
    who: Text = "",
    subject: Text = "",
    outcome: Annotated[str, Query(pattern="^(done|refused|failed|unknown)?$")] = "",
    since_ms: Moment = None,
    until_ms: Moment = None,
    before: Annotated[
        int, Query(ge=0, le=10**15, description="`next` of the page before.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=_PAGE_SIZE_MAX)] = models.PAGE_SIZE,
) -> Answer:
    """List who changed what in the caller's tenant, the newest first."""
    ask = asked(request)
    wanted = Search(action, who, subject, outcome, since_ms, until_ms, before, limit)
    return told(await ask.services.the_audit().search(ask.caller, wanted))


HANDLERS: Final = by_name(
    list_credentials,
    add_credential,
    get_credential,
    replace_credential,
    remove_credential,
    list_audit,
)

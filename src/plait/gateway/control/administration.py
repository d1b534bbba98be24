"""Operations of administration: credentials, keys, users, and who changed what."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path, Query, Request

from plait.gateway.control import models
from plait.gateway.control.route import Answer, asked, by_name, told
from plait.gateway.refusal import BadInput
from plait.model.duration import parse_duration_ms
from plait.ports.audit import Search

_PAGE_SIZE_MAX: Final = 500
_MS_MAX: Final = 2**53

CredentialName = Annotated[str, Path(max_length=100)]
User = Annotated[str, Path(max_length=128)]
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


async def list_keys(request: Request) -> Answer:
    """List the API keys of the tenant: what each may, never the key."""
    ask = asked(request)
    return told(await ask.services.the_accounts().keys(ask.caller))


async def create_key(request: Request, wish: models.NewKey) -> Answer:
    """Make an API key; the reply shows it, once: it is kept nowhere."""
    ask = asked(request)
    try:
        lasts_ms = None if wish.expires_in is None else parse_duration_ms(wish.expires_in)
    except ValueError as error:
        raise BadInput(f"expires_in: {error}") from error
    made = await ask.services.the_accounts().create_key(
        ask.caller, wish.name, role=wish.role, grants=wish.grants, lasts_ms=lasts_ms
    )
    return told(made, 201)


async def revoke_key(
    request: Request, key_id: Annotated[str, Path(max_length=40)]
) -> Answer:
    """Let an API key count no more."""
    ask = asked(request)
    return told(await ask.services.the_accounts().revoke_key(ask.caller, key_id))


async def list_users(request: Request) -> Answer:
    """List the users of the tenant, and what each may."""
    ask = asked(request)
    return told(await ask.services.the_accounts().users(ask.caller))


async def add_user(request: Request, wish: models.NewUser) -> Answer:
    """Add a user, who is given tokens for name and password."""
    ask = asked(request)
    made = await ask.services.the_accounts().add_user(
        ask.caller, wish.name, wish.password, role=wish.role, grants=wish.grants
    )
    return told(made, 201)


async def set_password(request: Request, user: User, wish: models.NewPassword) -> Answer:
    """Give a user another password; whoever is logged in has to log in again."""
    ask = asked(request)
    accounts = ask.services.the_accounts()
    return told(await accounts.set_password(ask.caller, user, wish.password))


async def remove_user(request: Request, user: User) -> Answer:
    """Remove a user; their tokens end within minutes."""
    ask = asked(request)
    return told(await ask.services.the_accounts().remove_user(ask.caller, user))


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
    list_keys,
    create_key,
    revoke_key,
    list_users,
    add_user,
    set_password,
    remove_user,
    list_audit,
)

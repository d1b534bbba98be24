"""The token desk: OAuth 2 for local users and for programs (RFC 6749, 6.1 of 9700).

| `grant_type` | shows | is given |
|---|---|---|
| `password` | `username`, `password` | a token and a refresh token |
| `client_credentials` | an API key: as `client_secret`, in Basic or in the form | a token |
| `refresh_token` | `refresh_token` | both anew |

Not here: the route (plait.gateway), signing (plait.security.signing).
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import ClassVar, Final

from plait.model.caller import DEFAULT_TENANT, Caller
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.ports.audit import DONE, REFUSED, Act, Audit
from plait.ports.identity import Unauthenticated
from plait.security.backoff import Backoff
from plait.security.keys import ApiKeys, parsed
from plait.security.refresh import RefreshTokens, session_of
from plait.security.signing import OwnTokens
from plait.security.users import Users

_ACTION: Final = "token.issue"
# What is mistyped by programs is nobody's attempt to get in.
_REFUSALS: Final = ("invalid_grant", "invalid_client")
GRANTS: Final = ("password", "client_credentials", "refresh_token")
_FIELD_LENGTH_MAX: Final = 2_000
_NAME_LENGTH_MAX: Final = 128


class TokenRefused(PlaitError):
    """No token is given for this; `details.error` is OAuth 2's own word for it.

    Attributes:
        details: `{error}`: `invalid_request`, `invalid_grant`, `invalid_client`,
            `unsupported_grant_type`.
    """

    code: ClassVar[str] = "token.refused"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.details: JsonObject = {"error": error}


class TokenDesk:
    """Gives out tokens.

    Args:
        now_s: Monotonic seconds, for the back-off.
        audit: Records who was given a token, before it is given, and who was refused.
    """

    def __init__(
        self,
        keys: ApiKeys,
        users: Users,
        tokens: OwnTokens,
        refresh: RefreshTokens,
        now_s: Callable[[], float],
        audit: Audit | None = None,
    ) -> None:
        self._audit = audit
        self._keys = keys
        self._users = users
        self._tokens = tokens
        self._refresh = refresh
        self._backoff = Backoff(now_s)

    async def give(
        self, form: Mapping[str, str], headers: Mapping[str, str], client: str
    ) -> JsonObject:
        """Return `{access_token, token_type, expires_in, refresh_token?}`.

        Args:
            form: What the request's form says.
            headers: By lower-case name.
            client: The address of who asks.

        Raises:
            TokenRefused: What is shown does not count, or no grant is like that.
            RateExceeded: Too many attempts failed.
            StoreUnavailable: Nothing can be looked up.
        """
        if any(len(text) > _FIELD_LENGTH_MAX for text in form.values()):
            raise TokenRefused("invalid_request", "a field is too long")
        grant = form.get("grant_type", "")
        if grant not in GRANTS:
            known = ", ".join(GRANTS)
            raise TokenRefused("unsupported_grant_type", f"`grant_type` is one of {known}")
        try:
            return await self._by(grant, form, headers, client)
        except TokenRefused as error:
            if error.details["error"] in _REFUSALS:
                await self._note_refusal(form, client)
            raise

    async def _by(
        self, grant: str, form: Mapping[str, str], headers: Mapping[str, str], client: str
    ) -> JsonObject:
        if grant == "password":
            return await self._by_password(form, client)
        if grant == "client_credentials":
            return await self._by_key(_client_secret(form, headers), client)
        return await self._by_refresh(form, client)

    async def _note_issue(self, caller: Caller, grant: str, client: str) -> None:
        """Raise StoreUnavailable, and give no token, where that cannot be recorded."""
        if self._audit is not None:
            act = Act(caller.tenant, caller.subject, _ACTION, grant, peer=client)
            await self._audit.note(act, DONE)

    async def _note_refusal(self, form: Mapping[str, str], client: str) -> None:
        name = form.get("username", "").lower()[:_NAME_LENGTH_MAX]
        who = f"user:{name}" if name else "anybody"
        # Whose a name would be is not known of one that nobody has.
        act = Act(DEFAULT_TENANT, who, _ACTION, form["grant_type"], peer=client)
        if self._audit is not None:
            with suppress(PlaitError):  # it is refused, recorded or not
                await self._audit.note(act, REFUSED, TokenRefused.code)

    async def revoke(self, token: str) -> None:
        """End the session of a refresh token (RFC 7009)."""
        await self._refresh.revoke(token)

    async def _by_password(self, form: Mapping[str, str], client: str) -> JsonObject:
        name, password = form.get("username", "").lower(), form.get("password", "")
        if not name or not password:
            raise TokenRefused("invalid_request", "send `username` and `password`")
        known_as = name[:_NAME_LENGTH_MAX]
        await self._backoff.begin(client, known_as)
        user = None
        try:
            user = await self._users.checked(name, password)
        finally:
            self._backoff.ended(client, known_as, is_right=user is not None)
        if user is None:
            raise TokenRefused("invalid_grant", "the name or the password is wrong")
        await self._note_issue(user.caller(), "password", client)
        token, seconds = await self._tokens.issue(user.caller())
        return _given(token, seconds, await self._refresh.begin(user))

    async def _by_key(self, presented: str, client: str) -> JsonObject:
        named = parsed(presented)
        known_as = f"key {named[0] if named else client}"
        self._backoff.check(client, known_as)
        try:
            key = await self._keys.check(presented)
        except Unauthenticated:
            self._backoff.failed(client, known_as)
            text = "this API key does not count here"
            raise TokenRefused("invalid_client", text) from None
        await self._note_issue(key.caller(), "client_credentials", client)
        token, seconds = await self._tokens.issue(key.caller(), key.expires_at_ms)
        return _given(token, seconds, None)

    async def _by_refresh(self, form: Mapping[str, str], client: str) -> JsonObject:
        shown = form.get("refresh_token", "")
        # By its session, so that nobody's failures make others wait.
        known_as = f"session {session_of(shown) or client}"
        self._backoff.check(client, known_as)
        renewed = await self._refresh.renew(shown)
        if renewed is None:
            self._backoff.failed(client, known_as)
            raise TokenRefused("invalid_grant", "this refresh token does not count")
        following, user = renewed
        await self._note_issue(user.caller(), "refresh_token", client)
        token, seconds = await self._tokens.issue(user.caller())
        return _given(token, seconds, following)


def _given(token: str, seconds: int, refresh: str | None) -> JsonObject:
    given: JsonObject = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": seconds,
    }
    return given if refresh is None else {**given, "refresh_token": refresh}


def _client_secret(form: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Return the API key that a program shows, wherever it shows it."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return b64decode(rest.strip(), validate=True).decode().rpartition(":")[2]
        except (binascii.Error, ValueError):
            raise TokenRefused("invalid_request", "this is not Basic") from None
    return headers.get("x-api-key") or form.get("client_secret", "")

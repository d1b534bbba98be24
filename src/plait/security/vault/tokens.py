"""Access tokens of OAuth 2 client credentials (RFC 6749, 4.4): fetched once, used until
shortly before their end.

Rule 1. Whoever wants a token that is being fetched waits for that one.
Rule 2. A token belongs to one credential as it was when it was fetched: replaced, or
        removed and added anew, it gets others.
Rule 3. A reply is quoted nowhere: it may hold a token. Of a refusal the error code is told.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias
from urllib.parse import quote_plus

from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.record import record
from plait.ports.calls import CallReply, Outcome
from plait.ports.credentials import Credential, CredentialToken

# What makes a request: of an http step, and a time limit in milliseconds.
Fetch: TypeAlias = Callable[[Mapping[str, object], int], Awaitable[Outcome]]

# Tenant, name, id and number of a credential.
_Key: TypeAlias = tuple[str, str, str, int]

_FETCH_MS_MAX: Final = 10_000
# RFC 6749 recommends that servers say it; those that do not are asked every few minutes.
_LIFE_S_DEFAULT: Final = 300
# So long before its end a token is not shown any more: calls take time, clocks differ.
_MARGIN_S_MAX: Final = 60.0
_MARGIN_PART: Final = 0.2
_TOKENS_MAX: Final = 10_000
_ERROR: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,60}")


@record
class _Token:
    text: str
    until_s: float


class AccessTokens:
    """The tokens that this process has.

    Args:
        now_s: A clock that never goes back, seconds.
    """

    def __init__(self, fetch: Fetch, now_s: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now_s = now_s
        self._tokens: dict[_Key, _Token] = {}
        self._fetching: dict[_Key, asyncio.Task[str]] = {}

    def at_hand(self, credential: Credential) -> str | None:
        """Return a token that counts for some time yet; None: there is none."""
        known = self._tokens.get(_key(credential))
        return known.text if known is not None and known.until_s > self._now_s() else None

    def forget(self, credential: Credential, token: str) -> None:
        """Do not show `token` again: somebody refused it."""
        known = self._tokens.get(_key(credential))
        if known is not None and known.text == token:
            del self._tokens[_key(credential)]

    async def get(self, credential: Credential) -> str:
        """Return a token, fetched now if there is none.

        Raises:
            CredentialToken: The server gave none.
        """
        known = self.at_hand(credential)
        if known is not None:
            return known
        key = _key(credential)
        task = self._fetching.get(key)
        if task is None:
            task = asyncio.ensure_future(self._fetched(credential))
            self._fetching[key] = task
            task.add_done_callback(partial(self._ended, key))
        # Whoever gives up waiting does not give up the others' token.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Give up what is being fetched."""
        tasks = [*self._fetching.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, key: _Key, task: asyncio.Task[str]) -> None:
        self._fetching.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen: nobody may have waited for it to the end

    async def _fetched(self, credential: Credential) -> str:
        began_s = self._now_s()
        outcome = await self._fetch(request_of(credential), _FETCH_MS_MAX)
        if isinstance(outcome, Failure):
            raise _refused(credential, outcome)
        token, life_s = _read(credential, outcome)
        margin_s = min(_MARGIN_S_MAX, life_s * _MARGIN_PART)
        if len(self._tokens) >= _TOKENS_MAX:
            self._tokens.clear()
        self._tokens[_key(credential)] = _Token(token, began_s + life_s - margin_s)
        return token


def request_of(credential: Credential) -> dict[str, object]:
    """Return the request that asks for a token, as an http step has it."""
    given = credential.fields
    form = {"grant_type": "client_credentials"}
    form |= {name: given[name] for name in ("scope", "audience") if name in given}
    headers = {"Accept": "application/json"}
    if given.get("client", "header") == "body":
        form |= {name: given[name] for name in ("client_id", "client_secret")}
    else:
        pair = f"{quote_plus(given['client_id'])}:{quote_plus(given['client_secret'])}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return {
        "method": "POST",
        "url": given["token_url"],
        "form": form,
        "headers": headers,
        "decode": "json",
        "max_bytes": 262_144,
    }


def _read(credential: Credential, reply: CallReply) -> tuple[str, float]:
    told: Any = reply.response
    token = told.get("access_token") if isinstance(told, dict) else None
    if not isinstance(token, str) or not token or not token.isprintable():
        raise CredentialToken(credential.name, "the reply holds no token", is_final=False)
    kind = told.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        text = "its tokens are not of the type Bearer"
        raise CredentialToken(credential.name, text, is_final=True)
    life = told.get("expires_in")
    if isinstance(life, str) and life.isdecimal():
        life = int(life[:12])
    is_number = isinstance(life, int | float) and not isinstance(life, bool)
    return token, float(life) if is_number and life > 0 else _LIFE_S_DEFAULT


def _refused(credential: Credential, failure: Failure) -> CredentialToken:
    said: Any = (failure.details or {}).get("body")
    word = said.get("error") if isinstance(said, dict) else None
    reason = failure.code
    if isinstance(word, str) and _ERROR.fullmatch(word):
        reason += f" ({word})"
    is_final = failure.advice is not Advice.RETRY
    return CredentialToken(credential.name, reason, is_final=is_final)


def _key(credential: Credential) -> _Key:
    # Numbers begin at 1 again when a name is given anew.
    return credential.tenant, credential.name, credential.id, credential.number

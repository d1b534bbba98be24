"""Calls with credentials: looked up by name, checked, put into the request, masked after.

Rule 1. What a credential holds is in the request of one attempt, and nowhere before: no
        template, history or cache has seen it.
Rule 2. It is shown only where workflow and origin are among those that it is for, whatever
        a template made of the URL.
Rule 3. Whatever comes back is masked before anybody hears of it.
Rule 4. A token that the other side refuses was perhaps taken back: another is fetched, and
        the call is made once more, unless it is `unsafe`.

Not here: policies and retries, which stand around this (plait.drivers.policies).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from plait.drivers.children import timed_out
from plait.drivers.closing import close_all
from plait.drivers.outcome import outcome_of
from plait.drivers.redact import redacted, redacted_value
from plait.model.errors import Advice, PlaitError
from plait.model.failure import Failure
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.calls import Call, CallHandle, Calls, Done, Outcome, lacks_of
from plait.ports.credentials import (
    Credential,
    Credentials,
    CredentialToken,
    CredentialUnknown,
    CredentialUnusable,
)
from plait.security.vault import AccessTokens, check_use
from plait.security.vault.kinds import SECRET_FIELDS

logger = logging.getLogger("plait.credentials")

# From a rendered request and a credential to the request that shows it.
Put: TypeAlias = Callable[[Mapping[str, object], Credential], dict[str, object]]

_REFUSED: Final = "connector.http.401"


@record
class Way:
    """How a kind of call shows credentials.

    Attributes:
        origin_of: Tells of a rendered request to whom it goes: `https://host:443`.
    """

    put: Put
    origin_of: Callable[[Mapping[str, object]], str]


class NoCredentials:
    """What a process has that was put together without a vault."""

    def at_hand(self, tenant: str, name: str) -> Credential | None:
        """See plait.ports.credentials.Credentials."""
        del tenant, name
        return None

    async def open(self, tenant: str, name: str) -> Credential:
        """Raise CredentialUnknown."""
        raise CredentialUnknown(name)


class CredentialedCalls:
    """Performs calls through `calls`, with their credentials.

    Args:
        ways: By the kind of call; those of other kinds show none.
        on_close: Awaited last.
    """

    def __init__(
        self,
        calls: Calls,
        credentials: Credentials,
        ways: Mapping[str, Way],
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._on_close = on_close
        self._calls = calls
        self._credentials = credentials
        self._ways = ways
        self.lacks = lacks_of(calls)
        self.tokens = AccessTokens(self._fetch, time.monotonic)

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls.Calls."""
        if call.credential is None:
            return self._calls.start(call, done)
        shown = _Shown(self, call, done)
        shown.begin()
        return shown

    def begin(self, call: Call, done: Done) -> CallHandle:
        """Make a call that shows what it shall."""
        return self._calls.start(call, done)

    def at_hand(self, call: Call) -> Credential | None:
        """Return what a call shows, if nothing has to be waited for."""
        assert call.credential is not None
        found = self._credentials.at_hand(call.tenant, call.credential)
        if found is None or found.type != "oauth2":
            return found
        token = self.tokens.at_hand(found)
        return None if token is None else _bearer(found, token)

    async def opened(self, call: Call) -> Credential:
        """Return what a call shows; an access token, where it stands for one."""
        assert call.credential is not None
        found = await self._credentials.open(call.tenant, call.credential)
        if found.type != "oauth2":
            return found
        # Not before: no token is fetched for who may not show it.
        self.check(call, found)
        return _bearer(found, await self.tokens.get(found))

    def check(self, call: Call, credential: Credential) -> Way:
        """Return how a call shows a credential.

        Raises:
            CredentialForbidden: It may not.
            CredentialUnusable: Calls of its kind show none.
        """
        way = self._ways.get(call.kind)
        if way is None:
            reason = f"'{call.kind}' steps show none"
            raise CredentialUnusable(credential.name, reason)
        check_use(credential, call.workflow, way.origin_of(call.request))
        return way

    def with_credential(self, call: Call, credential: Credential) -> Call:
        """Return the call that shows it. Raises as `check` does."""
        request = self.check(call, credential).put(call.request, credential)
        return replace(call, request=request)

    async def _fetch(self, request: Mapping[str, object], timeout_ms: int) -> Outcome:
        """Ask for a token, by the egress rules: an API may have named the server."""
        call = Call(
            kind="http",
            request=dict(request),
            host_is_literal=False,
            timeout_ms=timeout_ms,
            idempotency_key=None,
            headers_wanted=(),
            execution_id="",
            step="credential.token",
            attempt=1,
            effect="unsafe",
        )
        return await outcome_of(self._calls.start, call)

    async def close(self) -> None:
        """See plait.ports.calls.Calls."""
        last = () if self._on_close is None else (self._on_close,)
        await close_all(self.tokens.close, self._calls.close, *last)


class _Shown:
    """One call that shows a credential: waiting for it, then under way, then over."""

    __slots__ = (
        "_call",
        "_calls",
        "_deadline",
        "_done",
        "_handle",
        "_is_over",
        "_task",
        "_was_repeated",
    )

    def __init__(self, calls: CredentialedCalls, call: Call, done: Done) -> None:
        self._calls = calls
        self._call = call
        self._done = done
        self._handle: CallHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_over = False
        self._was_repeated = False

    def begin(self) -> None:
        found = self._calls.at_hand(self._call)
        if found is not None:
            self._show(found, is_fresh=False)
        else:
            self._wait(time.monotonic() + self._call.timeout_ms / 1000)

    def _wait(self, until_s: float) -> None:
        loop = asyncio.get_running_loop()
        left_s = until_s - time.monotonic()
        self._deadline = loop.call_later(max(left_s, 0), self._give_up)
        self._task = loop.create_task(self._open(until_s))

    async def _open(self, until_s: float) -> None:
        try:
            found = await self._calls.opened(self._call)
        except PlaitError as error:
            self._end(_failure(error))
        except Exception as error:
            logger.exception("credential '%s'", self._call.credential)
            text = f"the credential cannot be opened ({type(error).__name__})"
            self._end(Failure("internal", text, advice=Advice.REPORT, sent=False))
        else:
            self._rest()
            left_ms = int((until_s - time.monotonic()) * 1000)
            self._call = replace(self._call, timeout_ms=max(left_ms, 1))
            self._show(found, is_fresh=True)

    def _show(self, credential: Credential, *, is_fresh: bool) -> None:
        until_s = time.monotonic() + self._call.timeout_ms / 1000
        try:
            call = self._calls.with_credential(self._call, credential)
        except PlaitError as error:
            self._end(_failure(error))
            return

        def hear(outcome: Outcome) -> None:
            self._handle = None
            if self._may_repeat(outcome, credential) and not is_fresh:
                self._was_repeated = True
                self._wait(until_s)
                return
            self._end(masked(outcome, credential))

        handle = self._calls.begin(call, hear)
        if not self._is_over and self._task is None:
            self._handle = handle

    def _may_repeat(self, outcome: Outcome, credential: Credential) -> bool:
        """Tell whether another token may help; the one that was refused is forgotten."""
        is_refused = isinstance(outcome, Failure) and outcome.code == _REFUSED
        if credential.type != "oauth2" or not is_refused:
            return False
        self._calls.tokens.forget(credential, credential.fields["token"])
        is_safe = self._call.effect != "unsafe"
        return is_safe and not self._was_repeated and not self._is_over

    def _end(self, outcome: Outcome) -> None:
        if not self._is_over:
            self._is_over = True
            self._rest()
            self._done(outcome)

    def _give_up(self) -> None:
        task = self._task
        self._end(timed_out(self._call))
        if task is not None:
            task.cancel()

    def _rest(self) -> None:
        self._task = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def cancel(self) -> None:
        """See plait.ports.calls.CallHandle."""
        self._is_over = True
        task, handle = self._task, self._handle
        self._rest()
        if task is not None:
            task.cancel()
        if handle is not None:
            handle.cancel()


def masked(outcome: Outcome, credential: Credential) -> Outcome:
    """Return an outcome in which nothing of a credential stands."""
    hidden = {
        name: text for name, text in credential.fields.items() if name in SECRET_FIELDS
    }
    if isinstance(outcome, Failure):
        return redacted(outcome, hidden)
    response = redacted_value(outcome.response, hidden)
    facts = redacted_value(outcome.facts, hidden)
    assert isinstance(facts, dict)
    return replace(outcome, response=response, facts=facts)


def _bearer(credential: Credential, token: str) -> Credential:
    """Return what is shown in place of client credentials: they go to no other server."""
    return replace(credential, fields={"token": token})


def _failure(error: PlaitError) -> Failure:
    """Return why a call was not made; nothing has left this process."""
    details: JsonObject = dict(getattr(error, "details", {}))
    advice = error.advice
    if isinstance(error, CredentialToken) and error.is_final:
        advice = Advice.FIX_REQUEST
    return Failure(error.code, str(error), details, advice=advice, sent=False)

"""Webhooks: signed requests of other services start durable executions.

Rule 1. Who cannot show by the signature that it knows the trigger's secret starts nothing;
        neither does anybody while that secret is missing (Standard Webhooks: HMAC-SHA256
        over id, timestamp and the body as it came).
Rule 2. One message starts one execution, however often and wherever it is delivered. What
        was accepted is accepted again, whatever has become of the workflow since.
Rule 3. What is acknowledged is in the store.

Not here: the HTTP around it (plait.gateway), which workflows have webhooks
(plait.compile.triggers).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets as dice
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final, Protocol
from urllib.parse import quote

from plait.drivers.inputs import InvalidInput, fitted
from plait.drivers.journal import Start, Unplaceable
from plait.kernel.views import moment_text
from plait.model.caller import DEFAULT_TENANT, Caller, is_allowed, require
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject, JsonValue
from plait.model.strict_json import JsonRefused, read_exact_json
from plait.operations.keeper import Keeper
from plait.plan import Plan, Webhook
from plait.ports.journal import Search
from plait.ports.platform import Delivery, InvalidRequest

# Older and newer messages are refused: a copy of one is of use for so long only.
TOLERANCE_S: Final = 300
# As the standard says; an empty key would let everybody sign.
KEY_BYTES_MIN: Final = 24
_PREFIX: Final = "whsec_"
_MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_TRACE: Final = ("traceparent", "tracestate")
_ID_BYTES: Final = 16


class UnknownWebhook(PlaitError):
    """No active deployment has a webhook of this path."""

    code: ClassVar[str] = "webhook.unknown"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self) -> None:
        super().__init__("no workflow takes webhooks here")


class WebhookUnverified(PlaitError):
    """A message's signature, id or time is not what the trigger's secret makes of it."""

    code: ClassVar[str] = "webhook.unverified"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST


class WebhookSecretMissing(PlaitError):
    """The gateway does not have the secret that signs this webhook; nothing is taken."""

    code: ClassVar[str] = "webhook.secret_missing"
    advice: ClassVar[Advice] = Advice.RETRY

    def __init__(self) -> None:
        super().__init__("this webhook is not set up: its secret is missing here")


class Served(Protocol):
    """A workflow that is served now."""

    @property
    def tenant(self) -> str:
        """Whose it is."""
        ...

    @property
    def plan(self) -> Plan:
        """What it does."""
        ...


class LocalTriggers:
    """Starts executions in this process's store (plait.ports.platform.Triggers).

    Args:
        served: Returns what is served now; another sequence when that is another.
        secrets: By name.
        now_s: Tells the seconds since the Unix epoch.
    """

    def __init__(
        self,
        keeper: Keeper,
        served: Callable[[], Sequence[Served]],
        secrets: Mapping[str, str],
        *,
        now_s: Callable[[], float],
    ) -> None:
        self._keeper = keeper
        self._served = served
        self._secrets = secrets
        self._now_s = now_s
        self._known: Sequence[Served] = ()
        self._by_path: dict[str, tuple[Served, Webhook]] = {}

    async def deliver(self, delivery: Delivery) -> JsonObject:
        """Take a webhook's request: `{status, execution_id}`. It is kept when this returns.

        Raises:
            UnknownWebhook: Nobody takes it.
            WebhookSecretMissing: Nobody can tell who sent it.
            WebhookUnverified: It was not signed with the secret, or long ago.
            InvalidRequest: Its body is not JSON.
            InvalidInput: Its body does not fit the workflow's schema.
            Unplaceable: Its lane or priority cannot be told from its body.
            Overloaded: Too much waits for its turn already; whoever sends it tries again.
        """
        found = self._all().get("/" + delivery.path.removeprefix("/"))
        if found is None:
            raise UnknownWebhook
        served, webhook = found
        headers = {name.lower(): value for name, value in delivery.headers.items()}
        key = key_of(self._secrets.get(webhook.secret, ""))
        if key is None:
            raise WebhookSecretMissing
        message_id, at_s = verified(key, headers, delivery.body, self._now_s())
        trigger: JsonObject = {
            "type": "webhook",
            "id": message_id,
            "path": webhook.path,
            "timestamp": moment_text(at_s * 1000),
        }
        start = Start(
            dice.token_hex(_ID_BYTES),
            _payload(delivery.body),
            trigger,
            _idempotency_key(webhook, message_id),
            tenant=served.tenant,
            trace=tuple((name, headers[name]) for name in _TRACE if name in headers),
        )
        execution_id = await self._begun(served.plan, start)
        return {"status": "accepted", "execution_id": execution_id}

    async def _begun(self, plan: Plan, start: Start) -> str:
        """Return the id of the execution that a message started: now, or before."""
        kept = await self._keeper.kept()
        kept.driver.room.check()
        try:
            fitting = replace(start, input=fitted(plan, start.input))
            return (await kept.driver.start(plan, fitting)).new.execution_id
        except (InvalidInput, Unplaceable):
            search = Search(workflow=plan.name, key=start.key, tenant=start.tenant, limit=1)
            for before in await kept.store.find(search):
                return before.new.execution_id
            raise

    async def list(self, caller: Caller) -> JsonObject:
        """Return the triggers of all workflows that are served: `{triggers}`."""
        if not caller.grants:
            require(caller, "viewer")
        triggers: list[JsonObject] = [
            {
                "type": "webhook",
                "workflow": served.plan.name,
                "path": webhook.path,
                "webhook_url": f"/webhooks{path}",
                "secret": webhook.secret,
                "has_secret": key_of(self._secrets.get(webhook.secret, "")) is not None,
            }
            for path, (served, webhook) in sorted(self._all().items())
            if served.tenant == caller.tenant
            and is_allowed(caller, "viewer", served.plan.name)
        ]
        return {"triggers": [*triggers]}

    def _all(self) -> Mapping[str, tuple[Served, Webhook]]:
        served = self._served()
        if served is not self._known:
            self._known, self._by_path = served, dict(_by_path(served))
        return self._by_path


def _by_path(served: Iterable[Served]) -> Iterable[tuple[str, tuple[Served, Webhook]]]:
    for one in served:
        for webhook in one.plan.webhooks:
            yield webhook_path(one.tenant, webhook.path), (one, webhook)


def webhook_path(tenant: str, path: str) -> str:
    """Return where a webhook comes in, behind `/webhooks`.

    >>> webhook_path("default", "/paid"), webhook_path("acme", "/paid")
    ('/paid', '/~acme/paid')
    """
    return path if tenant == DEFAULT_TENANT else f"/~{quote(tenant, safe='')}{path}"


def key_of(secret: str) -> bytes | None:
    """Return the key that a secret stands for; None: it is missing, or none.

    >>> key_of("whsec_" + "a2V5" * 8) == b"key" * 8, key_of(""), key_of("whsec_c2hvcnQ=")
    (True, None, None)
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) >= KEY_BYTES_MIN else None


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """Return how a message is signed: `v1,` and base64."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    made = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


def verified(
    key: bytes, headers: Mapping[str, str], body: bytes, now_s: float
) -> tuple[str, int]:
    """Return the id of a message and its moment, seconds since the Unix epoch.

    Args:
        headers: Names in lower case.

    Raises:
        WebhookUnverified: It was not signed with `key`, or not about now.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split(" ")
    if not _MESSAGE_ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp):
        text = "send webhook-id, webhook-timestamp (seconds) and webhook-signature"
        raise WebhookUnverified(text)
    wanted = signature(key, message_id, timestamp, body).encode()
    # All are compared, each in constant time: while a secret is changed there are two.
    matches = [hmac.compare_digest(wanted, one.encode()) for one in given]
    if not any(matches):
        raise WebhookUnverified("no signature is the one that the secret makes")
    if abs(now_s - int(timestamp)) > TOLERANCE_S:
        raise WebhookUnverified(
            f"the message is not from the last {TOLERANCE_S} seconds: sign it anew, or set "
            "the clock"
        )
    return message_id, int(timestamp)


def _payload(body: bytes) -> JsonValue:
    try:
        return read_exact_json(body)
    except JsonRefused as refused:
        raise InvalidRequest(f"the body {refused}") from None


def _idempotency_key(webhook: Webhook, message_id: str) -> str:
    """Return the key of a message. No client can send it: it holds a space."""
    path = hashlib.sha256(webhook.path.encode()).hexdigest()[:16]
    return f"webhook {path} {message_id}"

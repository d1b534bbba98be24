"""Credentials: what calls show the other side, looked up by name where a call is made.

Rule 1. A credential is found for the tenant on whose behalf a call is made, and for no
        other: what another tenant has does not exist.
Rule 2. It is shown to the origins that it is for, and to nobody else.
Rule 3. Nobody who only looks is told what it holds.

Not here: keeping them (plait.security.vault), putting one into a request
(plait.connectors).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar, Protocol

from plait.model.caller import Caller
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.model.record import record


class CredentialUnknown(PlaitError):
    """The tenant has no credential of that name."""

    code: ClassVar[str] = "credential.unknown"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no credential '{name[:100]}'; see `plait credentials list`"
        )
        self.details: JsonObject = {"credential": name[:100]}


class CredentialExists(PlaitError):
    """The tenant has a credential of that name already."""

    code: ClassVar[str] = "credential.exists"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a credential '{name}' already: replace it")
        self.details: JsonObject = {"credential": name}


class CredentialInvalid(PlaitError):
    """A credential lacks something, or has what none of its type has."""

    code: ClassVar[str] = "credential.invalid"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST


class CredentialForbidden(PlaitError):
    """A credential is not for this workflow, or not for this host."""

    code: ClassVar[str] = "credential.forbidden"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"credential '{name}' {reason}")
        self.details: JsonObject = {"credential": name}


class CredentialUnusable(PlaitError):
    """A credential cannot be put into this call."""

    code: ClassVar[str] = "credential.unusable"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"credential '{name}' cannot be used here: {reason}")
        self.details: JsonObject = {"credential": name}


class CredentialToken(PlaitError):
    """The server that gives tokens for a credential gave none."""

    code: ClassVar[str] = "credential.token"
    advice: ClassVar[Advice] = Advice.RETRY

    def __init__(self, name: str, reason: str, *, is_final: bool) -> None:
        super().__init__(f"no token was given for credential '{name}': {reason}")
        self.details: JsonObject = {"credential": name}
        self.is_final = is_final


class VaultKeyMissing(PlaitError):
    """What is kept was encrypted with a key that this process does not have."""

    code: ClassVar[str] = "vault.key_missing"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST


class VaultDamaged(PlaitError):
    """What is kept of a credential is not what was written, or not for this place."""

    code: ClassVar[str] = "vault.damaged"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"what is kept of credential '{name}' was changed outside Plait: replace it"
        )
        self.details: JsonObject = {"credential": name}


@record
class Credential:
    """A credential, opened. It is never stored, logged or told so.

    Attributes:
        type: `basic`, `bearer`, `api_key`, `oauth2`, `mtls`, `database`, `smtp`.
        hosts: The origins that it may be shown to.
        workflows: The workflows that may show it; empty: all of its tenant.
        fields: What it holds, as its type says.
        number: Grows whenever it is replaced.
        id: Drawn when it was added: one of the same name that was removed is another.
    """

    tenant: str
    name: str
    type: str
    hosts: tuple[str, ...]
    workflows: tuple[str, ...]
    fields: Mapping[str, str] = field(repr=False)
    number: int = 1
    id: str = ""


class Credentials(Protocol):
    """Opens credentials, where calls are made."""

    def at_hand(self, tenant: str, name: str) -> Credential | None:
        """Return a credential without waiting; None: `open` it."""
        ...

    async def open(self, tenant: str, name: str) -> Credential:
        """Return a credential.

        Raises:
            CredentialUnknown: The tenant has none of that name.
            VaultKeyMissing, VaultDamaged: It cannot be opened.
            StoreUnavailable: It cannot be looked up.
        """
        ...


class Vault(Protocol):
    """Keeps credentials for people. Each is told without what it holds:
    `{name, type, hosts, workflows, created_at, changed_at, rotated_at, number, key}`.

    Every method needs the role `admin`.
    """

    async def list(self, caller: Caller, *, after: str = "", limit: int = 50) -> JsonObject:
        """Return `{credentials, next}`, by name; `next` is what to give as `after`."""
        ...

    async def get(self, caller: Caller, name: str) -> JsonObject:
        """Return one. Raises CredentialUnknown."""
        ...

    async def add(self, caller: Caller, wanted: Mapping[str, object]) -> JsonObject:
        """Keep a new one: `{name, type, hosts, workflows?, fields}`.

        Raises:
            CredentialInvalid: It cannot be one.
            CredentialExists: There is one of that name.
            VaultKeyMissing: There is no key to encrypt it with.
        """
        ...

    async def replace(
        self, caller: Caller, name: str, wanted: Mapping[str, object]
    ) -> JsonObject:
        """Put another in the place of one: `{type, hosts, workflows?, fields}`."""
        ...

    async def remove(self, caller: Caller, name: str) -> JsonObject:
        """Let one be gone; return what it was."""
        ...

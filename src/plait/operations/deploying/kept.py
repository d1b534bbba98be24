"""What is kept of deployments, and the records that hold it.

| kind | key | what |
|---|---|---|
| `deployment` | its name | which versions there are, and which one is active |
| `deployment.version` | name `/` version | one document, never changed |
| `deployment.claim` | `GET /orders/{}` | which active deployment answers there |

A claim is a record of its own so that the store refuses the second of two that deploy at
once, in whichever processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any, ClassVar, Final
from urllib.parse import quote, unquote

import orjson

from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject, canonical_bytes
from plait.model.record import record
from plait.plan import Plan

DEPLOYMENT: Final = "deployment"
VERSION: Final = "deployment.version"
CLAIM: Final = "deployment.claim"
FORMAT: Final = 1
# A deployment's own record stays below what a store takes, 1 MiB: whatever else is in it,
# claims, the trail and what is said of it, has 256 KiB.
VERSIONS_MAX: Final = 1_000
VERSIONS_BYTES_MAX: Final = 768 * 1024
_TRAIL_MAX: Final = 200
_KEY_BYTES_MAX: Final = 512


class DeploymentUnreadable(PlaitError):
    """A record should hold a deployment and does not, or one of a newer format."""

    code: ClassVar[str] = "deployment.unreadable"
    advice: ClassVar[Advice] = Advice.REPORT

    def __init__(self, key: str, *, is_newer: bool = False) -> None:
        reason = (
            "a newer version of Plait wrote it: upgrade"
            if is_newer
            else "it is damaged: deploy it again"
        )
        super().__init__(f"the record of deployment '{key}' cannot be read; {reason}")
        self.is_newer = is_newer


@record
class Version:
    """One version of a deployment, without its document.

    Attributes:
        id: The hash of what was deployed: 64 hexadecimal digits.
        number: 1 for the first.
        at_ms: When it was deployed first, milliseconds since the Unix epoch.
        by: Who did.
        method, path: Its endpoint; empty: it has none.
        webhooks: Where its webhooks come in, behind `/webhooks`.
    """

    id: str
    number: int
    at_ms: int
    by: str
    method: str = ""
    path: str = ""
    webhooks: tuple[str, ...] = ()


@record
class Switch:
    """A moment at which another version became active; None: none any more."""

    version: str | None
    at_ms: int
    by: str


@record
class Deployed:
    """A deployment as it is kept.

    Attributes:
        active: The version that is served; None: it was removed, or never activated.
        created_at_ms: When its first version came.
        versions: The oldest first.
        trail: The versions that were active, the latest last; going back takes one off.
        switches: What happened, the latest last.
        claims: Keys of the claims that it holds.
    """

    name: str
    created_at_ms: int
    active: str | None = None
    description: str = ""
    versions: tuple[Version, ...] = ()
    trail: tuple[str, ...] = ()
    switches: tuple[Switch, ...] = ()
    claims: tuple[str, ...] = ()

    def version(self, version_id: str | None) -> Version | None:
        """Return the version of this id; None: there is none."""
        return next((one for one in self.versions if one.id == version_id), None)

    def switched(self, version: str | None, trail: Sequence[str], by: Switch) -> Deployed:
        """Return it with another active version."""
        return replace(
            self,
            active=version,
            trail=without_repeats(trail)[-_TRAIL_MAX:],
            switches=(*self.switches, by)[-_TRAIL_MAX:],
        )


def without_repeats(trail: Iterable[str]) -> tuple[str, ...]:
    """Return a trail in which each version differs from the one before it.

    Two equal ones in a row would lead back to the active version: nowhere, for ever.

    >>> without_repeats(["a", "b", "b", "a"])
    ('a', 'b', 'a')
    """
    return tuple(one for one, _ in groupby(trail))


@record
class Document:
    """What one version holds: the document's text, and triggers from beside it.

    Attributes:
        triggers_text: The file of the triggers, to the letter; None: they came without.
        is_operators: Whether it is a file that the operator deployed at the machine, whose
            hosts are the operator's own words; one that came over the API is not.
    """

    definition: str
    triggers: tuple[JsonObject, ...] = ()
    is_operators: bool = False
    triggers_text: str | None = None


def version_of(document: Document) -> str:
    """Return the id of what is deployed: equal for equal bytes, triggers and origin.

    So what came over the API gets no trust of an equal file that the operator deployed; and
    the operator can deploy what came so, to vouch for it.

    >>> version_of(Document("name: a")) == version_of(Document("name: a", ()))
    True
    >>> version_of(Document("name: a")) == version_of(Document("name: b"))
    False
    """
    told = hashlib.sha256(document.definition.encode())
    if document.triggers:
        told.update(b"\0" + canonical_bytes([*document.triggers]))
    if document.triggers_text is not None:
        told.update(b"\0text" + document.triggers_text.encode())
    if document.is_operators:
        told.update(b"\0operator")
    return told.hexdigest()


def claims_of(plan: Plan) -> tuple[str, ...]:
    """Return what only one active deployment may have: names of parameters do not count."""
    claims = [f"webhook {one.path}" for one in plan.webhooks]
    if plan.endpoint is not None:
        claims.append(f"{plan.endpoint.method} {_normal(plan.endpoint.path)}")
    return tuple(map(claim_key, claims))


def _normal(path: str) -> str:
    """Return what equal routes have in common.

    >>> _normal("/users/{id}/%41%2f")
    '/users/{}/A%2F'
    """
    parts = path.split("/")
    return "/".join(
        "{}" if one.startswith("{") else quote(unquote(one), safe="") for one in parts
    )


def claim_key(claim: str) -> str:
    """Return the key of a claim's record: of a long one, its hash.

    >>> claim_key("GET /orders/{}"), claim_key("GET /" + "x" * 600)[:7]
    ('GET /orders/{}', 'sha256:')
    """
    if len(claim.encode()) <= _KEY_BYTES_MAX:
        return claim
    return "sha256:" + hashlib.sha256(claim.encode()).hexdigest()


def dump_deployed(deployed: Deployed) -> bytes:
    """Return the bytes that a record keeps."""
    return orjson.dumps({"v": FORMAT, **asdict(deployed)})


def length_of(version: Version) -> int:
    """Return how many bytes of a deployment's record a version takes.

    >>> length_of(Version("0" * 64, 1, 0, "local"))
    144
    """
    return len(orjson.dumps(asdict(version))) + 1


def load_deployed(key: str, data: bytes) -> Deployed:
    """Return the deployment that `data` holds.

    Raises:
        DeploymentUnreadable: It holds none.
    """
    told = _fields(key, data)
    try:
        versions = tuple(_version(one) for one in told.pop("versions"))
        switches = tuple(Switch(**one) for one in told.pop("switches"))
        trail, claims = without_repeats(told.pop("trail")), tuple(told.pop("claims"))
        return Deployed(
            **told, versions=versions, switches=switches, trail=trail, claims=claims
        )
    except (KeyError, TypeError) as error:
        raise DeploymentUnreadable(key) from error


def _version(told: dict[str, Any]) -> Version:
    return Version(**{**told, "webhooks": tuple(told.get("webhooks", ()))})


def dump_document(document: Document) -> bytes:
    """Return the bytes that a record keeps."""
    return orjson.dumps({"v": FORMAT, **asdict(document)})


def load_document(key: str, data: bytes) -> Document:
    """Return the document that `data` holds.

    Raises:
        DeploymentUnreadable: It holds none.
    """
    told = _fields(key, data)
    try:
        is_operators = told.get("is_operators") is True
        triggers, written = tuple(told["triggers"]), told.get("triggers_text")
        return Document(told["definition"], triggers, is_operators, written)
    except (KeyError, TypeError) as error:
        raise DeploymentUnreadable(key) from error


def dump_claim(name: str) -> bytes:
    """Return the bytes that a record keeps."""
    return orjson.dumps({"v": FORMAT, "name": name})


def load_claim(key: str, data: bytes) -> str:
    """Return the name of the deployment that has the claim.

    Raises:
        DeploymentUnreadable: `data` is none.
    """
    name = _fields(key, data).get("name")
    if not isinstance(name, str):
        raise DeploymentUnreadable(key)
    return name


def _fields(key: str, data: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(data)
        written = told.pop("v")
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise DeploymentUnreadable(key) from error
    if written != FORMAT:
        is_newer = isinstance(written, int) and written > FORMAT
        raise DeploymentUnreadable(key, is_newer=is_newer)
    fields: dict[str, Any] = told
    return fields

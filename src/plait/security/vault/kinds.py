"""Kinds: what a credential of each type holds.

Values are text. None is ever told; those that are `secret` are masked in replies too.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from plait.model.record import record
from plait.ports.credentials import CredentialInvalid

_VALUE_BYTES_MAX: Final = 65_536
# Header fields and what is put into them end a line for nobody (CR, LF, NUL).
_LINE: Final = re.compile(r"[^\r\n\0]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)


@record
class Kind:
    """One type of credential.

    Attributes:
        needs: Fields that must be there.
        takes: Fields that may be there.
        choices: Of fields, by their name: what they can be; the first is the default.
        texts: Fields of several lines.
        secret: Fields that nobody may see, nor give as an argument of a command.
    """

    needs: tuple[str, ...]
    secret: tuple[str, ...]
    takes: tuple[str, ...] = ()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    texts: tuple[str, ...] = ()


KINDS: Final[Mapping[str, Kind]] = {
    "basic": Kind(("username", "password"), ("password",)),
    "bearer": Kind(("token",), ("token",)),
    "api_key": Kind(
        ("name", "value"),
        ("value",),
        ("in", "prefix"),
        choices={"in": ("header", "query")},
    ),
    "oauth2": Kind(
        ("token_url", "client_id", "client_secret"),
        ("client_secret",),
        ("scope", "audience", "client"),
        choices={"client": ("header", "body")},
    ),
    "mtls": Kind(
        ("certificate", "key"),
        ("key",),
        ("authority",),
        texts=("certificate", "key", "authority"),
    ),
    "database": Kind(("username", "password"), ("password",), ("database",)),
    "smtp": Kind(
        ("username", "password"),
        ("password",),
        ("security",),
        choices={"security": ("starttls", "tls")},
    ),
}
SECRET_FIELDS: Final = frozenset(name for kind in KINDS.values() for name in kind.secret)


def checked(type_: object, given: object) -> dict[str, str]:
    """Return the fields of a credential, with the defaults.

    Raises:
        CredentialInvalid: They are not those of the type. No value is told.

    >>> checked("api_key", {"name": "X-Key", "value": "v"})["in"]
    'header'
    """
    kind = KINDS.get(type_) if isinstance(type_, str) else None
    if kind is None:
        raise CredentialInvalid(f"`type` is one of {', '.join(KINDS)}")
    if not isinstance(given, Mapping):
        raise CredentialInvalid("`fields` is an object")
    known = {*kind.needs, *kind.takes}
    for name in given:
        if name not in known:
            listed = ", ".join(sorted(known))
            raise CredentialInvalid(f"'{str(name)[:40]}' is no field of {type_}: {listed}")
    fields = {name: given[name] for name in known if name in given}
    for name in kind.needs:
        if name not in fields:
            raise CredentialInvalid(f"{type_} needs the field '{name}'")
    for name, value in fields.items():
        _check_value(kind, name, value)
    for name, choices in kind.choices.items():
        fields.setdefault(name, choices[0])
        if fields[name] not in choices:
            raise CredentialInvalid(f"'{name}' is one of {', '.join(choices)}")
    if type_ == "api_key" and not _TOKEN.fullmatch(fields["name"]):
        raise CredentialInvalid("'name' is the name of a header or of a query parameter")
    if type_ == "oauth2" and not fields["token_url"].lower().startswith(
        ("https://", "http://")
    ):
        raise CredentialInvalid("'token_url' is an absolute URL, http or https")
    if type_ == "mtls":
        module = importlib.import_module("plait.security.vault.certificates")
        module.check_certificate(fields)
    return fields


def _check_value(kind: Kind, name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise CredentialInvalid(f"'{name}' is a text that is not empty")
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        raise CredentialInvalid(f"'{name}' is not UTF-8") from None
    if length > _VALUE_BYTES_MAX:
        raise CredentialInvalid(f"'{name}' has more than {_VALUE_BYTES_MAX} bytes")
    if name not in kind.texts and not _LINE.fullmatch(value):
        raise CredentialInvalid(f"'{name}' is one line")

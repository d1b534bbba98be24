"""Tokens and passwords, put together from settings.

What this imports (jwt, cryptography, argon2) takes a third of a second: it is loaded with
the first token or login, in a thread (plait.assembly.security).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWTError
from jwt.algorithms import get_default_algorithms

from plait.assembly.settings import IssuerKey, IssuerSection
from plait.assembly.sources import Configured, SettingsInvalid
from plait.drivers.clock import now_ms
from plait.model.record import record
from plait.ports.records import Records
from plait.security.audit import AuditLog
from plait.security.claims import ClaimRules
from plait.security.desk import TokenDesk
from plait.security.jwks import FixedKeys, PublishedKeys
from plait.security.keys import ApiKeys
from plait.security.passwords import Passwords
from plait.security.refresh import RefreshTokens
from plait.security.signing import OwnTokens
from plait.security.tokens import Issuer, KeySource, TokenVerifier, VerifyKey
from plait.security.users import Users

Fetch = Callable[[str], Awaitable[bytes]]


@record
class Tokens:
    """What verifies tokens, and what gives them out."""

    verifier: TokenVerifier
    desk: TokenDesk


def tokens(configured: Configured, records: Records, keys: ApiKeys, fetch: Fetch) -> Tokens:
    """Return what verifies tokens and gives them out.

    Args:
        fetch: Returns the bytes at a URL that stands in the settings.

    Raises:
        SettingsInvalid: A key of an issuer is none.
    """
    own = configured.settings.security
    signing = OwnTokens(records, now_ms, own.token_ttl)
    user_records = users(records)
    refresh = RefreshTokens(records, user_records, now_ms, own.session_ttl)
    audit = AuditLog(records, now_ms)
    desk = TokenDesk(keys, user_records, signing, refresh, time.monotonic, audit)
    issuers = [signing.issuer(), *_issuers(configured, fetch)]
    return Tokens(TokenVerifier(issuers, time.time), desk)


def users(records: Records) -> Users:
    """Return the users of a store."""
    return Users(records, Passwords(), now_ms)


def _issuers(configured: Configured, fetch: Fetch) -> Iterator[Issuer]:
    for name, told in configured.settings.security.issuers.items():
        keys: KeySource
        if told.jwks is not None:
            keys = PublishedKeys(told.jwks, fetch, told.algorithms, time.monotonic)
        else:
            found = {
                kid: VerifyKey(key.algorithm, _key(name, kid, key, configured))
                for kid, key in told.keys.items()
            }
            keys = FixedKeys(found)
        rules = _rules(name, told)
        yield Issuer(told.issuer, told.audience, keys, rules, told.leeway / 1000)


def _rules(name: str, told: IssuerSection) -> ClaimRules:
    return ClaimRules(
        subject_prefix=f"jwt:{name}/",
        tenant_claim=told.tenant_claim,
        tenant=told.tenant,
        role_claim=told.role_claim,
        roles=told.roles,
        role=told.role,
        grants_claim=told.grants_claim,
    )


def _key(issuer: str, kid: str, told: IssuerKey, configured: Configured) -> Any:
    """Return what signatures are checked with: bytes, or a public key."""
    place = f"security.issuers.{issuer}.keys.{kid}"
    if told.secret is not None:
        secret = configured.secrets.get(told.secret)
        if secret is None:
            raise SettingsInvalid([f"{place}: there is no secret '{told.secret}'"])
        given: Any = secret.encode()
    else:
        try:
            given = load_pem_public_key((told.public or "").encode())
        except (ValueError, TypeError):
            raise SettingsInvalid([f"{place}: `public` is no public key in PEM"]) from None
    algorithm = get_default_algorithms()[told.algorithm]
    try:
        key = algorithm.prepare_key(given)
    except (PyJWTError, ValueError, TypeError):
        raise SettingsInvalid([f"{place}: this is no key for {told.algorithm}"]) from None
    if algorithm.check_key_length(key):
        raise SettingsInvalid([f"{place}: the key is too short for {told.algorithm}"])
    return key

"""Certificates: whether a TLS connection can be made with what a credential holds.

Rule. Nothing of what is wrong is told but its name: a key stands in texts of errors else.

This imports much of `cryptography`: it is loaded with the first client certificate.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from plait.ports.credentials import CredentialInvalid

_Public: TypeAlias = serialization.PublicFormat
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)


def check_certificate(fields: Mapping[str, str]) -> None:
    """Return when a client can show who it is with these.

    Args:
        fields: `certificate`, `key` and perhaps `authority`, in PEM.

    Raises:
        CredentialInvalid: It cannot.
    """
    certificate = _certificate(fields["certificate"])
    key = _key(fields["key"])
    if _public(certificate.public_key()) != _public(key.public_key()):
        raise CredentialInvalid(
            "'key' does not belong to 'certificate'; of several, the first is the client's"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _show(context, fields["certificate"], key)
    if "authority" in fields:
        _trust(context, fields["authority"])


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem.encode())[0]
    except _UNREADABLE:
        raise CredentialInvalid("'certificate' is no certificate in PEM") from None


def _key(pem: str) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(pem.encode(), None)
    except TypeError:
        text = "'key' is encrypted: take its password off, the vault encrypts it"
    except _UNREADABLE:
        text = "'key' is no private key in PEM"
    raise CredentialInvalid(text)


def _public(key: object) -> bytes:
    found: bytes = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, _Public.SubjectPublicKeyInfo
    )
    return found


def _show(context: ssl.SSLContext, certificate: str, key: PrivateKeyTypes) -> None:
    """Let OpenSSL judge, which reads files only: the key's is encrypted, and soon gone."""
    password = os.urandom(32).hex().encode()
    secret = serialization.BestAvailableEncryption(password)
    with tempfile.TemporaryDirectory(prefix="plait-") as folder:
        file = Path(folder) / "client.pem"
        try:
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret
            )
            file.write_bytes(pem + b"\n" + certificate.encode())
            context.load_cert_chain(file, password=password)
        except ssl.SSLError as error:
            # A phrase of OpenSSL's own, such as "ee key too small".
            reason = (error.reason or "").replace("_", " ").lower()
            text = f"no TLS connection can be made with 'certificate' and 'key': {reason}"
            raise CredentialInvalid(text) from None
        except _UNREADABLE:
            text = "no TLS connection can be made with a 'key' of this kind"
            raise CredentialInvalid(text) from None


def _trust(context: ssl.SSLContext, authority: str) -> None:
    try:
        context.load_verify_locations(cadata=authority)
    except (OSError, *_UNREADABLE):
        raise CredentialInvalid("'authority' is no certificate in PEM") from None

"""Client certificates of the vault: what no TLS connection can be made with is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from plait.model.caller import Caller
from plait.ports.credentials import CredentialInvalid
from plait.security.vault import KeyRing, StoredVault
from plait.stores.memory.records import MemoryRecords

ADMIN = Caller("ann", "default", "admin")
CA = trustme.CA()


def pem_of(issued: trustme.LeafCert) -> dict[str, str]:
    chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
    key = issued.private_key_pem.bytes()
    return {"certificate": chain.decode(), "key": key.decode()}


ANN, BOB = (pem_of(CA.issue_cert(f"{name}@example.com")) for name in ("ann", "bob"))
AUTHORITY = CA.cert_pem.bytes().decode()


def key_pem(key: rsa.RSAPrivateKey | x25519.X25519PrivateKey) -> str:
    made = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.decode()


def encrypted(pem: str) -> str:
    key = load_pem_private_key(pem.encode(), None)
    secret = BestAvailableEncryption(b"password")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret).decode()


async def add(**fields: str) -> None:
    own = StoredVault(MemoryRecords(), KeyRing({"k": b"k" * 32}), lambda: 1_000)
    wanted = {"name": "shop", "type": "mtls", "hosts": ["h.example"], "fields": fields}
    await own.add(ADMIN, wanted)
    await own.replace(ADMIN, "shop", {**wanted, "fields": fields})


async def refusal(**fields: str) -> str:
    with pytest.raises(CredentialInvalid) as told:
        await add(**fields)
    text = str(told.value)
    for value in fields.values():
        for line in value.split("\n"):
            assert len(line) < 8 or line not in text
    assert "BEGIN" not in text
    return text


@pytest.mark.parametrize(
    "more",
    [{}, {"authority": AUTHORITY}, {"key": "\n" + ANN["key"].replace("\n", "\r\n")}],
)
async def test_a_pair_is_kept(more: dict[str, str]) -> None:
    await add(**{**ANN, **more})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"certificate": "x", "key": "x"}, "'certificate' is no certificate in PEM"),
        ({"certificate": "no certificate \u20ac"}, "'certificate' is no certificate"),
        ({"certificate": ANN["key"]}, "'certificate' is no certificate"),
        ({"certificate": ANN["certificate"][:-60]}, "'certificate' is no certificate"),
        ({"key": "secret-secret-secret"}, "'key' is no private key in PEM"),
        ({"key": ANN["certificate"]}, "'key' is no private key in PEM"),
        ({"key": encrypted(ANN["key"])}, "'key' is encrypted"),
        ({"key": BOB["key"]}, "'key' does not belong to 'certificate'"),
        ({"key": key_pem(x25519.X25519PrivateKey.generate())}, "'key' does not belong"),
        ({"certificate": AUTHORITY + ANN["certificate"]}, "'key' does not belong"),
        ({"authority": "nobody-nobody"}, "'authority' is no certificate in PEM"),
        ({"authority": "\u20ac"}, "'authority' is no certificate in PEM"),
        ({"authority": ANN["key"]}, "'authority' is no certificate in PEM"),
    ],
)
async def test_what_is_no_pair_is_refused_and_not_quoted(
    wrong: dict[str, str], said: str
) -> None:
    assert said in await refusal(**{**ANN, **wrong})


async def test_a_pair_that_tls_takes_for_too_weak_is_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    text = await refusal(certificate=certificate_of(weak), key=key_pem(weak))
    assert "key too small" in text


def certificate_of(key: rsa.RSAPrivateKey) -> str:
    """Return a certificate of a key, signed by itself."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1)
    made = made.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
    made = made.not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


async def test_nothing_of_it_stays_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    await add(**ANN)
    await refusal(**{**ANN, "key": BOB["key"]})
    assert [*tmp_path.iterdir()] == []

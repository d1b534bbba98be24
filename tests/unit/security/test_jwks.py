"""Published keys: which of them count, and how often they are fetched."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from plait.security.jwks import PublishedKeys, keys_of
from plait.security.tokens import ALGORITHMS

RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
WEAK = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def published(kid: str, key: Any, **more: Any) -> dict[str, Any]:
    made: Any = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    kind = next(one for base, one in made.items() if isinstance(key, base))
    told = json.loads(kind.to_jwk(key.public_key()))
    told.pop("key_ops", None)
    return {**told, "kid": kid, **more}


def key_set(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


def algorithms_of(data: bytes, allowed: tuple[str, ...] = ALGORITHMS) -> dict[str, str]:
    return {kid: key.algorithm for kid, key in keys_of(data, allowed).items()}


def test_each_key_is_for_one_algorithm() -> None:
    data = key_set(
        published("a", RSA),
        published("b", RSA, alg="RS512", use="sig"),
        published("c", EC),
        published("d", ED),
    )
    expected = {"a": "RS256", "b": "RS512", "c": "ES256", "d": "EdDSA"}
    assert algorithms_of(data) == expected


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": "HS256"},
        published("a", RSA, alg="HS256"),
        published("a", RSA, alg="none"),
        published("a", RSA, alg=["RS256"]),
        published("a", RSA, use="enc"),
        published("a", RSA, d="AQAB"),
        published("a", WEAK),
        published("a", EC, crv="P-384"),
        published("a", EC, crv=["P-256"]),
        {"kty": "RSA", "kid": "a", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "kid": "a"},
        {"kty": ["RSA"]},
        "key",
    ],
)
def test_what_is_no_good_key_is_left_out(key: Any) -> None:
    assert algorithms_of(key_set(key, published("z", EC))) == {"z": "ES256"}


def test_an_algorithm_that_the_operator_did_not_name_is_not_used() -> None:
    data = key_set(published("a", RSA), published("b", EC, alg="ES256"))
    assert algorithms_of(data, ("ES256",)) == {"b": "ES256"}
    assert algorithms_of(data, ("RS384", "RS256")) == {"a": "RS384"}


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys": 1}', b"\xff"])
def test_what_is_no_key_set_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="this is n"):
        keys_of(data, ALGORITHMS)


class Site:
    """Publishes keys; counts who asks."""

    def __init__(self, *keys: Any) -> None:
        self.keys = keys
        self.asked = 0
        self.now_s = 0.0
        self.is_down = False

    async def fetch(self, url: str) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise OSError("nobody answers")
        return key_set(*self.keys)

    def source(self) -> PublishedKeys:
        return PublishedKeys("http://keys", self.fetch, ALGORITHMS, lambda: self.now_s)


async def test_keys_are_fetched_once_for_all_who_wait_for_them() -> None:
    site = Site(published("a", EC))
    source = site.source()
    found = await asyncio.gather(*(source.find("a") for _ in range(50)))
    assert all(found)
    assert site.asked == 1


async def test_made_up_key_names_do_not_make_the_gateway_ask_again_and_again() -> None:
    site = Site(published("a", EC))
    source = site.source()
    for number in range(100):
        assert await source.find(f"made up {number}") is None
    assert site.asked == 1
    site.now_s = 29.9
    await source.find("made up")
    assert site.asked == 1


async def test_a_key_that_is_new_is_found_within_half_a_minute() -> None:
    site = Site(published("a", EC))
    source = site.source()
    await source.find("a")
    site.keys = (published("b", ED),)
    assert await source.find("b") is None
    site.now_s = 30.0
    assert await source.find("b") is not None
    assert await source.find("a") is None


async def test_keys_are_fetched_again_when_they_are_old() -> None:
    site = Site(published("a", EC))
    source = site.source()
    await source.find("a")
    site.keys = ()
    site.now_s = 599.0
    assert await source.find("a") is not None
    site.now_s = 600.0
    assert await source.find("a") is None


async def test_while_the_issuer_is_down_the_last_keys_go_on_counting() -> None:
    site = Site(published("a", EC))
    source = site.source()
    await source.find("a")
    site.is_down, site.now_s = True, 10_000.0
    assert await source.find("a") is not None
    assert await source.find("a") is not None
    assert site.asked == 2

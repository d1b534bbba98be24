"""Tokens: whose they are, and every way in which one is forged."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.model.caller import Caller
from plait.ports.identity import Unauthenticated
from plait.security.claims import TOKEN_LENGTH_MAX, ClaimRules
from plait.security.jwks import FixedKeys
from plait.security.tokens import Issuer, TokenVerifier, VerifyKey

NOW_S = 1_800_000_000.0
ISSUER = "https://login.example.com/"
SECRET = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
STRANGER = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)

KEYS = {
    "hs": VerifyKey("HS512", SECRET),
    "rs": VerifyKey("RS256", RSA.public_key()),
    "es": VerifyKey("ES256", EC.public_key()),
    "ed": VerifyKey("EdDSA", ED.public_key()),
}
SIGN: dict[str, tuple[str, Any]] = {
    "hs": ("HS512", SECRET),
    "rs": ("RS256", RSA),
    "es": ("ES256", EC),
    "ed": ("EdDSA", ED),
}


def verifier(rules: ClaimRules | None = None) -> TokenVerifier:
    issuer = Issuer(ISSUER, "plait-api", FixedKeys(KEYS), rules or ClaimRules())
    return TokenVerifier([issuer], lambda: NOW_S)


def claims(**more: Any) -> dict[str, Any]:
    told = {
        "iss": ISSUER, "aud": "plait-api", "sub": "ann", "exp": int(NOW_S) + 60,
        "role": "viewer",
    }  # fmt: skip
    return {name: value for name, value in {**told, **more}.items() if value is not ...}


def token(kid: str = "rs", header: dict[str, Any] | None = None, told: Any = None) -> str:
    algorithm, key = SIGN[kid]
    data = json.dumps(claims() if told is None else told).encode()
    return jwt.PyJWS().encode(data, key, algorithm, {"kid": kid, **(header or {})})


def unsigned(header: dict[str, Any], told: Any, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(told).encode(), signature]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def refused(given_token: str) -> bool:
    with pytest.raises(Unauthenticated) as caught:
        await verifier().verify(given_token)
    # Nothing says why, whichever check it was.
    assert str(caught.value) == "this token does not count here"
    return True


@pytest.mark.parametrize("kid", sorted(SIGN))
async def test_a_token_of_each_kind_of_key_counts(kid: str) -> None:
    verified = await verifier().verify(token(kid))
    assert verified.caller == Caller("ann", role="viewer")
    assert verified.ends_s == NOW_S + 60


@pytest.mark.parametrize("kid", sorted(SIGN))
async def test_a_token_that_another_key_of_the_kind_signed_does_not(kid: str) -> None:
    strangers: dict[str, tuple[str, Any]] = {
        "hs": ("HS512", SECRET[::-1]),
        "rs": ("RS256", STRANGER),
        "es": ("ES256", ec.generate_private_key(ec.SECP256R1())),
        "ed": ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    }
    algorithm, key = strangers[kid]
    data = json.dumps(claims()).encode()
    assert await refused(jwt.PyJWS().encode(data, key, algorithm, {"kid": kid}))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None])
async def test_an_unsigned_token_does_not_count(name: str | None) -> None:
    assert await refused(unsigned({"alg": name, "kid": "rs"}, claims()))
    assert await refused(unsigned({"kid": "rs"}, claims()))


async def test_a_public_key_is_no_secret_to_sign_with() -> None:
    """The RSA key, as PEM and as DER, used as the secret of HS256: CVE-2022-29217."""
    public = RSA.public_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
        secret = public.public_bytes(encoding, spki)
        head = {"alg": "HS256", "kid": "rs", "typ": "JWT"}
        body = unsigned(head, claims()).rpartition(".")[0]
        mac = hmac.new(secret, body.encode(), hashlib.sha256).digest()
        assert await refused(f"{body}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}")


async def test_an_algorithm_of_the_same_family_is_another_algorithm() -> None:
    data = json.dumps(claims()).encode()
    assert await refused(jwt.PyJWS().encode(data, RSA, "RS512", {"kid": "rs"}))
    assert await refused(jwt.PyJWS().encode(data, SECRET, "HS256", {"kid": "hs"}))
    assert await refused(jwt.PyJWS().encode(data, RSA, "PS256", {"kid": "rs"}))


@pytest.mark.parametrize(
    "kid",
    ["unknown", "../../dev/null", "rs' OR '1'='1", "file:///etc/passwd", "", "x" * 300],
)
async def test_a_key_is_chosen_by_a_name_that_is_known(kid: str) -> None:
    assert await refused(token("rs", {"kid": kid}))


@pytest.mark.parametrize("kid", [1, ["rs"], {"a": 1}, True])
async def test_a_key_name_is_text(kid: Any) -> None:
    head = {"alg": "RS256", "kid": kid}
    assert await refused(unsigned(head, claims(), b"x" * 256))


async def test_a_token_without_key_name_needs_an_issuer_with_one_key() -> None:
    data = json.dumps(claims()).encode()
    nameless = jwt.PyJWS().encode(data, RSA, "RS256")
    assert await refused(nameless)
    one = Issuer(ISSUER, "plait-api", FixedKeys({"rs": KEYS["rs"]}), ClaimRules())
    assert (await TokenVerifier([one], lambda: NOW_S).verify(nameless)).caller


async def test_two_audiences_of_one_issuer_count_each_with_its_rules() -> None:
    issuers = [
        Issuer(ISSUER, name, FixedKeys(KEYS), ClaimRules(f"jwt:{name}/"))
        for name in ("shop", "back")
    ]
    both = TokenVerifier(issuers, lambda: NOW_S)
    for audience, subject in (("shop", "jwt:shop/ann"), ("back", "jwt:back/ann")):
        shown = token(told=claims(aud=audience))
        assert (await both.verify(shown)).caller.subject == subject
    with pytest.raises(Unauthenticated):
        await both.verify(token(told=claims(aud="other")))


async def test_a_key_that_the_token_brings_is_not_used() -> None:
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(STRANGER.public_key()))
    data = json.dumps(claims()).encode()
    for brought in ({"jwk": jwk}, {"jku": "http://evil"}, {"x5u": "http://evil"}):
        head = {"kid": "rs", **brought}
        assert await refused(jwt.PyJWS().encode(data, STRANGER, "RS256", head))
        assert (await verifier().verify(token("rs", brought))).caller.subject == "ann"


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "exp", None])
async def test_a_token_with_extensions_does_not_count(crit: Any) -> None:
    head = {"alg": "RS256", "kid": "rs", "crit": crit}
    body = unsigned(head, claims()).rpartition(".")[0].encode()
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(
        body, RSA
    )
    signed = f"{body.decode()}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert await refused(signed)


@pytest.mark.parametrize(
    "told",
    [
        {"iss": "https://login.example.com"},
        {"iss": ISSUER + "x"},
        {"iss": ISSUER.upper()},
        {"iss": [ISSUER]},
        {"iss": ...},
        {"aud": "plait-api2"},
        {"aud": "plait"},
        {"aud": ["other"]},
        {"aud": {"plait-api": 1}},
        {"aud": ...},
        {"exp": int(NOW_S) - 30},
        {"exp": ...},
        {"exp": None},
        {"exp": "4102444800"},
        {"exp": True},
        {"nbf": int(NOW_S) + 31},
        {"exp": 1e308},
        {"exp": 253_402_300_800},  # the year 10000
        {"exp": 10**400},
        {"nbf": "0"},
        {"nbf": -1e308},
        {"iat": float("nan")},
        {"iat": -(2**63)},
        {"iat": int(NOW_S) + 31},
        {"sub": ...},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 201},
    ],
)
async def test_a_token_whose_claims_do_not_fit_does_not_count(told: dict[str, Any]) -> None:
    assert await refused(token(told=claims(**told)))


async def test_clocks_may_be_half_a_minute_apart() -> None:
    late = claims(exp=int(NOW_S) - 29, nbf=int(NOW_S) + 29, iat=int(NOW_S) + 29)
    assert (await verifier().verify(token(told=late))).caller.subject == "ann"


async def test_a_token_may_count_until_the_last_second_of_the_year_9999() -> None:
    told = claims(exp=253_402_300_799, nbf=0, iat=0.5)
    verified = await verifier().verify(token(told=told))
    assert verified.ends_s == 253_402_300_799


async def test_one_of_several_audiences_may_be_ours() -> None:
    told = claims(aud=["other", "plait-api"])
    assert (await verifier().verify(token(told=told))).caller.subject == "ann"


async def test_an_id_token_is_no_access_token_by_its_type() -> None:
    assert await refused(token("rs", {"typ": "secevent+jwt"}))
    assert await refused(token("rs", {"typ": 1}))
    assert (await verifier().verify(token("rs", {"typ": "at+JWT"}))).caller


@pytest.mark.parametrize("told", [[], "text", 1, None, {"exp": float("nan")}])
async def test_what_is_signed_must_be_claims(told: Any) -> None:
    data = json.dumps(told).encode()
    assert await refused(jwt.PyJWS().encode(data, RSA, "RS256", {"kid": "rs"}))


async def test_a_huge_token_is_refused_before_anything_is_read() -> None:
    assert await refused(token(told=claims(more="x" * TOKEN_LENGTH_MAX)))
    assert await refused("." * 100_000)


@pytest.mark.parametrize("change", ["{}x", "x{}", "{}=", "{}.x", " {}", "{}\n"])
async def test_a_token_is_refused_with_any_character_too_many(change: str) -> None:
    assert await refused(change.format(token()))


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
async def test_no_text_breaks_the_verifier(text: str) -> None:
    with pytest.raises(Unauthenticated):
        await verifier().verify(text)


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=80))
@settings(max_examples=200, deadline=None)
async def test_no_bytes_break_the_verifier(head: bytes, body: bytes, end: bytes) -> None:
    parts = (urlsafe_b64encode(part).rstrip(b"=").decode() for part in (head, body, end))
    with pytest.raises(Unauthenticated):
        await verifier().verify(".".join(parts))


async def caller_of(rules: ClaimRules, **told: Any) -> Caller:
    return (await verifier(rules).verify(token(told=claims(**told)))).caller


async def test_the_tenant_comes_from_the_claim_that_the_settings_name() -> None:
    rules = ClaimRules(tenant_claim="org")
    assert (await caller_of(rules, org="acme")).tenant == "acme"
    for wrong in (..., None, "", "*", ["acme"], "a/b"):
        with pytest.raises(Unauthenticated):
            await caller_of(rules, org=wrong)
    assert (await caller_of(ClaimRules(), tenant="acme")).tenant == "default"


async def test_of_several_words_the_strongest_role_counts() -> None:
    rules = ClaimRules(role_claim="groups", roles={"staff": "viewer", "ops": "operator"})
    assert (await caller_of(rules, groups=["x", "ops", "staff"])).role == "operator"
    assert (await caller_of(rules, groups="staff")).role == "viewer"
    for nothing in ("admin", ["editor"], {"ops": 1}, 1, ...):
        assert (await caller_of(rules, groups=nothing)).role is None


async def test_no_issuer_names_people_of_another() -> None:
    rules = ClaimRules(subject_prefix="jwt:login/")
    assert (await caller_of(rules, sub="key:1")).subject == "jwt:login/key:1"


async def test_grants_are_read_from_their_claim_alone() -> None:
    told = {"orders": "editor", "stock": "owner"}
    rules = ClaimRules(grants_claim="plait")
    assert (await caller_of(rules, plait=told)).grants == {"orders": "editor"}
    assert (await caller_of(ClaimRules(), plait=told)).grants == {}
    assert (await caller_of(rules, plait=["orders"])).grants == {}


async def test_a_role_or_grant_that_is_no_text_means_nothing() -> None:
    rules = ClaimRules(grants_claim="plait")
    assert (await caller_of(rules, role=["admin", {"a": 1}, [1]])).role == "admin"
    assert (await caller_of(rules, plait={"a": ["admin"], "b": {}})).grants == {}

"""The policy: what is refused by default, and what the operator can open."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.connectors.egress import EgressPolicy, InvalidRequest, read_host
from plait.connectors.egress.addresses import why_forbidden

PUBLIC = """
    1.1.1.1 8.8.8.8 93.184.216.34 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0
    126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
    192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
    2606:2800:220:1::1 2a00:1450:4001::1 2001:4860:4860::8888 3ffe::1
    ::ffff:8.8.8.8 64:ff9b::808:808
""".split()


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_open(address: str) -> None:
    assert why_forbidden(address) is None


@given(st.ip_addresses(v=4))
def test_ipv4_is_judged_at_least_as_strictly_as_python_does(
    address: ipaddress.IPv4Address,
) -> None:
    if not address.is_global or address.is_multicast:
        assert why_forbidden(str(address)) is not None


@given(st.ip_addresses(v=6))
def test_ipv6_is_judged_at_least_as_strictly_as_python_does(
    address: ipaddress.IPv6Address,
) -> None:
    if not address.is_global:
        assert why_forbidden(str(address)) is not None


@given(st.ip_addresses(v=4))
def test_a_carried_ipv4_address_is_judged_like_itself(
    address: ipaddress.IPv4Address,
) -> None:
    for carrier in ("::ffff:", "64:ff9b::"):
        assert why_forbidden(f"{carrier}{address}") == why_forbidden(str(address))


def test_a_scope_changes_nothing() -> None:
    assert why_forbidden("fe80::1%eth0") == "a link-local address"


def test_an_allowed_range_opens_only_itself() -> None:
    policy = EgressPolicy(allow=["10.1.0.0/16", "fd12::/16", "127.0.0.1"])
    assert policy.why_refused("10.1.255.255") is None
    assert policy.why_refused("fd12::1") is None
    assert policy.why_refused("127.0.0.1") is None
    assert policy.why_refused("10.2.0.0") == "a private address"
    assert policy.why_refused("fd13::1") == "a private address"
    assert policy.why_refused("127.0.0.2") == "a loopback address"
    assert policy.why_refused("::ffff:10.1.0.1") == "a private address"


def test_a_metadata_service_has_to_be_named() -> None:
    assert EgressPolicy(allow_private=True).why_refused("10.0.0.1") is None
    assert EgressPolicy(allow_private=True).why_refused("169.254.169.254") is not None
    named = EgressPolicy(allow=["169.254.169.254"])
    assert named.why_refused("169.254.169.254") is None


def test_a_suffix_opens_what_is_below_it_and_nothing_that_looks_alike() -> None:
    policy = EgressPolicy(allow=["*.corp.example", "Billing."])
    for host in ("a.corp.example", "a.b.corp.example", "billing", "BILLING."):
        assert policy.allows_host(read_host(host))
    for host in ("corp.example", "evilcorp.example", "corp.example.evil", "abilling"):
        assert not policy.allows_host(read_host(host))


@pytest.mark.parametrize(
    "entry", ["", "*", "a b", "10.0.0.0/33", "http://h", "*.*.h", "a/b"]
)
def test_a_malformed_entry_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="egress allow list"):
        EgressPolicy(allow=[entry])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Users", "users"),
        ("user_service", "user_service"),
        ("api.example.com.", "api.example.com"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("MÜNCHEN.example", "xn--mnchen-3ya.example"),
        ("93.184.216.34", "93.184.216.34"),
        ("[2001:DB8::0:1]", "2001:db8::1"),
        ("1password.example", "1password.example"),
        ("a" * 63, "a" * 63),
    ],
)
def test_a_host_has_one_spelling(text: str, name: str) -> None:
    host = read_host(text)
    assert (host.name, host.is_odd) == (name, False)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "a..b", ".a", "a b", "a/b", "a%41", "a:b", "a@b", "::1"),
        *("[]", "[::1", "[::1%1]", "[1.2.3.4]", "\ud800", "a\u3002\u3002b"),
        *("a" * 64, "a." * 127 + "abc"),
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_host(text)

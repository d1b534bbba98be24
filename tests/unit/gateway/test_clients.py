"""Whose request it is, behind proxies and not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.gateway.access import client_of
from plait.gateway.clients import FORWARDED, Proxies, counted_as
from plait.gateway.message import Request

PROXIES = Proxies(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])
CLIENT = "203.0.113.9"


FORWARDING = Proxies(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"], FORWARDED)


@pytest.mark.parametrize(
    ("peer", "said", "expected"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", CLIENT, CLIENT),
        ("10.0.0.1", f"{CLIENT}, 10.0.0.2,192.0.2.7", CLIENT),
        # What the client wrote itself stands left of what the proxy saw.
        ("10.0.0.1", f"127.0.0.1, {CLIENT}", CLIENT),
        ("10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", f"{CLIENT}, nonsense", "10.0.0.1"),
        ("10.0.0.1", f"{CLIENT}:4711", CLIENT),
        ("2001:db8::1", "[2001:db9::5]:80", "2001:db9::5"),
        ("::ffff:10.0.0.1", CLIENT, CLIENT),
        # Nobody else may say it.
        ("198.51.100.1", CLIENT, "198.51.100.1"),
        ("", CLIENT, ""),
    ],
)
def test_only_listed_proxies_say_whose_request_it_is(
    peer: str, said: str | None, expected: str
) -> None:
    assert PROXIES.client(peer, said) == expected


@pytest.mark.parametrize(
    ("peer", "said", "expected"),
    [
        ("10.0.0.1", f"for={CLIENT};proto=https", CLIENT),
        ("10.0.0.1", f'for="{CLIENT}:80", for=10.0.0.2', CLIENT),
        ("10.0.0.1", 'by=10.0.0.9; For="[2001:db9::5]:1"', "2001:db9::5"),
        ("10.0.0.1", "for=_hidden", "10.0.0.1"),
        ("10.0.0.1", "proto=https", "10.0.0.1"),
        ("198.51.100.1", f"for={CLIENT}", "198.51.100.1"),
    ],
)
def test_or_they_say_it_as_rfc_7239_does(peer: str, said: str, expected: str) -> None:
    assert FORWARDING.client(peer, said) == expected


@pytest.mark.parametrize("proxies", [PROXIES, FORWARDING])
def test_a_header_that_the_proxies_do_not_write_is_the_clients_own_invention(
    proxies: Proxies,
) -> None:
    headers = {b"x-forwarded-for": CLIENT.encode(), b"forwarded": f"for={CLIENT}".encode()}
    other = {b"x-forwarded-for": b"198.18.0.1", b"forwarded": b"for=198.18.0.1"}
    told = other | {proxies.header: headers[proxies.header]}
    request = Request("GET", "/", "", told, peer="10.0.0.1")
    assert client_of(proxies, request) == CLIENT
    del told[proxies.header]
    assert client_of(proxies, request) == "10.0.0.1"


def test_without_listed_proxies_headers_count_for_nothing() -> None:
    assert Proxies().client("127.0.0.1", CLIENT) == "127.0.0.1"


@given(st.text())
def test_no_header_breaks_it(said: str) -> None:
    for proxies in (PROXIES, FORWARDING):
        assert isinstance(proxies.client("10.0.0.1", said), str)


def test_a_long_header_is_not_followed_to_its_end() -> None:
    hops = ", ".join([CLIENT, *["10.0.0.2"] * 10_000])
    assert PROXIES.client("10.0.0.1", hops) == "10.0.0.2"


@pytest.mark.parametrize("network", ["10.0.0.1/8", "proxy", "", "300.0.0.1"])
def test_a_network_that_is_none_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Proxies([network])


def test_all_addresses_of_a_household_are_counted_together() -> None:
    first, second = "2001:db8:1:2::1", "2001:db8:1:2:ffff::9"
    assert counted_as(first) == counted_as(second) != counted_as("2001:db8:1:3::1")
    assert counted_as("::ffff:10.0.0.1") == counted_as("10.0.0.1") == "10.0.0.1"

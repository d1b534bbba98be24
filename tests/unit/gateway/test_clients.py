"""Whose request it is, behind proxies and not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.gateway.clients import Proxies, counted_as

PROXIES = Proxies(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])
CLIENT = "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "x_forwarded_for", "forwarded", "expected"),
    [
        ("10.0.0.1", None, None, "10.0.0.1"),
        ("10.0.0.1", CLIENT, None, CLIENT),
        ("10.0.0.1", f"{CLIENT}, 10.0.0.2,192.0.2.7", None, CLIENT),
        # What the client wrote itself stands left of what the proxy saw.
        ("10.0.0.1", f"127.0.0.1, {CLIENT}", None, CLIENT),
        ("10.0.0.1", "10.1.1.1, 10.2.2.2", None, "10.1.1.1"),
        ("10.0.0.1", "unknown", None, "10.0.0.1"),
        ("10.0.0.1", "", None, "10.0.0.1"),
        ("10.0.0.1", f"{CLIENT}, nonsense", None, "10.0.0.1"),
        ("10.0.0.1", f"{CLIENT}:4711", None, CLIENT),
        ("2001:db8::1", "[2001:db9::5]:80", None, "2001:db9::5"),
        ("::ffff:10.0.0.1", CLIENT, None, CLIENT),
        ("10.0.0.1", None, f"for={CLIENT};proto=https", CLIENT),
        ("10.0.0.1", None, f'for="{CLIENT}:80", for=10.0.0.2', CLIENT),
        ("10.0.0.1", None, 'by=10.0.0.9; For="[2001:db9::5]:1"', "2001:db9::5"),
        ("10.0.0.1", "127.0.0.1", f"for={CLIENT}", CLIENT),
        ("10.0.0.1", None, "for=_hidden", "10.0.0.1"),
        ("10.0.0.1", None, "proto=https", "10.0.0.1"),
        # Nobody else may say it.
        ("198.51.100.1", CLIENT, f"for={CLIENT}", "198.51.100.1"),
        ("", CLIENT, None, ""),
    ],
)
def test_only_listed_proxies_say_whose_request_it_is(
    peer: str, x_forwarded_for: str | None, forwarded: str | None, expected: str
) -> None:
    assert PROXIES.client(peer, x_forwarded_for, forwarded) == expected


def test_without_listed_proxies_headers_count_for_nothing() -> None:
    assert Proxies().client("127.0.0.1", CLIENT, f"for={CLIENT}") == "127.0.0.1"


@given(st.text(), st.text())
def test_no_header_breaks_it(x_forwarded_for: str, forwarded: str) -> None:
    for told in ((x_forwarded_for, forwarded), (x_forwarded_for, None)):
        assert isinstance(PROXIES.client("10.0.0.1", *told), str)


def test_a_long_header_is_not_followed_to_its_end() -> None:
    hops = ", ".join([CLIENT, *["10.0.0.2"] * 10_000])
    assert PROXIES.client("10.0.0.1", hops, None) == "10.0.0.2"


@pytest.mark.parametrize("network", ["10.0.0.1/8", "proxy", "", "300.0.0.1"])
def test_a_network_that_is_none_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Proxies([network])


def test_all_addresses_of_a_household_are_counted_together() -> None:
    first, second = "2001:db8:1:2::1", "2001:db8:1:2:ffff::9"
    assert counted_as(first) == counted_as(second) != counted_as("2001:db8:1:3::1")
    assert counted_as("::ffff:10.0.0.1") == counted_as("10.0.0.1") == "10.0.0.1"

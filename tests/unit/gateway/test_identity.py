"""Ids of requests: what is believed, what is replaced, what is passed on."""

from __future__ import annotations

import re

import pytest

from plait.gateway.identity import Identity, IdentitySource

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def identify(**headers: bytes) -> Identity:
    told = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return IdentitySource().identify(told)


def test_a_request_without_ids_gets_them() -> None:
    identity = identify()
    trace = dict(identity.trace)
    assert re.fullmatch(r"[0-9a-f]{32}", identity.execution_id)
    assert identity.request_id == identity.execution_id == trace["x-request-id"]
    assert re.fullmatch(
        rf"00-{identity.execution_id}-[0-9a-f]{{16}}-01", trace["traceparent"]
    )


def test_ids_never_come_twice() -> None:
    source = IdentitySource()
    found = [source.identify({}) for _ in range(2_000)]
    assert len({identity.execution_id for identity in found}) == 2_000
    assert len({dict(identity.trace)["traceparent"][36:52] for identity in found}) == 2_000


def test_a_sane_request_id_is_kept() -> None:
    identity = identify(x_request_id=b"abc-123/x:y=z")
    assert identity.request_id == dict(identity.trace)["x-request-id"] == "abc-123/x:y=z"
    assert identity.execution_id != identity.request_id


@pytest.mark.parametrize("given", [b"", b"a b", b"a" * 129, b'"', b"a\xff", b"a,b", b"<x>"])
def test_any_other_request_id_is_replaced(given: bytes) -> None:
    assert identify(x_request_id=given).request_id.encode() != given


def test_a_trace_goes_on_with_a_span_of_our_own() -> None:
    trace = dict(identify(traceparent=PARENT, tracestate=b"a=1,b=2").trace)
    version, trace_id, span, flags = trace["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", "0af7651916cd43dd8448eb211c80319c", "01")
    assert span != "b7ad6b7169203331"
    assert trace["tracestate"] == "a=1,b=2"


def test_the_sampling_flag_is_kept() -> None:
    trace = dict(identify(traceparent=PARENT[:-2] + b"00").trace)
    assert trace["traceparent"].endswith("-00")


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    trace = dict(identify(traceparent=b"cc" + PARENT[2:] + b"-more").trace)
    assert trace["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")


@pytest.mark.parametrize(
    "given",
    [
        b"",
        PARENT.upper(),
        PARENT[:-1],
        PARENT + b"-more",
        b"ff" + PARENT[2:],
        PARENT.replace(b"0af7651916cd43dd8448eb211c80319c", b"0" * 32),
        PARENT.replace(b"b7ad6b7169203331", b"0" * 16),
        b" " + PARENT,
    ],
)
def test_a_broken_trace_begins_anew_and_loses_its_state(given: bytes) -> None:
    trace = dict(identify(traceparent=given, tracestate=b"a=1").trace)
    assert "0af7651916cd43dd8448eb211c80319c" not in trace["traceparent"]
    assert "tracestate" not in trace


def test_baggage_is_passed_on_when_it_is_short_and_printable() -> None:
    assert dict(identify(baggage=b"user=1").trace)["baggage"] == "user=1"
    for given in (b"a" * 8193, b"a\xff", b""):
        assert "baggage" not in dict(identify(baggage=given).trace)

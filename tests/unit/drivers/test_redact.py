"""No secret travels in a failure."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from plait.drivers.redact import redacted, redacted_value
from plait.model.failure import Failure
from plait.model.json import JsonValue


def test_a_secret_is_masked_in_message_and_details_however_it_is_written() -> None:
    failure = Failure(
        "connector.http.404",
        "GET http://h/a/p%2Fq%20r answered 404",
        {"url": "http://h/a/p/q r", "body": {"p/q r": ["it was p/q r"]}, "status": 404},
    )
    found = redacted(failure, {"token": "p/q r"})
    assert found.message == "GET http://h/a/*** answered 404"
    assert found.details == {
        "url": "http://h/a/***",
        "body": {"***": ["it was ***"]},
        "status": 404,
    }


def test_a_secret_inside_a_longer_one_does_not_leave_its_rest() -> None:
    secrets = {"a": "abcd", "b": "abcd-efgh"}
    assert redacted(Failure("x", "abcd-efgh"), secrets).message == "***"


def test_without_secrets_a_failure_is_as_it_was() -> None:
    failure = Failure("x", "text", {"a": 1})
    assert redacted(failure, {}) is failure


SECRET = 'p+q/r <s>"ä"'  # every encoding writes it otherwise


@pytest.mark.parametrize("before", ["", "u", "u:", "ada", "ada:"])
@pytest.mark.parametrize("after", ["", "!", "!!", "!!!"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_base64_leaves_no_bit_of_a_secret_whatever_stands_beside_it(
    before: str, after: str, encode: Callable[[bytes], bytes]
) -> None:
    def echoed(secret: str) -> JsonValue:
        header = f"Basic {encode(f'{before}{secret}{after}'.encode()).decode()}"
        return redacted_value({"seen": header}, {"token": secret})

    other = "".join(chr(ord(one) ^ 1) if one.isascii() else "ö" for one in SECRET)
    assert "***" in str(echoed(SECRET))
    assert echoed(SECRET) == echoed(other)


@pytest.mark.parametrize(
    "encode",
    [
        quote,
        quote_plus,
        lambda text: re.sub("%..", lambda one: one[0].lower(), quote(text, safe="")),
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
        html.escape,
        lambda text: text.encode().hex(),
        lambda text: text.encode().hex().upper(),
        lambda text: quote(quote(text)),
        lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
        lambda text: html.escape(quote_plus(text)),
        lambda text: quote(text).encode().hex(),
        lambda text: text.encode().decode("latin-1"),
        lambda text: quote(text.encode().decode("latin-1")),
    ],
)
def test_other_encodings_are_masked_as_well(encode: Callable[[str], str]) -> None:
    secret = 'p+q/r <sä>"'
    assert redacted_value(f"got {encode(secret)}.", {"t": secret}) == "got ***."


def test_base64_that_holds_no_secret_stays_as_it_is() -> None:
    harmless = b64encode(bytes(range(256))).decode()
    assert redacted_value(harmless, {"a": "s3cr3t", "b": "abcd"}) == harmless

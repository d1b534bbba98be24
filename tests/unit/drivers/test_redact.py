"""No secret travels in a failure."""

from __future__ import annotations

from plait.drivers.redact import redacted
from plait.model.failure import Failure


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

"""Redaction: no secret leaves in a failure, whatever URL or reply it was quoted from.

A failure is read by templates, shown to people and kept in timelines; a secret that stood
in a URL, or that the other side repeated, must not travel with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast
from urllib.parse import quote

from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue

MASK: Final = "***"
# Shorter ones would mask half of every message; they protect nothing anyway.
_LENGTH_MIN: Final = 4


def redacted(failure: Failure, secrets: Mapping[str, str]) -> Failure:
    """Return `failure` with every value of `secrets` masked, also percent-encoded.

    >>> redacted(Failure("x", "GET /a/s3cr3t failed"), {"token": "s3cr3t"}).message
    'GET /a/*** failed'
    """
    longest_first = _forms_of(secrets)
    if not longest_first:
        return failure
    details = cast("JsonObject | None", _masked(failure.details, longest_first))
    message = str(_masked(failure.message, longest_first))
    return replace(failure, message=message, details=details)


def redacted_value(value: JsonValue, secrets: Mapping[str, str]) -> JsonValue:
    """Return `value` with every value of `secrets` masked wherever it stands in a text.

    >>> redacted_value({"seen": ["Bearer s3cr3t"]}, {"token": "s3cr3t"})
    {'seen': ['Bearer ***']}
    """
    longest_first = _forms_of(secrets)
    return _masked(value, longest_first) if longest_first else value


def _forms_of(secrets: Mapping[str, str]) -> list[str]:
    """Return every way in which a secret may be written, the longest first."""
    if not secrets:
        return []
    forms = {
        form
        for value in secrets.values()
        if len(value) >= _LENGTH_MIN
        for form in (value, quote(value, safe=""), quote(value))
    }
    return sorted(forms, key=len, reverse=True)


def _masked(value: JsonValue, forms: list[str]) -> JsonValue:
    if isinstance(value, str):
        for form in forms:
            value = value.replace(form, MASK)
        return value
    if isinstance(value, list):
        return [_masked(one, forms) for one in value]
    if isinstance(value, dict):
        return {str(_masked(key, forms)): _masked(one, forms) for key, one in value.items()}
    return value

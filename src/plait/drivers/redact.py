"""Redaction: no secret leaves in a failure, whatever URL or reply it was quoted from.

A failure is read by templates, shown to people and kept in timelines; a secret that stood
in a URL, or that the other side repeated, must not travel with it. Other sides repeat
headers, also `Basic` ones, bodies and URLs: so a secret is masked as it is, in base64
whatever stands before it, and as URLs, JSON, HTML and hexadecimal digits write it, also one
in the other.

Not here: what a template made of a secret otherwise, such as a hash.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from html import escape
from json import dumps
from typing import Final, cast
from urllib.parse import quote, quote_plus

from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

MASK: Final = "***"
# Shorter ones would mask half of every message; they protect nothing anyway.
_LENGTH_MIN: Final = 4
# Of 5 bytes 6 letters of base64 are sure: they stand by chance in one text of 70 GB. Four
# bytes make 4 letters, which stand in every 16 MB, and a mask there damages what it is in.
_BASE64_BYTES_MIN: Final = 5
_BASE64_LETTER: Final = "[A-Za-z0-9+/_-]"


@record
class _Form:
    """One way in which a secret may be written.

    Attributes:
        sure: The letters that are there whatever stands beside it.
        whole: What is masked where they are; None: just those letters.
    """

    sure: str
    whole: re.Pattern[str] | None = None


def redacted(failure: Failure, secrets: Mapping[str, str]) -> Failure:
    """Return `failure` with every value of `secrets` masked, however it is encoded.

    >>> redacted(Failure("x", "GET /a/s3cr3t failed"), {"token": "s3cr3t"}).message
    'GET /a/*** failed'
    """
    longest_first = _forms_of(tuple(secrets.values()))
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
    longest_first = _forms_of(tuple(secrets.values()))
    return _masked(value, longest_first) if longest_first else value


def replied_without(
    response: JsonValue, facts: JsonObject, secrets: Mapping[str, str]
) -> tuple[JsonValue, JsonObject]:
    """Return what a call replied, with every value of `secrets` masked."""
    masked = redacted_value(facts, secrets)
    return redacted_value(response, secrets), cast("JsonObject", masked)


# A process has one set of secrets; making its forms takes 0.1 ms per secret, and 1 ms of
# one that is written otherwise in URLs.
@lru_cache(maxsize=8)
def _forms_of(secrets: tuple[str, ...]) -> list[_Form]:
    """Return every way in which a secret may be written, the longest first."""
    forms = {
        form.sure: form
        for secret in secrets
        if len(secret) >= _LENGTH_MIN
        for form in _all_of(secret)
    }
    return sorted(forms.values(), key=lambda form: len(form.sure), reverse=True)


def _all_of(secret: str) -> Iterator[_Form]:
    """Yield the forms of one secret.

    Who repeats a URL in a URL, or JSON in JSON, writes it so twice; and many servers take a
    header's UTF-8 for Latin-1.
    """
    whole = {secret, secret.encode().decode("latin-1")}
    for text in {form for one in whole for form in _written(one)}:
        yield from map(_Form, _written(text))
        yield from map(_Form, (text.encode().hex(), text.encode().hex().upper()))
        yield from _base64_of(text.encode())


def _written(secret: str) -> Iterator[str]:
    """Yield a text as it is, and as URLs, JSON and HTML write it."""
    yield secret
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)
    for is_ascii in (True, False):
        yield dumps(secret, ensure_ascii=is_ascii)[1:-1]
    yield escape(secret)


def _base64_of(secret: bytes) -> Iterator[_Form]:
    """Yield what stands for `secret` in base64, behind 0, 1 or 2 bytes of a group of 3.

    At its ends a letter may hold bits of the secret and of its neighbour: that one is not
    sure, and is masked with the rest.
    """
    if len(secret) < _BASE64_BYTES_MIN:
        return
    for before in range(3):
        first = -(-before * 8 // 6)
        last, rest = divmod((before + len(secret)) * 8, 6)
        sure = b64encode(bytes(before) + secret).decode()[first:last]
        head = _BASE64_LETTER if before else ""
        tail = f"(?:{_BASE64_LETTER}=*)?" if rest else ""
        for one in {sure, sure.replace("+", "-").replace("/", "_")}:
            yield _Form(one, re.compile(f"{head}{re.escape(one)}{tail}"))


def _masked(value: JsonValue, forms: list[_Form]) -> JsonValue:
    if isinstance(value, str):
        return _masked_text(value, forms)
    if isinstance(value, list):
        return [_masked(one, forms) for one in value]
    if isinstance(value, dict):
        items = value.items()
        return {_masked_text(str(key), forms): _masked(one, forms) for key, one in items}
    return value


def _masked_text(text: str, forms: list[_Form]) -> str:
    for form in forms:
        if form.sure not in text:
            continue
        if form.whole is None:
            text = text.replace(form.sure, MASK)
        else:
            text = form.whole.sub(MASK, text)
    return text

"""What a document's own words say of a request, checked before any call is made.

A template is taken as something that fits: what it gives is checked when the call is made
(request), by the same functions.

Rule. Nothing is refused that some value of its templates could make right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from plait.connectors.egress import InvalidRequest
from plait.connectors.http.bodies import BODILESS_METHODS, encode_body
from plait.connectors.http.fields import field_line, own_content_type, read_fields
from plait.connectors.http.templated import is_template


def check_headers(headers: dict[str, Any]) -> dict[str, Any]:
    """Return `headers`.

    Raises:
        ValueError: One may not be sent.
    """
    try:
        read_fields({name: _known(value) for name, value in headers.items()})
    except InvalidRequest as error:
        raise ValueError(str(error)) from None
    return headers


def check_body(name: str, value: Any, *, method: str, headers: object) -> None:
    """Check a body that stands under `name` (`body`, `form`, …).

    Raises:
        ValidationError: It cannot be sent, at `name`.
    """
    if is_template(value):
        return
    content_type = own_content_type(headers) if isinstance(headers, dict) else None
    if is_template(content_type):
        content_type = None
    at_fault = (name, value)
    _refusing(at_fault, lambda: encode_body({name: _known(value)}, content_type))
    if method in BODILESS_METHODS:
        raise _refused(at_fault, f"{method} takes no body")


def check_key(key: str) -> None:
    """Check an idempotency key, which travels in a header.

    Raises:
        ValidationError: It cannot, at `idempotency_key`.
    """
    if not is_template(key):
        _refusing(("idempotency_key", key), lambda: field_line("Idempotency-Key", key))


def _known(value: Any) -> Any:
    """Return `value` with empty text for templates: it fits wherever they may stand.

    A list of templates may come to any number of values, so it counts as one.
    """
    if isinstance(value, dict):
        return {key: _known(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return "" if any(map(is_template, value)) else [_known(inner) for inner in value]
    return "" if is_template(value) else value


def _refusing(at_fault: tuple[str, Any], check: Callable[[], object]) -> None:
    try:
        check()
    except InvalidRequest as error:
        raise _refused(at_fault, str(error)) from None


def _refused(at_fault: tuple[str, Any], text: str) -> ValidationError:
    """Return an error at a key: what a model's own validator raises has no place."""
    key, value = at_fault
    kind = PydanticCustomError("value_error", "{text}", {"text": text})
    return ValidationError.from_exception_data(
        "request", [InitErrorDetails(type=kind, loc=(key,), input=value)]
    )

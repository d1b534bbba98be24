"""docs/reference/http.md says what the spec of the request says."""

from __future__ import annotations

from pathlib import Path

from plait.connectors.http.reference import page
from plait.connectors.http.spec import HttpRequest
from plait.document.described import description_of

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "http.md"


def test_the_page_is_what_the_spec_makes() -> None:
    assert PAGE.read_text("utf-8") == page()


def test_every_key_of_a_request_is_on_the_page_with_its_meaning() -> None:
    text = page()
    for name in HttpRequest.model_fields:
        assert f"| `{name}` |" in text
        assert description_of(HttpRequest, name), f"{name} has no description"

"""`path: /profiles/{user_id}` inside braces: what people write, whatever YAML says."""

from __future__ import annotations

import pytest

from plait.document.source import SourceErrors, read_source


def read(text: str) -> object:
    return read_source(text.encode(), name="w.yaml").value


def test_a_path_parameter_needs_no_quotes_inside_braces() -> None:
    value = read("endpoint: {method: GET, path: /a/{one}/b/{two}, partial: true}\n")
    assert value == {
        "endpoint": {"method": "GET", "path": "/a/{one}/b/{two}", "partial": True}
    }


@pytest.mark.parametrize(
    "written", ["/a/{x}", '"/a/{x}"', "'/a/{x}'", "|-\n  /a/{x}", "/a/{x} # {y}z{w}"]
)
def test_where_yaml_allows_the_braces_they_stay_what_they_are(written: str) -> None:
    assert read(f"path: {written}\n") == {"path": "/a/{x}"}


def test_a_mapping_inside_a_mapping_is_still_one() -> None:
    assert read("a: {b: {c: 1}, d: [{e: 2}]}\n") == {"a": {"b": {"c": 1}, "d": [{"e": 2}]}}


def test_columns_behind_the_braces_are_exact() -> None:
    source = read_source(b"a: {p: /x/{y}, q: 1}\n", name="w.yaml")
    assert source.span_of(("a", "q"))[:2] == (1, 19)
    assert source.span_of(("a", "p"))[:4] == (1, 8, 1, 14)


def test_braces_that_cling_to_nothing_are_still_an_error() -> None:
    with pytest.raises(SourceErrors) as caught:
        read("a: {b: /x/{y z}}\n")
    assert caught.value.diagnostics[0].code == "D010"


def test_a_text_with_the_marks_of_its_own_keeps_them() -> None:
    assert read("a: '\ue000x\ue001 /b/{c}'\n") == {"a": "\ue000x\ue001 /b/{c}"}

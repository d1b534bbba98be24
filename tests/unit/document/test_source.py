"""Reading a document's text: formats, encodings, and where each value stands."""

from __future__ import annotations

from typing import Any

import pytest

from plait.document.source import Source, SourceErrors, SourceLimits, read_source
from plait.model.errors import Advice
from plait.model.place import Place, Span

YAML = """\
# a comment
name: "shop ☕"
steps:
  - id: user
    request: {url: 'http://users/${x}', params: [1, 2]}

  - id: note
    text: |
      first line
        second ${y}
    fold: >-
      one
      two

output:
"""


def codes(data: bytes, name: str) -> list[str]:
    with pytest.raises(SourceErrors) as caught:
        read_source(data, name=name)
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


@pytest.fixture
def source() -> Source:
    return read_source(YAML.encode(), name="w.yaml")


@pytest.mark.parametrize(
    ("segments", "span"),
    [
        ((), Span(2, 1, 15, 8)),
        (("name",), Span(2, 7, 2, 15)),
        (("steps",), Span(4, 3, 13, 10)),
        (("steps", 0), Span(4, 5, 5, 56)),
        (("steps", 0, "request"), Span(5, 14, 5, 56)),
        (("steps", 0, "request", "params", 1), Span(5, 53, 5, 54)),
        (("steps", 1, "text"), Span(8, 11, 10, 20)),
        (("output",), Span(15, 8, 15, 8)),
    ],
)
def test_a_value_is_found_where_it_stands(
    source: Source, segments: tuple[str | int, ...], span: Span
) -> None:
    assert source.span_of(segments) == span


@pytest.mark.parametrize(
    ("segments", "span"),
    [
        (("steps", 0, "request"), Span(5, 5, 5, 12)),
        (("output",), Span(15, 1, 15, 7)),
        (("steps", 1), Span(7, 5, 13, 10)),
        ((), Span(2, 1, 15, 8)),
    ],
)
def test_a_key_is_found_where_it_stands_and_an_item_stands_for_its_own(
    source: Source, segments: tuple[str | int, ...], span: Span
) -> None:
    assert source.span_of(segments, key=True) == span


@pytest.mark.parametrize(
    "segments",
    [
        ("steps", 0, "missing"),
        ("steps", 0, "missing", "deeper", 7),
        ("steps", 0, 0),
    ],
)
def test_a_value_that_is_not_there_is_found_at_the_nearest_one_around_it(
    source: Source, segments: tuple[str | int, ...]
) -> None:
    assert source.span_of(segments) == source.span_of(("steps", 0))
    assert source.span_of(segments, key=True) == source.span_of(("steps", 0))


@pytest.mark.parametrize("index", [2, -1, "-1", "two", "٣", "9" * 5_000])
def test_an_item_that_is_not_there_is_found_at_its_list(
    source: Source, index: int | str
) -> None:
    assert source.span_of(("steps", index)) == source.span_of(("steps",))


def test_a_pointer_leads_to_the_place_of_its_value(source: Source) -> None:
    pointer = "/steps/0/request/params/1"
    assert source.place_of(pointer) == Place(pointer, 5, 53)
    assert source.place_of("") == Place("", 2, 1)


def test_a_pointer_that_leads_nowhere_keeps_its_name(source: Source) -> None:
    assert source.place_of("/steps/9") == Place("/steps/9", 4, 3)


def test_a_pointer_may_hold_escaped_characters() -> None:
    source = read_source(b'{"a/b": {"~1": 1}}', name="w.json")
    assert source.place_of("/a~1b/~01").column == 16


@pytest.mark.parametrize(
    ("segments", "part", "place"),
    [
        (("name",), "☕", (2, 13)),
        (("steps", 0, "request", "url"), "${x}", (5, 34)),
        (("steps", 0, "id"), "ser", (4, 10)),
        (("steps", 1, "text"), "second", (10, 9)),
        (("steps", 1, "text"), "${y}", (10, 16)),
        (("steps", 1, "fold"), "two", (13, 7)),
    ],
)
def test_a_character_of_a_text_is_found_in_the_source(
    source: Source, segments: tuple[str | int, ...], part: str, place: tuple[int, int]
) -> None:
    value: Any = source.value
    for segment in segments:
        value = value[segment]
    assert source.column_in(segments, str(value).index(part)) == place


@pytest.mark.parametrize(
    ("document", "name", "part", "column"),
    [
        (r'{"a": "x\n\u00e9\ud83d\ude00Z"}', "w.json", "Z", 29),
        (r'{"a": "\"\\Z"}', "w.json", "Z", 12),
        ("a: 'it''s Z'", "w.yaml", "Z", 11),
        (r'a: "\x41\U0001F600\tZ"', "w.yaml", "Z", 21),
    ],
)
def test_escapes_do_not_shift_the_characters_after_them(
    document: str, name: str, part: str, column: int
) -> None:
    source = read_source(document.encode(), name=name)
    assert isinstance(source.value, dict)
    text = str(source.value["a"])
    assert source.column_in(("a",), text.index(part)) == (1, column)


def test_text_over_several_lines_is_found_on_the_right_one() -> None:
    document = 'a: "one\n\n  two \\\n  three"\nb: plain\n  folded\n'
    source = read_source(document.encode(), name="w.yaml")
    assert source.value == {"a": "one\ntwo three", "b": "plain folded"}
    assert source.column_in(("a",), 4) == (3, 3)
    assert source.column_in(("a",), 8) == (4, 3)
    assert source.column_in(("b",), 6) == (6, 3)


def test_spaces_that_a_line_break_hides_are_not_taken_for_those_of_the_text() -> None:
    source = read_source(b'a: "x\\\n  \\ yZ"', name="w.yaml")
    assert source.value == {"a": "x yZ"}
    assert source.column_in(("a",), 3) == (2, 6)


def test_an_offset_outside_the_text_is_found_at_its_nearer_end() -> None:
    source = read_source(b"a: 'text'", name="w.yaml")
    assert source.column_in(("a",), -1) == (1, 5)
    assert source.column_in(("a",), 4) == (1, 9)
    assert source.column_in(("a",), 400) == (1, 9)


def test_an_offset_in_a_value_that_is_no_text_is_found_at_its_start() -> None:
    source = read_source(b"a: 12", name="w.yaml")
    assert source.column_in(("a",), 1) == (1, 4)
    assert source.column_in(("b",), 1) == (1, 1)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["w.yaml", "w.json"])
def test_every_kind_of_line_break_ends_a_line(name: str, line_break: str) -> None:
    document = '{"☕": 1,\n "b":\n  2}'.replace("\n", line_break)
    source = read_source(document.encode(), name=name)
    assert source.span_of(("b",)) == Span(3, 3, 3, 4)


def test_only_line_breaks_end_a_line() -> None:
    document = '{"a": "\x85\u2028\x7f", "b": 2}'
    source = read_source(document.encode(), name="w.json")
    assert source.span_of(("b",)) == Span(1, 19, 1, 20)


@pytest.mark.parametrize(
    ("document", "name", "value"),
    [
        ('{"a": on}', "w.yaml", "on"),
        ('{"a": on}', "w.yml", "on"),
        ('{"a": on}', "W.YAML", "on"),
        ('{"a": on}', "-", "on"),
        ("a: on", "-", "on"),
        ("a: on", "workflow.txt", "on"),
        (r'  {"a": "\ud83d\ude00"}', "-", "😀"),
        (r'{"a": "\ud83d\ude00"}', "W.JSON", "😀"),
    ],
)
def test_the_name_decides_the_format_and_the_text_where_the_name_does_not(
    document: str, name: str, value: str
) -> None:
    assert read_source(document.encode(), name=name).value == {"a": value}


def test_a_json_file_is_never_read_as_yaml() -> None:
    assert codes(b'{"a": on}', "w.json") == ["D022"]
    assert codes(b"a: on", "w.json") == ["D004"]


def test_text_of_no_known_format_is_told_what_is_wrong_with_the_likelier_one() -> None:
    assert codes(b'{"a": [1, 2,, "b": NaN}', "-") == ["D010", "D010"]
    assert codes(b"{a: &x 1}", "-") == ["D013"]


@pytest.mark.parametrize("name", ["w.json", "w.yaml", "-"])
def test_a_byte_order_mark_is_no_part_of_the_text(name: str) -> None:
    source = read_source(b'\xef\xbb\xbf{"a": 1}', name=name)
    assert source.value == {"a": 1}
    assert source.span_of(("a",)) == Span(1, 7, 1, 8)


@pytest.mark.parametrize("name", ["w.json", "w.yaml", "-"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_another_encoding_is_named(name: str, encoding: str) -> None:
    mark = "" if encoding in ("utf-16", "utf-32") else "\ufeff"
    with pytest.raises(SourceErrors) as caught:
        read_source((mark + '{"a": 1}').encode(encoding), name=name)
    (found,) = caught.value.diagnostics
    assert (found.code, found.hint) == ("D001", "save it as UTF-8")
    assert encoding[:6].upper() in found.message


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"])
def test_a_byte_that_is_not_utf_8_is_found_where_it_stands(bad: bytes) -> None:
    with pytest.raises(SourceErrors) as caught:
        read_source("a: 1\nb: é".encode() + bad, name="w.yaml")
    (found,) = caught.value.diagnostics
    assert found.code == "D001"
    assert f"0x{bad[0]:02X}" in found.message
    assert found.span == Span(2, 5, 2, 5)


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ("", "w.yaml"),
        ("", "w.json"),
        ("", "-"),
        ("# nothing\n\n", "w.yaml"),
        ("---\n...\n", "w.yaml"),
        (" \r\n\t", "w.json"),
    ],
)
def test_an_empty_document_is_refused(document: str, name: str) -> None:
    assert codes(document.encode(), name) == ["D003"]


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ("[1]", "w.json"),
        ('"a"', "w.json"),
        ("[1]", "w.yaml"),
        ("- a", "w.yaml"),
        ("text", "w.yaml"),
        ("null", "w.yaml"),
        ("[1]", "-"),
    ],
)
def test_a_document_that_is_no_mapping_is_refused(document: str, name: str) -> None:
    assert codes(document.encode(), name) == ["D004"]


def test_the_error_names_the_first_finding_and_counts_the_others() -> None:
    with pytest.raises(SourceErrors) as caught:
        read_source(b"a: 1\na: !t 2\n", name="w.yaml")
    error = caught.value
    assert str(error).startswith("line 2: key 'a' stands twice")
    assert str(error).endswith(", and 1 more")
    assert (error.code, error.advice) == ("document.unreadable", Advice.FIX_REQUEST)


def test_a_finding_reads_as_file_line_column_code_message_and_hint() -> None:
    with pytest.raises(SourceErrors) as caught:
        read_source(b"a:\n\tb: 1", name="w.yaml")
    assert caught.value.diagnostics[0].render("w.yaml") == (
        "w.yaml:2:1: D012 a tab indents this line; YAML indents with spaces "
        "(replace it by spaces)"
    )


def test_limits_can_be_widened() -> None:
    document = b'{"a": "' + b"x" * 300_000 + b'"}'
    limits = SourceLimits(bytes_max=400_000)
    assert codes(document, "w.json") == ["D002"]
    assert len(str(read_source(document, name="w.json", limits=limits).value)) > 300_000

"""Properties: what is written is read, each span holds its value, nothing else escapes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from plait.document.alignment import source_offset
from plait.document.faults import Faults
from plait.document.json_text import JsonReader
from plait.document.limits import DEFAULT_LIMITS
from plait.document.source import Source, SourceErrors, read_source
from plait.document.yaml_scalars import is_text
from plait.document.yaml_text import YamlReader
from plait.model.diagnostic import Diagnostic
from plait.model.json import JsonValue
from plait.model.place import Span

ANY_TEXT = st.text(max_size=12)
# Without what libyaml takes for line breaks, and what YAML wants escaped.
YAML_TEXT = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"],
        include_characters="\n\t",
        exclude_characters="\x85\u2028\u2029\ufeff\ufffe\uffff",
    ),
    max_size=12,
) | st.sampled_from(["on", "12", "0o17", "1e3", "null", "~", "<<", "${a.b}", "a: b", "- x"])
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(
    allow_nan=False, allow_infinity=False
)


def values(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | NUMBERS | text
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4)
        ),
        max_leaves=20,
    )


def mappings(text: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(text, values(text), max_size=4)


JSON_STYLES = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 0, 2, "\t"]),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n", " :\n ")]),
    }
)


def exactly(value: JsonValue) -> str:
    """Return what tells 1, 1.0, True and -0.0 apart, and keeps the order of keys."""
    return repr(value)


def parts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Yield each value inside `value` with the path to it."""
    yield path, value
    if isinstance(value, dict):
        for key, child in value.items():
            yield from parts(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from parts(child, (*path, index))


def lines_of(text: str) -> list[str]:
    return text.replace("\r\n", " \n").replace("\r", "\n").split("\n")


def cut(text: str, span: Span) -> str:
    """Return the text of `span`, found by counting lines, not offsets."""
    lengths = [len(line) + 1 for line in lines_of(text)]
    start = sum(lengths[: span.line - 1]) + span.column - 1
    end = sum(lengths[: span.end_line - 1]) + span.end_column - 1
    return text[start:end]


def assert_json_spans(text: str, source: Source) -> None:
    for path, value in parts(source.value):
        assert exactly(json.loads(cut(text, source.span_of(path)))) == exactly(value)
        if path and isinstance(path[-1], str):
            assert json.loads(cut(text, source.span_of(path, key=True))) == path[-1]


@given(mappings(ANY_TEXT), st.booleans(), JSON_STYLES)
def test_json_is_read_as_it_was_written_and_each_span_holds_its_value(
    value: dict[str, Any], is_ascii: bool, style: dict[str, Any]
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, **style)
    source = read_source(text.encode(), name="w.json")
    assert exactly(source.value) == exactly(value)
    assert_json_spans(text, source)


class SlowReader(JsonReader):
    """Reads everything one token at a time."""

    def _take_plain(self) -> bool:
        return False

    def _take_end(self) -> bool:
        return False


@given(mappings(ANY_TEXT), JSON_STYLES)
def test_the_quick_and_the_slow_way_read_the_same_json(
    value: dict[str, Any], style: dict[str, Any]
) -> None:
    text = json.dumps(value, **style)
    slow, places = SlowReader(text, Faults(text, DEFAULT_LIMITS)).read()
    assert exactly(slow) == exactly(value)
    quick, slow_source = (
        read_source(text.encode(), name="w.json"),
        Source(text, slow, places),
    )
    for path, _ in parts(value):
        assert quick.span_of(path) == slow_source.span_of(path)
        assert quick.span_of(path, key=True) == slow_source.span_of(path, key=True)


# YAML has no tabs as indentation, and its comma stands on the line of what it follows.
YAML_FLOW_STYLES = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 0, 2]),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), (" ,", ":\n  ")]),
    }
)


@given(mappings(YAML_TEXT), st.booleans(), YAML_FLOW_STYLES)
def test_json_is_yaml_and_each_span_holds_its_value(
    value: dict[str, Any], is_ascii: bool, style: dict[str, Any]
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, **style)
    if "\\ud" in text:  # libyaml does not know surrogate pairs
        text = json.dumps(value, ensure_ascii=False, **style)
    source = read_source(text.encode(), name="w.yaml")
    assert exactly(source.value) == exactly(value)
    assert_json_spans(text, source)


class Dumper(yaml.SafeDumper):
    """Writes texts in the style that is asked for."""

    style: str | None = None

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represent_text(dumper: Dumper, text: str) -> yaml.ScalarNode:
    # PyYAML quotes what YAML 1.1 takes for a number, and not what 1.2 does.
    style = dumper.style if dumper.style or (is_text(text) and text != "<<") else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _represent_text)

YAML_STYLES = st.fixed_dictionaries(
    {
        "default_flow_style": st.sampled_from([True, False, None]),
        "allow_unicode": st.booleans(),
        "width": st.sampled_from([8, 80]),
        "indent": st.sampled_from([2, 5]),
        "line_break": st.sampled_from(["\n", "\r\n", "\r"]),
        "explicit_start": st.booleans(),
    }
)


def as_yaml(value: Any, text_style: str | None, style: dict[str, Any]) -> str:
    styled = type("Styled", (Dumper,), {"style": text_style})
    return str(yaml.dump(value, Dumper=styled, sort_keys=False, **style))


@given(mappings(YAML_TEXT), st.sampled_from([None, "'", '"', "|", ">"]), YAML_STYLES)
def test_yaml_is_read_as_it_was_written_and_each_span_holds_its_value(
    value: dict[str, Any], text_style: str | None, style: dict[str, Any]
) -> None:
    text = as_yaml(value, text_style, style)
    # PyYAML's writer spoils some texts that it breaks into lines: "0\xa0 0" at width 8.
    assume(yaml.safe_load(text) == value)
    source = read_source(text.encode(), name="w.yaml")
    assert exactly(source.value) == exactly(value)
    for path, part in parts(value):
        span = source.span_of(path)
        # Indented as it was, it is a document of its own. The indentation of a block
        # text may be told in relation to what is around it, so those are left out.
        own = " " * (span.column - 1) + cut(text, span)
        if not any(mark in own for mark in "|>"):
            again, _ = YamlReader(own, Faults(own, DEFAULT_LIMITS)).read()
            assert exactly(again) == exactly(part)


@given(YAML_TEXT, st.sampled_from([None, "'", '"', "|", ">"]), YAML_STYLES)
def test_each_visible_character_of_a_text_is_found_in_its_source(
    value: str, text_style: str | None, style: dict[str, Any]
) -> None:
    text = as_yaml({"key": {"inner": value}}, text_style, style)
    assume(yaml.safe_load(text) == {"key": {"inner": value}})
    source = read_source(text.encode(), name="w.yaml")
    lines = lines_of(text)
    for offset, char in enumerate(value):
        line, column = source.column_in(("key", "inner"), offset)
        found = lines[line - 1][column - 1 :]
        assert char.isspace() or found.startswith((char, "\\"))


@given(st.text(min_size=1, max_size=12), st.booleans())
@example("\U0001f600x", True)
@example('\\"\\x', True)
def test_each_character_of_a_json_text_is_found_in_its_source(
    value: str, is_ascii: bool
) -> None:
    raw = json.dumps(value, ensure_ascii=is_ascii)
    ends = [*(source_offset(raw, value, n) for n in range(1, len(value))), len(raw) - 1]
    start = 1
    for char, end in zip(value, ends, strict=True):
        assert json.loads(f'"{raw[start:end]}"') == char
        start = end


SAMPLES = [
    '{"name": "a", "steps": [{"id": "x", "n": -1.5e3, "t": true, "s": "\\u00e9\\n"}]}',
    '{\r\n  "a": [1, [], {}, null, [[2]]],\r\n  "☕": {"b": "${c.d}"}\r\n}',
    "name: a\nsteps:\n  - {id: x, url: 'http://x/${y}', n: 0x1F}\n  - id: \"y\\n\"\n",
    "a: |\n  one\n   two\n\nb: >-\n  fold\n  ed\n? c\n: - 1\n  - [d: e, {f}]\n...\n",
]


@st.composite
def mutated(draw: st.DrawFn, samples: list[str] = SAMPLES) -> bytes:
    data = bytearray(draw(st.sampled_from(samples)).encode())
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        new = draw(
            st.binary(max_size=3)
            | st.sampled_from(list(b"{}[]\",:'#&*!|>-? \n\t\\")).map(
                lambda byte: bytes([byte])
            )
        )
        data[at : at + draw(st.integers(0, 3))] = new
    return bytes(data)


@given(mutated(), st.sampled_from(["w.json", "w.yaml", "-"]))
def test_whatever_the_bytes_are_there_is_a_value_or_a_list_of_findings(
    data: bytes, name: str
) -> None:
    found: tuple[Diagnostic, ...] = ()
    try:
        source = read_source(data, name=name)
        spans = [source.span_of(path) for path, _ in parts(source.value)]
    except SourceErrors as error:
        found = error.diagnostics
        spans = [diagnostic.span for diagnostic in found]
        spans = spans if spans == sorted(spans) else []
    assert spans
    assert all((1, 1) <= span[:2] <= span[2:] for span in spans)
    assert all(diagnostic.message for diagnostic in found)
    assert all(diagnostic.code.startswith("D0") for diagnostic in found)


def _refuse(_: str) -> None:
    raise ValueError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _strictly(data: bytes) -> Any:
    """Return what Python's own reader makes of JSON, with the rules that Plait adds."""
    text = data.decode().removeprefix("\ufeff")
    value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    for _, part in parts(value):
        is_number = isinstance(part, int | float)
        if is_number and not (math.isfinite(part) and part >= -(2**63)):
            raise ValueError
        if isinstance(part, int) and part >= 2**64:
            raise ValueError
    if not isinstance(value, dict):
        raise TypeError
    return value


@given(
    mutated(SAMPLES[:2])
    | st.text('{}[]",:01.eE+-\\u d8nul\n', max_size=20).map(
        lambda text: f'{{"a": {text}}}'.encode()
    )
)
def test_json_is_accepted_exactly_where_a_strict_reader_accepts_it(data: bytes) -> None:
    try:
        expected = exactly(_strictly(data))
    except (ValueError, TypeError):
        expected = "refused"
    try:
        found = exactly(read_source(data, name="w.json").value)
    except SourceErrors:
        found = "refused"
    assert found == expected

"""Limits: each at the limit and one past it; hostile text is refused at once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from plait.document.limits import DEFAULT_LIMITS
from plait.document.source import SourceErrors, SourceLimits, read_source
from plait.model.diagnostic import Diagnostic
from tests.unit.processor import quiet_seconds

NAMES = ["w.json", "w.yaml", "-"]
BYTES_MAX = DEFAULT_LIMITS.bytes_max
SOON_S = 0.1


def findings(
    document: str, name: str, limits: SourceLimits = DEFAULT_LIMITS
) -> tuple[Diagnostic, ...]:
    with pytest.raises(SourceErrors) as caught:
        read_source(document.encode(), name=name, limits=limits)
    return caught.value.diagnostics


def with_bytes(count: int) -> str:
    return '{"a": "' + "é" * ((count - 9) // 2) + "x" * ((count - 9) % 2) + '"}'


def with_depth(depth: int) -> str:
    return '{"a": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


def with_mappings(depth: int) -> str:
    return '{"a": ' * depth + "1" + "}" * depth


def with_nodes(count: int) -> str:
    return '{"a": [' + ", ".join(["1"] * (count - 2)) + "]}"


def with_objects(count: int) -> str:
    return '{"a": [' + ", ".join(["{}"] * (count - 2)) + "]}"


def with_key_length(length: int) -> str:
    return '{"' + "é" * length + '": 1}'


# What makes a document of a size, the limit's name, its default, the code.
LIMITS: list[tuple[Callable[[int], str], str, int, str]] = [
    (with_bytes, "bytes_max", 262_144, "D002"),
    (with_depth, "depth_max", 64, "D006"),
    (with_mappings, "depth_max", 64, "D006"),
    (with_nodes, "nodes_max", 25_000, "D007"),
    (with_objects, "nodes_max", 25_000, "D007"),
    (with_key_length, "key_length_max", 1_024, "D008"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("document_of", "limit", "size_max", "code"), LIMITS)
def test_a_limit_allows_what_is_at_it_and_refuses_one_more(
    document_of: Callable[[int], str], limit: str, size_max: int, code: str, name: str
) -> None:
    assert getattr(DEFAULT_LIMITS, limit) == size_max
    # YAML itself has no longer keys, quotes included, if no `?` stands before them.
    at_limit = size_max if limit != "key_length_max" or name == "w.json" else 1_000
    read_source(document_of(at_limit).encode(), name=name)
    if at_limit == size_max:
        assert [f.code for f in findings(document_of(size_max + 1), name)] == [code]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("document_of", "limit", "size_max", "code"), LIMITS)
def test_every_limit_can_be_set(
    document_of: Callable[[int], str], limit: str, size_max: int, code: str, name: str
) -> None:
    assert size_max > 30
    limits = replace(DEFAULT_LIMITS, **{limit: 30})
    read_source(document_of(30).encode(), name=name, limits=limits)
    (found,) = findings(document_of(31), name, limits)
    assert found.code == code
    assert "30" in found.message


def test_yaml_with_block_style_has_the_same_limits() -> None:
    limits = replace(DEFAULT_LIMITS, depth_max=3, nodes_max=4)
    read_source(b"a:\n  b:\n    - 1\n", name="w.yaml", limits=limits)
    assert findings("a:\n  b:\n    - - 1", "w.yaml", limits)[0].code == "D006"
    assert findings("a:\n  b:\n    - 1\n    - 2\n", "w.yaml", limits)[0].code == "D007"


def test_a_key_of_yaml_may_be_as_long_as_the_limit_says() -> None:
    limits = replace(DEFAULT_LIMITS, key_length_max=2_000)
    read_source(f"? {'k' * 2_000}\n: 1".encode(), name="w.yaml", limits=limits)
    (found,) = findings(f"? {'k' * 2_001}\n: 1", "w.yaml", limits)
    assert found.code == "D008"


def mistakes(count: int) -> str:
    return '{"a": [\n' + ",\n".join(["NaN"] * count) + "]}"


def test_as_many_findings_as_the_limit_are_all_listed() -> None:
    found = findings(mistakes(50), "w.json")
    assert [f.span.line for f in found] == list(range(2, 52))
    assert {f.code for f in found} == {"D019"}


def test_of_more_findings_the_last_one_listed_says_how_many_there_are_besides() -> None:
    found = findings(mistakes(51), "w.json")
    assert len(found) == 50
    assert [f.span.line for f in found[:-1]] == list(range(2, 51))
    assert (found[-1].code, found[-1].span.line) == ("D099", 52)
    assert found[-1].message == "2 more problems are not listed"


def test_after_a_thousand_findings_nobody_reads_on() -> None:
    found = findings(mistakes(20_000), "w.json")
    assert found[-1].message == "at least 951 more problems are not listed"


def fill(unit: str, *, start: str = "", end: str = "") -> str:
    """Return a text of 256 KB at most, made of `unit`."""
    room = BYTES_MAX - len((start + end).encode())
    return start + unit * (room // len(unit.encode())) + end


# In JSON and YAML alike.
HOSTILE_BOTH = {
    "lists in lists": fill("["),
    "lists in lists, by line": fill("[\n"),
    "mappings in mappings": fill('{"a":'),
    "mappings without keys": fill("{"),
    "a key without an end": fill("k", start='{"'),
    "a huge key": fill("k", start='{"', end='":1}'),
    "one key again and again": fill('"a": 1,', start="{", end='"a":1}'),
    "one key again and again, by line": fill('"a": 1,\n', start="{", end='"a":1}'),
    "a number of 200,000 digits": '{"a": ' + "9" * 200_000 + "}",
    "a number of 200,000 digits after e": '{"a": 1e' + "9" * 200_000 + "}",
    "numbers beyond 64 bits": fill("99999999999999999999,", start="["),
    "a text without an end": fill("x", start='{"a": "'),
    "a text of backslashes": fill("\\\\", start='{"a": "'),
    "a text of bad escapes": fill("\\q", start='{"a": "', end='"}'),
    "a text of half surrogates": fill("\\ud800", start='{"a": "', end='"}'),
    "control characters": fill("\x01", start='{"a": "', end='"}'),
    "lines and nothing else": fill("\n"),
    "spaces and nothing else": fill(" "),
    "lines in an open list": fill("\n", start="[1,"),
    "commas": fill(",", start="[", end="]"),
    "quotes": fill('"', start="{"),
    "empty lists": fill("[],", start="[", end="1]"),
    "empty mappings": fill("{},", start="[", end="1]"),
    "small numbers": fill("1,", start="[", end="1]"),
    "real numbers": fill("1.5,", start="[", end="1]"),
    "nested as deep as allowed": fill("[" * 60 + "]" * 60 + ",", start="[", end="1]"),
    "text after the end": fill("x", start='{"a": 1}\n'),
    "bytes that are not UTF-8": fill("é"),
}
HOSTILE_JSON = {
    "words": fill("a,", start="["),
    "numbers with leading zeros": fill("01,", start="["),
    "single quotes": fill("'',", start="["),
    "comments": fill("/**/", start="["),
    "comments between values": fill("1/* */,", start="["),
    "a comment without an end": fill("*", start="{/"),
    "no commas": fill("1 ", start="["),
    "escaped texts": fill('"\\n",', start="[", end="1]"),
}
HOSTILE_YAML = {
    "lists in lists, in block style": fill("- "),
    "lists in lists, by indentation": "".join(" " * i + "-\n" for i in range(700)),
    "mappings in mappings, bare": fill("{a: "),
    "keys of keys": fill("? "),
    "keys that are lists": fill("? ["),
    "one key, by line": fill("a: 1\n"),
    "anchors": "".join(f"a{i}: &a{i} 1\n" for i in range(15_000)),
    "a billion laughs": "a: &a [x, x]\n"
    + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "aliases": fill("*a,", start="[", end="1]"),
    "tags": fill("!!str a,", start="["),
    "an endless tag": fill("!"),
    "an endless anchor": fill("a", start="&"),
    "tag directives": "".join(f"%TAG !a{i}! b\n" for i in range(15_000)),
    "directives": fill("%A\n"),
    "documents": fill("---\n"),
    "merge keys": fill("<<: 1\n"),
    "keys that are numbers": "".join(f"{i}.5: 1\n" for i in range(25_000)),
    "pairs in a list": fill("a: b, ", start="[", end="a: b]"),
    "one plain text": fill("a"),
    "one plain text, by line": fill("a\n"),
    "one key without a colon": fill("a", end="\nb: 1"),
    "tabs": fill("\t", start="a:\n"),
    "templates in flow style": fill("a: ${b},", start="{"),
    "templates without an end": fill("${", start="a: ", end=": x"),
    "an endless folded text": fill("a\n\n", start="- >\n ", end="\n\tb"),
    "comments": fill("#\n"),
    "block texts": fill("- |\n"),
}
HOSTILE = {
    **{
        f"{name} {what}": (name, text)
        for name in NAMES
        for what, text in HOSTILE_BOTH.items()
    },
    **{f"w.json {what}": ("w.json", text) for what, text in HOSTILE_JSON.items()},
    **{f"w.yaml {what}": ("w.yaml", text) for what, text in HOSTILE_YAML.items()},
    **{f"- {what}": ("-", text) for what, text in (HOSTILE_JSON | HOSTILE_YAML).items()},
}


def _refused(data: bytes, name: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(SourceErrors) as caught:
        read_source(data, name=name)
    return caught.value.diagnostics


@pytest.fixture(scope="module")
def _own_garbage_only() -> Iterator[None]:
    """Keep what other tests left in memory out of the garbage collector's rounds."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_own_garbage_only")
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_text_gets_a_clear_error_within_100_ms(what: str) -> None:
    name, text = HOSTILE[what]
    data = text.encode()[:BYTES_MAX]
    if "UTF-8" in what:
        data = data[:-1] + b"\xff"
    assert quiet_seconds(lambda: _refused(data, name), SOON_S) < SOON_S
    diagnostics = _refused(data, name)
    assert 1 <= len(diagnostics) <= 50
    assert all(len(found.message) + len(found.hint) < 250 for found in diagnostics)
    assert all(found.code.startswith("D0") for found in diagnostics)

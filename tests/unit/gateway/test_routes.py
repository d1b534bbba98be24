"""Routes: what matches, in which order, and that matching agrees with the obvious way."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.gateway.message import percent_decode
from plait.gateway.refusal import Malformed
from plait.gateway.routes import Found, Missing, RouteTable


def table_of(*routes: tuple[str, str]) -> RouteTable[str]:
    table = RouteTable[str]()
    for method, template in routes:
        table.add(method, template, f"{method} {template}")
    return table


def test_fixed_text_beats_a_parameter_whatever_came_first() -> None:
    for routes in (("/a/{x}", "/a/b"), ("/a/b", "/a/{x}")):
        table = table_of(*(("GET", template) for template in routes))
        assert table.find("GET", "/a/b") == Found("GET /a/b", ())
        assert table.find("GET", "/a/c") == Found("GET /a/{x}", ("c",))


def test_a_fixed_segment_that_leads_nowhere_gives_way_to_a_parameter() -> None:
    table = table_of(("GET", "/a/b/c"), ("GET", "/a/{x}/d"))
    assert table.find("GET", "/a/b/d") == Found("GET /a/{x}/d", ("b",))


def test_a_route_with_the_method_beats_one_without() -> None:
    table = table_of(("GET", "/a/b"), ("POST", "/a/{x}"))
    assert table.find("POST", "/a/b") == Found("POST /a/{x}", ("b",))
    assert table.find("PUT", "/a/b") == Missing(("GET", "POST"))


def test_an_unknown_path_has_no_methods() -> None:
    table = table_of(("GET", "/a"))
    for path in ("/", "/b", "/a/", "/a/b", "//a", "/A"):
        assert table.find("GET", path) == Missing(())


@pytest.mark.parametrize(
    "name",
    ["~acme", "%7Eacme", "api", "%61pi", "docs", "health", "metrics", "webhooks"],
)
def test_a_parameter_that_stands_first_takes_no_place_of_tenants_or_the_gateway(
    name: str,
) -> None:
    table = table_of(("GET", "/{who}/status"), ("GET", "/{who}"), ("GET", "/a/{who}"))
    for path in (f"/{name}/status", f"/{name}"):
        assert table.find("GET", path) == Missing(())
    assert table.find("GET", f"/a/{name}").target == "GET /a/{who}"  # type: ignore[union-attr]
    assert table.find("GET", "/apis/status") == Found("GET /{who}/status", ("apis",))


def test_a_parameter_is_never_empty() -> None:
    table = table_of(("GET", "/a/{x}"), ("GET", "/a/{x}/b"))
    assert table.find("GET", "/a/") == Missing(())
    assert table.find("GET", "/a//b") == Missing(())


def test_an_encoded_slash_stays_inside_its_parameter() -> None:
    table = table_of(("GET", "/a/{x}"), ("GET", "/a/{x}/{y}"))
    assert table.find("GET", "/a/b%2Fc") == Found("GET /a/{x}", ("b/c",))
    assert table.find("GET", "/a/b%252Fc") == Found("GET /a/{x}", ("b%2Fc",))


def test_fixed_text_is_found_however_it_is_encoded() -> None:
    table = table_of(("GET", "/menu/caf%C3%A9"))
    for path in ("/menu/caf%C3%A9", "/men%75/caf%c3%a9", "/menu/caf\xc3\xa9"):
        assert isinstance(table.find("GET", path), Found)


@pytest.mark.parametrize(
    "path",
    [
        "/a/%FF",
        "/a/%C3",
        "/a/%",
        "/a/%2",
        "/a/%zz",
        "/a/\xff",
        "/a/..",
        "/a/%2e%2E",
        "/./a",
        "a",
        "*",
    ],
)
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(Malformed, match="path"):
        table_of(("GET", "/a/{x}")).find("GET", path)


def test_dots_inside_a_segment_are_text() -> None:
    found = table_of(("GET", "/a/{x}")).find("GET", "/a/..b.%2e")
    assert found == Found("GET /a/{x}", ("..b..",))


def test_a_taken_place_is_told_and_kept_by_the_first() -> None:
    table = table_of(("GET", "/a/{x}"))
    assert table.add("GET", "/a/{y}", "later") == "GET /a/{x}"
    assert table.find("GET", "/a/1") == Found("GET /a/{x}", ("1",))


def test_all_methods_are_listed_once() -> None:
    table = table_of(("GET", "/a"), ("POST", "/b/{x}"), ("GET", "/b/c"))
    assert table.methods() == ("GET", "POST")


def test_the_depth_of_a_path_does_not_matter() -> None:
    assert table_of(("GET", "/{a}")).find("GET", "/x" * 16_000) == Missing(())


WORDS = ("a", "b", "%2F", "")
SEGMENTS = st.sampled_from((*WORDS[:2], "{x}", "{y}"))
TEMPLATES = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda s: "/" + "/".join(s))
METHODS = st.sampled_from(("GET", "POST"))
PATHS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(
    lambda s: "/" + "/".join(s)
)


def obvious_find(
    routes: list[tuple[str, str]], method: str, path: str
) -> Found[str] | Missing:
    """Try every route; of those that match, the one with fixed text furthest left."""
    segments = [percent_decode(segment) for segment in path[1:].split("/")]
    matches = [route for route in routes if matches_all(route[1], segments)]
    methods = tuple(sorted({route[0] for route in matches}))
    asked = [route for route in matches if route[0] == method]
    if not asked:
        return Missing(methods)
    best = min(asked, key=lambda route: [part[0] == "{" for part in parts_of(route[1])])
    pairs = zip(parts_of(best[1]), segments, strict=True)
    values = tuple(segment for part, segment in pairs if part[0] == "{")
    return Found(f"{best[0]} {best[1]}", values)


def parts_of(template: str) -> list[str]:
    return template[1:].split("/")


def matches_all(template: str, segments: list[str]) -> bool:
    parts = parts_of(template)
    return len(parts) == len(segments) and all(
        segment and (part[0] == "{" or part == segment)
        for part, segment in zip(parts, segments, strict=True)
    )


def shape_of(route: tuple[str, str]) -> tuple[str, str]:
    return route[0], "/".join("{}" if p[0] == "{" else p for p in parts_of(route[1]))


@given(
    st.lists(st.tuples(METHODS, TEMPLATES), max_size=12, unique_by=shape_of), METHODS, PATHS
)
def test_the_tree_finds_what_trying_every_route_finds(
    routes: list[tuple[str, str]], method: str, path: str
) -> None:
    assert table_of(*routes).find(method, path) == obvious_find(routes, method, path)


def test_many_branches_do_not_make_matching_slow() -> None:
    table = RouteTable[str]()
    for parts in product(("a", "{x}"), repeat=8):
        table.add("GET", "/" + "/".join(parts), "found")
    assert isinstance(table.find("GET", "/a" * 8), Found)
    assert table.find("GET", "/a" * 9) == Missing(())


@given(st.text())
def test_decoding_undoes_encoding(text: str) -> None:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raw, text = b"", ""
    assert percent_decode("".join(f"%{byte:02X}" for byte in raw)) == text

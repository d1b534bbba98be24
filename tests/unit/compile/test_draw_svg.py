"""The graph as SVG: well-formed, nothing outside its box, nothing on top of another."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.compile.draw import draw_svg, graph_of
from plait.compile.draw.graph import Graph, GraphNode, GraphScope
from plait.compile.draw.layout import PADDING, Box, Frame, Picture, lay_out
from plait.compile.draw.words import cells, words
from tests.unit.compile.plans import call, parallel, plan_of, route, sequence, wait

SVG = "{http://www.w3.org/2000/svg}"
DESKS = {
    "triage": ["billing", "fallback"],
    "billing": ["triage", "refunds"],
    "fallback": [],
    "refunds": [],
    "archive": [],
}
SHAPES: dict[str, list[dict[str, Any]]] = {
    "one": [call("only")],
    "wide": [call("a"), *(call(f"c{n}", "a") for n in range(30)), call("last", "c1")],
    "long": [call("s0"), *(call(f"s{n}", f"s{n - 1}") for n in range(1, 40))],
    "far": [call("a"), call("b", "a"), call("c", "b"), call("d", "c", "a")],
    "nested": [
        call("user", timeout="2s", retry={"max_attempts": 3}),
        parallel(
            "enrich",
            [call("fetch", "user"), call("more", "fetch")],
            [sequence("s", call("x"), parallel("deep", [call("y")], [wait("z", "1s")]))],
            condition="${user.response.vip}",
        ),
        call("audit", depends_on=["user"], fallback=call("instead")),
        call("last", "enrich", "audit"),
    ],
    "many branches": [parallel("p", *([call(f"step_{n}")] for n in range(40)))],
    "route": [call("a"), route("case", DESKS, fallback=call("instead", "a"))],
    "islands": [call(f"a_step_of_a_long_name_{n}") for n in range(7)],
}


def picture(steps: list[dict[str, Any]]) -> Picture:
    return lay_out(graph_of(plan_of(*steps)))


def overlap(one: Box | Frame, other: Box | Frame) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def contains(outer: Box | Frame, inner: Box | Frame) -> bool:
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width + 0.01
        and inner.y + inner.height <= outer.y + outer.height + 0.01
    )


def assert_tidy(found: Picture) -> None:
    for box in found.boxes:
        texts = [box.label.width + box.kind.width, *(line.width for line in box.lines)]
        assert max(texts) + 2 * PADDING <= box.width + 0.01
        assert -0.01 <= box.x <= box.x + box.width <= found.width + 0.01
        assert -0.01 <= box.y <= box.y + box.height <= found.height + 0.01
    for frame in found.frames:
        assert frame.label.width + 2 * PADDING <= frame.width + 0.01
    drawn: list[Box | Frame] = [*found.boxes, *found.frames]
    for one, other in itertools.combinations(drawn, 2):
        assert not overlap(one, other) or contains(one, other) or contains(other, one)
    by_id: dict[str, Box | Frame] = {
        f"case[{frame.told.partition(':')[0]}]": frame
        for frame in found.frames
        if not frame.is_fallback
    }
    by_id.update((box.node.id, box) for box in found.boxes)
    for line in found.lines:
        for end, step in ((0, line.edge.source), (-1, line.edge.target)):
            at, (x, y) = by_id[step], line.points[end]
            assert at.x - 0.01 <= x <= at.x + at.width + 0.01
            assert at.y - 0.01 <= y <= at.y + at.height + 0.01


@pytest.mark.parametrize("name", SHAPES)
def test_boxes_hold_their_text_and_never_cover_each_other(name: str) -> None:
    assert_tidy(picture(SHAPES[name]))


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw up to twelve steps, each reading some earlier ones."""
    steps = [call("s0")]
    for number in range(1, draw(st.integers(1, 12))):
        reads = draw(st.lists(st.integers(0, number - 1), max_size=3, unique=True))
        steps.append(call(f"s{number}", *(f"s{read}" for read in reads)))
    return steps


@given(graphs())
def test_any_graph_is_tidy(steps: list[dict[str, Any]]) -> None:
    assert_tidy(picture(steps))


def test_a_group_s_label_takes_what_room_there_is_and_is_told_whole_in_any_case() -> None:
    def switch(*steps: dict[str, Any]) -> dict[str, Any]:
        case = {"name": "far", "when": "${" + "input.a == 1 || " * 3 + "true}"}
        return {"id": "s", "type": "switch", "cases": [{**case, "steps": list(steps)}]}

    label = "far: " + "input.a == 1 || " * 3 + "true"
    one, other = (f"a_step_of_a_long_name_{n}" for n in (1, 2))
    wide = [call(one), call(other), call("x" + one, one), call("x" + other, other)]
    for steps, is_cut in ([call("x")], True), (wide, False):
        drawn = graph_of(plan_of(switch(*steps)))
        (frame, *_) = lay_out(drawn).frames
        assert frame.label.text.endswith("…") == is_cut
        assert f"<title>{label}</title>" in draw_svg(drawn)


def test_handlers_of_a_route_stand_one_below_the_other_with_a_line_for_each_handover() -> (
    None
):
    found = picture(SHAPES["route"])
    said = {
        (one.edge.source, one.edge.target): one.edge.reasons[0].text()
        for one in found.lines
        if one.edge.source != "a"
    }
    to = "triage_work.response.to == 'billing'"
    back = "billing_work.response.to == 'triage'"
    assert said == {
        ("case[triage]", "case[billing]"): f"hands over if {to}",
        ("case[triage]", "case[fallback]"): "hands over",
        ("case[billing]", "case[triage]"): f"hands over if {back}",
        ("case[billing]", "case[refunds]"): "hands over",
    }
    frames = {frame.told.partition(":")[0]: frame for frame in found.frames}
    steps = [frames[name] for name in ("triage", "billing", "refunds")]
    across = [frame.y if found.direction == "down" else frame.x for frame in steps]
    assert across == sorted(set(across))
    assert draw_svg(graph_of(plan_of(*SHAPES["route"]))).count('class="edge') == 5


def test_text_is_given_the_room_that_monospaced_fonts_take() -> None:
    # DejaVu Sans Mono, Menlo: 0.602 em a letter; Liberation Mono, Courier New: 0.600.
    assert words("x" * 10, "label").width >= 10 * 13 * 0.602
    assert words("日本", "notes").width >= 4 * 11 * 0.602


def test_steps_stand_in_the_order_in_which_they_run() -> None:
    found = picture(SHAPES["far"])
    is_down = found.direction == "down"
    places = {box.node.id: box.y if is_down else box.x for box in found.boxes}
    assert places["a"] < places["b"] < places["c"] < places["d"]


def test_a_long_line_goes_around_the_boxes_on_its_way() -> None:
    found = picture(SHAPES["far"])
    ends = [(one.edge.source, one.edge.target) for one in found.lines]
    line = found.lines[ends.index(("a", "d"))]
    between = [box for box in found.boxes if box.node.id in "bc"]
    for x, y in line.points[1:-1]:
        for box in between:
            assert not (box.x < x < box.x + box.width and box.y < y < box.y + box.height)


def test_chains_go_down_and_wide_graphs_go_right() -> None:
    assert picture(SHAPES["long"]).direction == "down"
    assert picture(SHAPES["wide"]).direction == "right"


@pytest.mark.parametrize("name", SHAPES)
def test_the_text_is_well_formed_and_shows_every_step(name: str) -> None:
    graph = graph_of(plan_of(*SHAPES[name]))
    root = ET.fromstring(draw_svg(graph))
    labels = {text.text for text in root.iter(f"{SVG}text") if text.get("class") == "label"}
    assert labels == {node.label for node, _ in graph.nodes()}
    edges = [path for path in root.iter(f"{SVG}path") if path.get("marker-end")]
    handovers = sum(len(node.handovers) for node, _ in graph.nodes())
    assert len(edges) == len(list(graph.edges())) + handovers


def test_dashes_mark_depends_on_and_conditions() -> None:
    steps = [call("a"), call("b", depends_on=["a"]), call("c", "a", condition="${input.x}")]
    root = ET.fromstring(draw_svg(graph_of(plan_of(*steps))))
    paths = [path for path in root.iter(f"{SVG}path") if path.get("marker-end")]
    styles = [path.get("class") for path in paths]
    assert styles == ["edge waits", "edge"]
    boxes = [box.get("class") for box in root.iter(f"{SVG}rect") if box.get("class")]
    assert boxes.count("box dashed") == 1


@given(st.text(max_size=300))
def test_no_text_breaks_the_picture_or_leaves_its_box(text: str) -> None:
    node = GraphNode("n", "n", "http", text, (text,), ())
    graph = Graph("name", text, GraphScope((node,), ()))
    root = ET.fromstring(draw_svg(graph))
    assert root.get("viewBox")
    assert_tidy(lay_out(graph))


def test_what_is_cut_off_is_whole_in_the_tooltip() -> None:
    condition = "${input.a_rather_long_name_of_a_thing == 'and a rather long text'}"
    root = ET.fromstring(draw_svg(graph_of(plan_of(call("a", condition=condition)))))
    (shown,) = [t.text for t in root.iter(f"{SVG}text") if t.get("class") == "condition"]
    assert shown is not None
    assert shown.endswith("…")
    assert cells(shown) == 40
    tooltips = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert any("'and a rather long text'" in tooltip for tooltip in tooltips)

"""Pictures of state machines: every state, every transition, circles and all."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.compile import compile_text
from plait.compile.draw import draw_dot, draw_json, draw_mermaid, draw_svg, graph_of
from plait.compile.draw.layout import lay_out
from plait.plan import Plan
from tests.simulation.asking import CATALOG, give

DOOR: dict[str, Any] = {
    "shut": {
        "on": {
            "open": {"target": "open", "guard": "${event.payload == 'a:b'}"},
            "knock": {"actions": [give("heard", 1), give("told", 2)]},
        },
    },
    "open": {
        "entry": [give("light", "on")],
        "on": {"shut": "shut", "open": "open"},
        "after": {"30m": "gone"},
    },
    "gone": {"final": True},
}


def machine(states: dict[str, Any], initial: str) -> Plan:
    whole = {"name": "door", "initial": initial, "states": states}
    return compile_text(orjson.dumps(whole), name="m.json", catalog=CATALOG).plan


def test_mermaid_draws_a_state_diagram() -> None:
    assert draw_mermaid(graph_of(machine(DOOR, "shut"))).splitlines()[3:] == [
        "stateDiagram-v2",
        '    state "shut" as s0',
        '    state "open<br/>entry: light" as s1',
        '    state "gone" as s2',
        "    [*] --> s0",
        "    s0 --> s1: open #91;event.payload == 'a#58;b'#93;",
        "    s0 --> s0: knock / heard, told",
        "    s1 --> s0: shut",
        "    s1 --> s1: open",
        "    s1 --> s2: after 30m",
        "    s2 --> [*]",
    ]


def test_dot_draws_each_transition_with_its_words() -> None:
    lines = [
        line.strip() for line in draw_dot(graph_of(machine(DOOR, "shut"))).splitlines()
    ]
    assert '"[*]" -> "shut";' in lines
    assert '"gone" [label="gone", peripheries=2];' in lines
    assert '"open" -> "gone" [label="after 30m"];' in lines
    assert '"shut" -> "shut" [label="knock / heard, told"];' in lines


def test_json_tells_event_guard_and_actions_apart() -> None:
    drawn = orjson.loads(draw_json(graph_of(machine(DOOR, "open"))))
    kinds = [(node["id"], node["kind"]) for node in drawn["nodes"]]
    assert kinds == [("open", "initial"), ("shut", "state"), ("gone", "final")]
    (edge,) = [
        one for one in drawn["edges"] if (one["from"], one["to"]) == ("shut", "open")
    ]
    guard = "event.payload == 'a:b'"
    (reason,) = edge["reasons"]
    assert reason == {"step": "shut", "why": "event", "read": "open", "where": guard}


@pytest.mark.parametrize("initial", ["shut", "open"])
def test_svg_tells_every_transition_in_its_state_s_box(initial: str) -> None:
    text = draw_svg(graph_of(machine(DOOR, initial)))
    ET.fromstring(text)
    for told in ("knock / heard, told → stays", "after 30m → gone", "shut → shut"):
        assert told in text


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 7), max_size=6), min_size=8, max_size=8))
def test_any_tangle_has_a_picture_in_which_no_boxes_touch(table: list[list[int]]) -> None:
    states = {
        f"s{number}": {"on": {f"e{n}": f"s{target}" for n, target in enumerate(targets)}}
        for number, targets in enumerate(table)
    }
    graph = graph_of(machine(states, "s0"))
    picture = lay_out(graph)
    ET.fromstring(draw_svg(graph))
    assert len(picture.lines) == sum(
        len({t for t in targets if t != number}) for number, targets in enumerate(table)
    )
    boxes = picture.boxes
    for one in boxes:
        for other in boxes:
            assert one is other or (
                one.x + one.width <= other.x
                or other.x + other.width <= one.x
                or one.y + one.height <= other.y
                or other.y + other.height <= one.y
            )
    for line in picture.lines:
        ends = {box.node.id: box for box in boxes}
        for (x, y), name in (
            (line.points[0], line.edge.source),
            (line.points[-1], line.edge.target),
        ):
            box = ends[name]
            assert box.x - 1 <= x <= box.x + box.width + 1
            assert box.y - 1 <= y <= box.y + box.height + 1

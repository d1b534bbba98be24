"""The graph as Mermaid and as DOT: valid text, whatever a document says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.compile.draw import draw_dot, draw_mermaid, graph_of
from plait.compile.draw.graph import Graph, GraphNode, GraphScope
from tests.unit.compile.plans import call, parallel, plan_of, route, sequence

NASTY = 'a"]; end %% <script> & #quot; \\ `x` {y} \u2028 ü\n'


def mermaid(*steps: dict[str, Any], **document: Any) -> list[str]:
    return draw_mermaid(graph_of(plan_of(*steps, **document))).splitlines()


def dot(*steps: dict[str, Any], **document: Any) -> str:
    return draw_dot(graph_of(plan_of(*steps, **document)))


def one_node(text: str) -> Graph:
    node = GraphNode(text, text, "http", text, (text,), ())
    return Graph("name", text.replace("\n", " "), GraphScope((node,), ()))


def test_mermaid_labels_edges_with_what_is_read_and_dashes_depends_on() -> None:
    lines = mermaid(call("a"), call("b", "a"), call("c", depends_on=["a"]))
    assert lines[:4] == ["---", "title: 'example'", "---", "flowchart TD"]
    assert '    n0["<b>a</b><br/>http"]' in lines
    assert '    n0 -->|"response.id"| n1' in lines
    assert "    n0 -.-> n2" in lines


def test_mermaid_names_at_most_two_reads_and_counts_the_rest() -> None:
    condition = "${a.response.x && a.response.y && a.response.z}"
    lines = mermaid(call("a"), call("b", condition=condition))
    assert '    n0 -->|"response.x, response.y +1"| n1' in lines
    assert "    class n1 conditional" in lines


def test_mermaid_groups_are_subgraphs_that_are_closed() -> None:
    lines = mermaid(parallel("p", [call("x")], [sequence("s", call("y"), call("z"))]))
    opened = sum(line.strip().startswith("subgraph") for line in lines)
    assert opened == sum(line.strip() == "end" for line in lines) == 4
    assert '    subgraph n0["<b>p</b> · parallel"]' in lines


@given(st.text(max_size=80))
def test_mermaid_labels_hold_nothing_that_could_end_them(text: str) -> None:
    lines = draw_mermaid(one_node(text)).split("\n")
    label = next(line for line in lines if "n0[" in line)
    inside = re.fullmatch(r'    n0\["(.*)"\]', label)
    assert inside is not None
    plain = re.sub(r"</?[bi]>|<br/>|#\d+;", "", inside[1])
    assert not re.search(r'["<>&#;`\[\]{}]', plain)


def test_dot_draws_reads_solid_and_depends_on_dashed_with_reasons_as_tooltips() -> None:
    text = dot(call("a"), call("b", "a"), call("c", depends_on=["a"]))
    assert '"a" -> "b" [tooltip="reads a.response.id in request.params.a"];' in text
    assert '"a" -> "c" [tooltip="depends_on", style=dashed];' in text


def test_dot_edges_of_clusters_end_at_their_borders() -> None:
    text = dot(call("a"), parallel("p", [call("x", "a")]), call("z", "p"))
    assert 'lhead="cluster p"' in text
    assert 'ltail="cluster p"' in text
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("text", [NASTY, '"', "\\", '\\"', "a\nb"])
def test_dot_strings_are_closed_where_they_should_be(text: str) -> None:
    drawn = draw_dot(one_node(text))
    strings = re.findall(r'"(?:[^"\\]|\\.)*"', drawn)
    rest = re.sub(r'"(?:[^"\\]|\\.)*"', "", drawn)
    assert '"' not in rest
    assert any(text.replace("\n", "\\n").replace('"', '\\"')[:1] in one for one in strings)


def test_handovers_of_a_route_are_lines_between_its_handlers() -> None:
    case = route("case", {"triage": ["billing"], "billing": []})
    assert "    n0g0 --> n0g1" in mermaid(case)
    line = next(one for one in dot(case).splitlines() if "hands over" in one)
    assert '"case[triage]/triage_work" -> "case[billing]/billing_work"' in line
    assert 'ltail="cluster case group case[triage]"' in line
    assert 'lhead="cluster case group case[billing]"' in line

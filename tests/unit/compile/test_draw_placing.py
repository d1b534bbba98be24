"""Ordering and spreading: few crossings, no overlap, near the neighbours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plait.compile.draw.ordering import order_items
from plait.compile.draw.spread import place, spread_items


def test_crossings_that_can_be_avoided_are_avoided() -> None:
    items = order_items([0, 0, 0, 1, 1, 1], [(0, 5), (1, 4), (2, 3)])
    first, second = items.layers
    positions = {item: index for index, item in enumerate(second)}
    ends = [positions[{0: 5, 1: 4, 2: 3}[node]] for node in first]
    assert ends == sorted(ends)


def test_an_edge_over_layers_gets_a_waypoint_in_each() -> None:
    items = order_items([0, 1, 2, 3], [(0, 3), (0, 1), (1, 2), (2, 3)])
    chain = items.chains[0, 3]
    assert (chain[0], chain[-1], len(chain)) == (0, 3, 4)
    assert [len(layer) for layer in items.layers] == [1, 2, 2, 1]


def test_of_far_too_many_waypoints_none_is_made() -> None:
    count = 200
    edges = [(0, node) for node in range(1, count)]
    chain = [(node, node + 1) for node in range(count - 1)]
    items = order_items(list(range(count)), list(dict.fromkeys(edges + chain)))
    assert len(items.before) == count
    assert items.chains[0, count - 1] == [0, count - 1]


@given(
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(0, 500)), min_size=1, max_size=30),
    st.floats(0, 50),
)
def test_placed_items_keep_order_and_distance(
    items: list[tuple[float, float]], gap: float
) -> None:
    sizes = [size for _, size in items]
    placed = place([want for want, _ in items], sizes, gap)
    for index in range(len(placed) - 1):
        needed = (sizes[index] + sizes[index + 1]) / 2 + gap
        assert placed[index + 1] - placed[index] >= needed - 1e-6


def test_items_that_do_not_push_each_other_stand_where_they_want() -> None:
    assert place([0, 100, 300], [10, 10, 10], 5) == [0, 100, 300]


def test_a_parent_stands_in_the_middle_of_its_children() -> None:
    items = order_items([0, 1, 1, 1], [(0, 1), (0, 2), (0, 3)])
    middles = spread_items(items, [50, 50, 50, 50], 20)
    assert middles[0] == middles[2] == (middles[1] + middles[3]) / 2

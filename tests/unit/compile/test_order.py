"""Order: circles are found, and the same one every time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.compile.order import behind, find_circles, reversed_edges

GRAPHS = st.integers(1, 12).flatmap(
    lambda size: st.lists(
        st.lists(st.integers(0, size - 1), max_size=3, unique=True).map(sorted),
        min_size=size,
        max_size=size,
    )
)


def reaches(deps: list[list[int]], start: int) -> set[int]:
    """Return what `start` waits for, directly or not; recursive and slow."""
    found: set[int] = set()

    def visit(node: int) -> None:
        for dep in deps[node]:
            if dep not in found:
                found.add(dep)
                visit(dep)

    visit(start)
    return found


def test_no_edges_no_circle() -> None:
    assert find_circles([]) == []
    assert find_circles([[], [], []]) == []


def test_a_diamond_is_no_circle() -> None:
    assert find_circles([[], [0], [0], [1, 2]]) == []


def test_a_step_that_waits_for_itself_is_a_circle_of_one() -> None:
    assert find_circles([[], [1]]) == [[1]]


def test_a_circle_starts_at_its_smallest_step_in_the_order_of_waiting() -> None:
    assert find_circles([[], [3], [1], [2]]) == [[1, 3, 2]]


def test_steps_behind_a_circle_are_not_on_it() -> None:
    assert find_circles([[1], [2], [1], [0]]) == [[1, 2]]


def test_each_knot_shows_one_circle_and_knots_that_wait_for_each_other_are_two() -> None:
    # 0 and 1 in a circle, 2 to 4 in two, and the latter wait for the former.
    assert find_circles([[1], [0], [0, 3, 4], [2], [2]]) == [[0, 1], [2, 3]]


@given(GRAPHS)
def test_there_is_one_circle_for_each_set_of_steps_that_wait_for_each_other(
    deps: list[list[int]],
) -> None:
    behind_each = [reaches(deps, node) for node in range(len(deps))]
    knots = {
        frozenset(other for other in behind_each[node] if node in behind_each[other])
        for node in range(len(deps))
        if node in behind_each[node]
    }
    circles = find_circles(deps)
    assert len(circles) == len(knots)
    assert {knot for knot in knots for circle in circles if set(circle) <= knot} == knots
    for circle in circles:
        assert circle[0] == min(circle)
        assert len(set(circle)) == len(circle)
        for node, dep in zip(circle, [*circle[1:], circle[0]], strict=True):
            assert dep in deps[node]


@given(GRAPHS, st.lists(st.integers(0, 11), max_size=3))
def test_behind_is_everything_that_waits_for_an_end(
    deps: list[list[int]], ends: list[int]
) -> None:
    ends = [end for end in ends if end < len(deps)]
    expected = [n for n in range(len(deps)) if reaches(deps, n) & set(ends)]
    assert behind(deps, ends) == expected


@given(GRAPHS)
def test_reversing_edges_twice_changes_nothing(deps: list[list[int]]) -> None:
    assert reversed_edges(reversed_edges(deps)) == deps


@pytest.mark.slow
def test_a_chain_of_a_hundred_thousand_needs_no_recursion() -> None:
    deps = [[], *([node] for node in range(99_999))]
    assert find_circles(deps) == []
    assert len(behind(deps, [0])) == 99_999
    deps[0] = [99_999]
    assert find_circles(deps) == [[0, *range(99_999, 0, -1)]]

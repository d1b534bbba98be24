"""Order: circles are found, and the same one every time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plait.compile.order import behind, find_circle, reversed_edges

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
    assert find_circle([]) is None
    assert find_circle([[], [], []]) is None


def test_a_diamond_is_no_circle() -> None:
    assert find_circle([[], [0], [0], [1, 2]]) is None


def test_a_step_that_waits_for_itself_is_a_circle_of_one() -> None:
    assert find_circle([[], [1]]) == [1]


def test_a_circle_starts_at_its_smallest_step_in_the_order_of_waiting() -> None:
    assert find_circle([[], [3], [1], [2]]) == [1, 3, 2]


def test_steps_behind_a_circle_are_not_on_it() -> None:
    assert find_circle([[1], [2], [1], [0]]) == [1, 2]


@given(GRAPHS)
def test_a_circle_is_found_exactly_when_some_step_waits_for_itself(
    deps: list[list[int]],
) -> None:
    has_circle = any(node in reaches(deps, node) for node in range(len(deps)))
    circle = find_circle(deps)
    assert (circle is not None) is has_circle
    if circle is not None:
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


def test_a_chain_of_a_hundred_thousand_needs_no_recursion() -> None:
    deps = [[], *([node] for node in range(99_999))]
    assert find_circle(deps) is None
    assert len(behind(deps, [0])) == 99_999
    deps[0] = [99_999]
    assert find_circle(deps) == [0, *range(99_999, 0, -1)]

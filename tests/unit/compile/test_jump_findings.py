"""What the compiler finds wrong with jumps."""

from __future__ import annotations

import pytest

from tests.unit.compile.reading import lines_of_steps

INNER = "{id: q, type: sequence, steps: [{id: inner, type: set, value: 1}]}"


def lines(*steps: str) -> list[str]:
    text = ", ".join(steps)
    return lines_of_steps(f"- {{id: s, type: sequence, steps: [{text}]}}")


SET = "{id: a, type: set, value: 1}"


@pytest.mark.parametrize(
    ("jump", "problem"),
    [
        (
            "to: aa",
            "there is no step 'aa' in this sequence to go on with (did you mean 'a'?)",
        ),
        ("to: inner", "'inner' is inside 'q': no jump leads into another scope"),
        ("to: g", "'g' would jump to itself, and nothing would change"),
        ("to: s", "there is no step 's' in this sequence to go on with"),
    ],
)
def test_p023_a_jump_that_leads_nowhere(jump: str, problem: str) -> None:
    found = lines(
        SET, INNER, f'{{id: g, type: goto, {jump}, condition: "${{a.response == 1}}"}}'
    )
    assert len(found) == 1
    assert f"P025 {problem}" in found[0]


def test_p023_a_jump_outside_a_sequence() -> None:
    found = lines_of_steps(f"- {SET}\n- {{id: g, type: goto, to: a}}")
    assert found == [
        "4:3: P025 'g' stands in no sequence: nothing is next there (give the scope around "
        "it `order: sequence`)"
    ]


@pytest.mark.parametrize(
    ("between", "jump", "is_endless"),
    [
        (SET, "", True),
        (SET, "condition: true", True),
        (SET, 'condition: "${ 1 < 2 }"', True),
        (SET, 'condition: "${ 1 > 2 }"', False),
        ("{id: r, type: return, disabled: true}", "", True),
        ('{id: o, type: goto, to: z, condition: "${1 > 2}"}', "", True),
        (SET, "on_error: continue", False),
        (SET, 'condition: "${a.response == 1}"', False),
        ('{id: r, type: return, condition: "${a.response == 1}"}', "", False),
        ('{id: o, type: goto, to: z, condition: "${a.response == 1}"}', "", False),
        ('{id: o, type: goto, to: a, condition: "${a.response == 1}"}', "", True),
    ],
)
def test_p021_a_circle_that_nothing_leads_out_of(
    between: str, jump: str, is_endless: bool
) -> None:
    first = SET if "id: a" not in between else "{id: y, type: set, value: 1}"
    to = "a"
    step = f"{{id: g, type: goto, to: {to}{', ' + jump if jump else ''}}}"
    found = lines(first, between, step, "{id: z, type: set, value: 2}")
    assert any("P021" in line for line in found) == is_endless
    if is_endless:
        assert "nothing ends the circle that begins at 'a'" in found[0]
    else:
        assert all("P009 step 'z' never runs: no way leads to it" in one for one in found)


def test_only_steps_of_the_same_round_are_read_before_they_have_run() -> None:
    read = "{id: a, type: set, value: '${b.response}${z.response}'}"
    found = lines(
        read,
        "{id: b, type: set, value: '${b.response}'}",
        '{id: g, type: goto, to: a, condition: "${b.response == 1}"}',
        "{id: z, type: set, value: 2}",
    )
    assert len(found) == 1
    assert "P008 step 'z' has not run yet" in found[0]


@pytest.mark.parametrize("key", ["timeout: 1s", "fallback: 1", "output: 1", "retry: {}"])
def test_settings_that_mean_nothing_for_a_jump_are_refused(key: str) -> None:
    found = lines(SET, f"{{id: g, type: goto, to: a, {key}}}")
    assert "D103" in found[0]
    assert "has no meaning for a `goto`" in found[0]


@pytest.mark.parametrize("most", ["0", "-1", "1.5", "1000001", "many"])
def test_max_visits_is_a_number_from_one_on(most: str) -> None:
    found = lines(SET, f"{{id: g, type: goto, to: a, max_visits: {most}}}")
    assert found[0].startswith("3:")
    assert "max_visits" in found[0]

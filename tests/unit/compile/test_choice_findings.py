"""What is found wrong with `switch` and `try`, each at its place."""

from __future__ import annotations

import pytest

from tests.unit.compile.reading import lines_of_steps

V = "steps: [{id: v, type: set, value: 1}]"


def found(step: str) -> list[str]:
    """Return `column: code first words` of each finding in one step."""
    lines = lines_of_steps(f"- {{id: s, {step}}}")
    return [" ".join(line.split(":", 1)[1].split()[:7]) for line in lines]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (
            f"type: switch, cases: [{{{V}}}]",
            ["33: D103 case 'case1' has no condition:"],
        ),
        (f"type: switch, cases: [{{when: true, weight: 1, {V}}}]", "weight"),
        (
            f"type: switch, strategy: weighted, cases: [{{weight: 0, {V}}}]",
            "the weights sum to zero",
        ),
        (f"type: switch, strategy: weighted, cases: [{{priority: 1, {V}}}]", "priority"),
        (
            f"type: switch, cases: [{{name: a, when: true, {V}}}, "
            f"{{name: a, when: true, {V}}}]",
            "another case of the name 'a'",
        ),
        (f"type: switch, cases: [{{name: default, when: true, {V}}}]", "'default'"),
        ("type: switch, cases: []", "'cases'"),
        (f"type: switch, strategy: dice, cases: [{{when: true, {V}}}]", "'strategy'"),
        (f"type: try, {V}", "needs a `catch` or a `finally`"),
        (f"type: try, {V}, catch: [{{{V}}}, {{on: [503], {V}}}]", "answers every error"),
        (f"type: try, {V}, catch: [{{as: input, {V}}}]", "'input' is a name"),
        (f"type: try, {V}, catch: [{{as: s, {V}}}]", "would hide the step"),
        (f"type: try, {V}, catch: [{{on: [nope], {V}}}]", "'nope' is no status"),
    ],
)
def test_a_shape_that_can_never_work(step: str, expected: str | list[str]) -> None:
    lines = lines_of_steps(f"- {{id: s, {step}}}")
    assert len(lines) == 1, lines
    if isinstance(expected, str):
        assert expected in lines[0]
    else:
        assert found(step) == expected


def test_each_finding_stands_at_its_own_case() -> None:
    lines = lines_of_steps(f"""
        - id: s
          type: switch
          cases:
            - {{name: a, when: true, {V}}}
            - {{name: b, {V}}}
            - {{name: a, when: true, {V}}}
    """)
    assert [line.split(":")[0] for line in lines] == ["7", "8"]


def test_names_are_checked_in_a_choice_whose_shape_is_wrong() -> None:
    inner = 'steps: [{id: v, type: set, value: "${nope}"}]'
    for step in (
        f"type: switch, zzz: 1, cases: [{{when: true, {inner}}}]",
        f"type: switch, zzz: 1, cases: [{{when: true, {V}}}], default: {{{inner}}}",
        f"type: try, zzz: 1, {V}, catch: [{{{inner}}}]",
        f"type: try, zzz: 1, {V}, finally: {{{inner}}}",
    ):
        lines = lines_of_steps(f"- {{id: s, {step}}}")
        assert sorted(line.split()[1] for line in lines) == ["D101", "P001"], lines


def test_what_is_caught_is_known_in_its_catch_only() -> None:
    inner = 'steps: [{id: v, type: set, value: "${problem.code}"}]'
    known = f"- {{id: s, type: try, {V}, catch: [{{as: problem, {inner}}}]}}"
    assert lines_of_steps(known) == []
    unknown = f"- {{id: s, type: try, {V}, finally: {{{inner}}}}}"
    assert [line.split()[1] for line in lines_of_steps(unknown)] == ["P001"]


def test_a_case_sees_what_stands_around_the_switch_and_is_waited_for() -> None:
    assert (
        lines_of_steps("""
        - {id: a, type: set, value: 1}
        - id: s
          type: switch
          cases: [{when: "${a.response == 1}", steps: [{id: v, type: set, value: 1}]}]
        - {id: z, type: set, value: "${[s.case, s.cases, s.response]}"}
    """)
        == []
    )

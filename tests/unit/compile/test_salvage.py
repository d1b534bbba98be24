"""A step whose shape is wrong is looked at all the same: mending it brings nothing new."""

from __future__ import annotations

import pytest

from tests.unit.compile.reading import lines_of, lines_of_steps

UNKNOWN = "is neither a step that can be read here nor a known name"


def codes_of_steps(steps: str) -> list[str]:
    """Return `code 'first quoted word'` of each finding."""
    lines = (line.partition(" (")[0].split(" ", 1)[1] for line in lines_of_steps(steps))
    return [" ".join([line.split()[0], *line.split("'")[1:2]]) for line in lines]


@pytest.mark.parametrize(
    ("step", "codes"),
    [
        ("type: set, value: '${n.x}', zzz: 1", ["P001 n", "D101 zzz"]),
        ("type: set, valu: '${n.x}'", ["D102 value", "D101 valu", "P001 n"]),
        ("type: zzz, anything: '${n.x}'", ["D104 zzz", "P001 n"]),
        ("request: {url: '${n.x}'}", ["D102 type", "P001 n"]),
        ("type: set, value: 1, zzz: 1, condition: '${n.x}'", ["D101 zzz", "P001 n"]),
        ("type: set, value: 1, zzz: 1, output: '${n.x}'", ["D101 zzz", "P001 n"]),
        ("type: set, value: 1, zzz: 1, fallback: '${n.x}'", ["D101 zzz", "P001 n"]),
        ("type: set, value: 1, zzz: 1, depends_on: [n]", ["D101 zzz", "P006 n"]),
        ("type: set, value: 1, depends_on: n", ["D103 depends_on", "P006 n"]),
        ("type: set, value: 1, retry: {zz: 1, on: '${n.x}'}", ["D101 zz", "P001 n"]),
        ("type: set, value: '${1 +}', zzz: 1", ["E004", "D101 zzz"]),
        ("type: set, value: '${secrets.a}', zzz: 1", ["P011 s request", "D101 zzz"]),
        (
            "type: set, value: 1, zzz: 1, fallback: {type: set, value: '${n.x}'}",
            ["D101 zzz", "P001 n"],
        ),
        (
            "type: set, value: 1, fallback: {type: set, value: '${n.x}', zzz: 1}",
            ["P001 n", "D101 zzz"],
        ),
        ("type: sett, value: 1, zzz: 1", ["D104 sett", "D101 zzz"]),
    ],
)
def test_names_in_a_broken_step_are_checked(step: str, codes: list[str]) -> None:
    assert codes_of_steps(f"- {{id: a, {step}}}") == codes


@pytest.mark.parametrize(
    "key",
    [
        "description: 'costs ${x'",
        "annotations: {a: '${x'}",
        "descripton: 'costs ${x'",
        "timeout: '${x.y}'",
    ],
)
def test_what_is_no_template_is_none_in_a_broken_step_either(key: str) -> None:
    codes = codes_of_steps(f"- {{id: a, type: set, value: 1, zzz: 1, {key}}}")
    assert "P001 x" not in codes
    assert not any(code.startswith("E") for code in codes)


def test_a_broken_call_may_read_secrets_and_its_facts_are_known() -> None:
    assert codes_of_steps("""
        - {id: a, type: ask, request: {k: "${secrets.k}"}, zzz: 1}
        - {id: b, type: set, value: ["${a.note}", "${a.nota}"]}
        - {id: c, type: zzz}
        - {id: d, type: set, value: "${c.whatever}"}
    """) == ["D101 zzz", "P002 a", "D104 zzz"]


def test_names_in_the_scopes_of_a_broken_step_are_checked() -> None:
    lines = lines_of_steps("""
        - id: fan
          type: parallel
          brnches: 1
          branches:
            l:
              order: sequence
              steps:
                - {id: x, type: set, value: "${y.response}"}
                - {id: y, type: set, value: "${nope1.x}"}
              output: ${nope2.x}
        - id: row
          type: sequence
          zzz: 1
          steps:
            - {id: u, type: set, value: "${v.response}"}
            - {id: v, type: set, value: "${u.response}"}
        - {id: out, type: set, value: "${x.response}"}
    """)
    assert [line.split(" ")[:2] for line in lines] == [
        ["5:3:", "D101"],
        ["10:40:", "P008"],
        ["11:40:", "P001"],
        ["12:17:", "P001"],
        ["15:3:", "D101"],
        ["17:36:", "P008"],
        ["19:34:", "P012"],
    ]


def test_a_step_of_a_later_type_shows_its_loop_names_to_the_steps_inside() -> None:
    assert codes_of_steps("""
        - id: each
          type: transform
          items: ${input.all}
          steps:
            - {id: x, type: set, value: ["${item.id}", "${index}", "${nope.x}"]}
        - id: t
          type: validate
          steps: [{id: y, type: set, value: 1}]
          catch: [{as: problem, steps: [{id: z, type: set, value: "${problem.code}"}]}]
    """) == ["D105 transform", "P001 nope", "D105 validate"]


def test_a_circle_through_a_broken_step_is_found() -> None:
    assert codes_of_steps("""
        - {id: a, type: set, value: "${b.response}", zzz: 1}
        - {id: b, type: set, value: "${a.response}"}
    """) == ["P003", "D101 zzz"]


def test_a_broken_step_keeps_its_id_taken() -> None:
    assert codes_of_steps("""
        - {id: a, type: set, valeu: 1}
        - {id: a, type: set, value: 1}
    """) == ["D102 value", "D101 valeu", "P004 a"]


@pytest.mark.parametrize(
    "step", ["id: check-user", "id: 1user", "name: user", "id: 5", "id: input"]
)
def test_reading_a_step_by_an_id_that_is_none_is_no_second_mistake(step: str) -> None:
    read = step.split()[1].replace("1", "").replace("5", "input.x")
    lines = lines_of_steps(f"""
        - {{{step}, type: set, value: 1}}
        - {{id: b, type: set, value: "${{{read}.response}}"}}
    """)
    assert not [line for line in lines if "P0" in line]


def test_misspelt_steps_are_steps_nevertheless() -> None:
    assert lines_of("""
        name: test
        stpes:
          - {id: a, type: set, value: "${nope.x}"}
          - {id: p, type: sequence, step: [{id: x, type: set, valeu: 1}]}
        output: ${a.response}
    """) == [
        "1:1: D102 missing key 'steps'",
        "2:1: D101 unknown key 'stpes' (did you mean 'steps'?)",
        f"3:34: P001 'nope' {UNKNOWN}",
        "4:5: D102 missing key 'steps'",
        "4:29: D101 unknown key 'step' (did you mean 'steps'?)",
        "4:36: D102 missing key 'value'",
        "4:55: D101 unknown key 'valeu' (did you mean 'value'?)",
    ]


def test_a_document_whose_own_keys_are_wrong_keeps_what_is_right_of_them() -> None:
    lines = lines_of("""
        name: test
        mode: fast
        input: {type: object, properties: {id: {}}, additionalProperties: false}
        defaults: {timeout: 5, retry: {on: "${nope1.x}"}}
        endpoint:
          path: /x/{ident}
          method: FETCH
          headers: {a: "${nope2.x}"}
          status: {"${nope3.x}": 502}
        steps:
          - {id: a, type: ask, request: {}, on_error: continue}
    """)
    assert [line.split(" ")[1] for line in lines] == [
        "D103",
        "D103",
        "P001",
        "P014",
        "D103",
        "P001",
        "P001",
        "warning",
    ]


def test_an_endpoint_without_a_path_is_looked_at_too() -> None:
    lines = lines_of("""
        name: test
        endpoint: {status: {"${nope.x}": 99}}
        steps: [{id: a, type: set, value: 1}]
    """)
    assert [line.split(" ")[1] for line in lines] == ["D102", "P001", "D103"]

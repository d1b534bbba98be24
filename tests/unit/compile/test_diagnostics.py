"""Findings of the compiler: each code with its exact place, message and hint."""

from __future__ import annotations

import json

import pytest

from plait.model.diagnostic import Severity
from tests.unit.compile.reading import findings_in, lines_of, lines_of_steps

CLOSED = """
    name: test
    input: {type: object, properties: {user_id: {}}, additionalProperties: false}
    steps:
      - {id: a, type: set, value: "${input.usr_id}"}
"""


def test_p001_an_unknown_name_with_the_nearest_known_one() -> None:
    assert lines_of_steps("""
        - {id: user, type: set, value: 1}
        - {id: b, type: set, value: "Hello ${usr.response}!"}
    """) == [
        "4:38: P001 'usr' is neither a step that can be read here nor a known name "
        "(did you mean 'user'?)"
    ]


def test_p001_a_fixed_name_is_suggested_too() -> None:
    (line,) = lines_of_steps('- {id: b, type: set, value: "${inputs.x}"}')
    assert line.endswith("(did you mean 'input'?)")


def test_p001_a_misspelt_step_in_the_documents_output() -> None:
    assert lines_of("""
        name: test
        steps:
          - {id: user, type: set, value: 1}
        output:
          a: ${user.response}
          b: [1, "${users.response}"]
    """) == [
        "6:13: P001 'users' is neither a step that can be read here nor a known name "
        "(did you mean 'user'?)"
    ]


def test_p001_error_is_known_only_where_something_failed() -> None:
    assert lines_of_steps("""
        - {id: a, type: set, value: 1, fallback: "${error.code}"}
        - {id: b, type: set, value: 1, retry: {on: "${error.code == 'x'}"}}
        - {id: c, type: set, value: "${error.code}"}
    """) == ["5:32: P001 'error' is neither a step that can be read here nor a known name"]


def test_p002_a_key_that_no_step_has() -> None:
    assert lines_of_steps("""
        - {id: a, type: set, value: 1}
        - {id: b, type: set, value: "${a.respons.x}"}
        - {id: c, type: set, value: "${a.zzz}"}
        - {id: d, type: set, value: "${a[0]}"}
    """) == [
        "4:32: P002 step 'a' has no 'respons' (did you mean 'response'?)",
        "5:32: P002 step 'a' has no 'zzz' (a step has response, status, error, attempts)",
        "6:32: P002 step 'a' has no '0' (a step has response, status, error, attempts)",
    ]


def test_p002_the_extra_keys_of_a_call_are_known_and_only_there() -> None:
    assert lines_of_steps("""
        - {id: a, type: ask, request: {}}
        - {id: b, type: set, value: ["${a.note}", "${a.nota}"]}
        - {id: c, type: set, value: "${b.note}"}
    """) == [
        "4:46: P002 step 'a' has no 'nota' (did you mean 'note'?)",
        "5:32: P002 step 'b' has no 'note' (a step has response, status, error, attempts)",
    ]


def test_p002_a_key_that_the_execution_does_not_have() -> None:
    assert lines_of_steps(
        '- {id: b, type: set, value: "${execution.ids + execution.zz}"}'
    ) == [
        "3:32: P002 'execution' has no 'ids' (did you mean 'id'?)",
        "3:32: P002 'execution' has no 'zz' "
        "(it has id, workflow, version, started_at, attempt)",
    ]


def test_p003_a_circle_is_printed_as_a_path() -> None:
    assert lines_of_steps("""
        - {id: start, type: set, value: 1}
        - {id: a, type: set, value: "${c.response}"}
        - {id: b, type: set, value: "${a.response}"}
        - {id: c, type: set, value: 1, depends_on: [b, start]}
        - {id: behind, type: set, value: "${c.response}"}
    """) == [
        "4:3: P003 steps wait for each other in a circle: a → c → b → a "
        "(a → b means that a waits for b)"
    ]


def test_p003_a_circle_through_a_nested_step() -> None:
    (line,) = lines_of_steps("""
        - id: a
          type: sequence
          steps:
            - {id: x, type: set, value: "${b.response}"}
        - {id: b, type: set, value: "${a.response}"}
    """)
    assert line.startswith("3:3: P003 steps wait for each other in a circle: a → b → a")


def test_p003_a_long_circle_is_shortened() -> None:
    steps = [
        {"id": f"s{n}", "type": "set", "value": f"${{s{(n + 1) % 500}.response}}"}
        for n in range(500)
    ]
    (line,) = lines_of(json.dumps({"name": "x", "steps": steps}), "x.json")
    assert "s0 → s1 → s2" in line
    assert "s15 → … 482 more … → s498 → s499 → s0" in line
    assert len(line) < 250


def test_p003_a_step_that_waits_for_itself() -> None:
    hint = "(only its `output` may read the step itself)"
    assert lines_of_steps("""
        - {id: a, type: set, value: "${a.response}"}
        - {id: b, type: set, value: 1, depends_on: [b]}
        - {id: c, type: set, value: 1, output: "${c.response}"}
    """) == [
        f"3:3: P003 step 'a' waits for itself: a → a {hint}",
        f"4:3: P003 step 'b' waits for itself: b → b {hint}",
    ]


def test_p004_an_id_that_is_taken() -> None:
    assert lines_of_steps("""
        - {id: a, type: set, value: 1}
        - {id: b, type: set, value: 1}
        - {type: set, value: 2, id: a}
    """) == ["5:29: P004 step id 'a' is taken by the step in line 3 (ids are unique)"]


def test_p005_an_id_that_would_hide_one_further_out() -> None:
    assert lines_of_steps("""
        - id: fan
          type: parallel
          branches:
            l: {steps: [{id: a, type: set, value: 1}]}
            r: {steps: [{id: fan, type: set, value: 1}]}
        - {id: a, type: set, value: 1}
    """) == [
        "6:22: P005 step id 'a' would hide a step of the same id further out "
        "(choose another id)",
        "7:22: P005 step id 'fan' would hide a step of the same id further out "
        "(choose another id)",
    ]


def test_a_fallback_step_without_an_id_hides_no_step_and_is_hidden_by_none() -> None:
    assert not lines_of_steps("""
        - {id: fallback, type: set, value: 1}
        - id: a
          type: fail
          depends_on: [fallback]
          fallback:
            type: sequence
            steps:
              - {id: b, type: fail, fallback: {type: fail, fallback: {type: set, value: 1}}}
              - {id: c, type: set, value: "${fallback.response}", depends_on: [fallback]}
            fallback: {type: set, value: 1, output: "${fallback.response}"}
    """)


def test_a_fallback_step_without_an_id_is_read_by_its_own_output_alone() -> None:
    assert lines_of_steps("""
        - {id: a, type: fail, fallback: {type: set, value: "${fallback.response}"}}
    """) == [
        "3:55: P001 'fallback' is neither a step that can be read here nor a known name"
    ]


def test_p006_depends_on_a_step_that_is_not_there() -> None:
    assert lines_of_steps("""
        - {id: user, type: set, value: 1}
        - {id: b, type: set, value: 1, depends_on: [user, usr, zzz]}
    """) == [
        "4:51: P006 there is no step 'usr' to wait for (did you mean 'user'?)",
        "4:56: P006 there is no step 'zzz' to wait for",
    ]


def test_p008_in_a_sequence_a_step_sees_only_those_before_it() -> None:
    hint = "(a step sees what has settled before it starts)"
    assert lines_of("""
        name: test
        order: sequence
        steps:
          - {id: a, type: set, value: "${b.response}"}
          - {id: b, type: set, value: "${a.response}"}
          - {id: c, type: set, value: "${c.response}"}
          - {id: d, type: set, value: 1, depends_on: [a, e]}
          - {id: e, type: set, value: 1, output: "${e.response}"}
        output: ["${a.response}", "${e.response}"]
    """) == [
        f"4:34: P008 step 'b' has not run yet where this is read {hint}",
        f"6:34: P008 step 'c' has not run yet where this is read {hint}",
        "7:50: P008 step 'e' runs only later (move it up)",
    ]


def test_p008_an_inner_step_cannot_read_the_step_around_it() -> None:
    (line,) = lines_of_steps("""
        - id: a
          type: sequence
          steps:
            - {id: x, type: set, value: "${a.response}"}
    """)
    assert line.startswith("6:36: P008 step 'a' has not run yet where this is read")


def test_p008_a_fallback_cannot_read_the_step_that_it_stands_in_for() -> None:
    (line,) = lines_of_steps("""
        - {id: a, type: set, value: 1, fallback: {type: set, value: "${a.error}"}}
    """)
    assert line.startswith("3:64: P008 step 'a' has not run yet")


def test_p009_steps_behind_the_end_are_warned_of() -> None:
    hint = "(give the step that ends it a condition)"
    assert lines_of_steps("""
        - {id: end, type: return, value: 1}
        - {id: a, type: set, value: 1, depends_on: [end]}
        - {id: b, type: set, value: "${a.response}"}
        - {id: c, type: set, value: 1}
    """) == [
        f"4:3: warning P009 step 'a' never runs: the workflow ends before it {hint}",
        f"5:3: warning P009 step 'b' never runs: the workflow ends before it {hint}",
    ]


def test_p009_in_a_sequence_everything_behind_the_end() -> None:
    lines = lines_of("""
        name: test
        order: sequence
        steps:
          - {id: a, type: set, value: 1}
          - {id: end, type: fail}
          - {id: b, type: set, value: 1}
    """)
    assert [line[:18] for line in lines] == ["6:5: warning P009 "]


@pytest.mark.parametrize(
    "end",
    [
        "{id: end, type: return, condition: '${input.x}'}",
        "{id: end, type: return, condition: false}",
        "{id: end, type: return, disabled: true}",
        "{id: end, type: fail, on_error: continue}",
        "{id: end, type: fail, fallback: 1}",
    ],
)
def test_p009_is_silent_where_the_workflow_may_go_on(end: str) -> None:
    steps = f"- {end}\n- {{id: a, type: set, value: 1, depends_on: [end]}}"
    assert lines_of_steps(steps) == []


def test_p003_every_knot_of_circles_is_printed_once() -> None:
    lines = lines_of_steps("""
        - {id: a, type: set, value: "${b.response}"}
        - {id: b, type: set, value: "${a.response}"}
        - {id: c, type: set, value: ["${d.response}", "${a.response}"]}
        - {id: d, type: set, value: "${e.response}"}
        - {id: e, type: set, value: ["${c.response}", "${d.response}"]}
    """)
    assert [line.partition(" (")[0].rpartition(": ")[2] for line in lines] == [
        "a → b → a",
        "c → d → e → c",
    ]


def test_p010_a_key_that_a_closed_input_lacks_is_an_error() -> None:
    assert lines_of(CLOSED) == [
        "4:34: P010 'input' has no key 'usr_id' (did you mean 'user_id'?)"
    ]


def test_p010_a_near_miss_in_an_open_input_is_a_warning() -> None:
    (finding,) = findings_in(CLOSED.replace("additionalProperties: false", ""))
    assert (finding.code, finding.severity) == ("P010", Severity.WARNING)
    assert finding.hint == "did you mean 'user_id'?"


def test_p010_arrays_and_references_of_the_input_are_followed() -> None:
    assert lines_of("""
        name: test
        input:
          type: object
          properties:
            items: {type: array, items: {$ref: "#/$defs/item"}}
          $defs:
            item:
              type: object
              properties: {sku: {type: string}}
              additionalProperties: false
        steps:
          - id: a
            type: set
            value: ["${input.items[0].sku}", "${input.items[0].sky}"]
          - id: b
            type: set
            value: ["${input.items.first}", "${input.items[0].sku.length}"]
    """) == [
        "14:41: P010 'input.items[0]' has no key 'sky' (did you mean 'sku'?)",
        "17:16: P010 'input.items' is array: it has no 'first'",
        "17:40: P010 'input.items[0].sku' is string: it has no 'length'",
    ]


@pytest.mark.parametrize(
    "where",
    [
        "condition: '${secrets.a == 1}'",
        "output: '${secrets.a}'",
        "fallback: '${secrets.a}'",
        "idempotency_key: '${secrets.a}'",
        "depends_on: [], value: '${secrets.a}'",
    ],
)
def test_p011_secrets_outside_a_calls_request(where: str) -> None:
    value = "" if "value" in where else "value: 1, "
    (line,) = lines_of_steps(f"- {{id: a, type: set, {value}{where}}}")
    assert "P011 secrets can be read only inside a call's request" in line


def test_p011_secrets_inside_a_request_are_fine() -> None:
    assert lines_of_steps('- {id: a, type: ask, request: {k: "${secrets.a}"}}') == []


def test_p012_a_step_inside_another_names_the_way_to_its_value() -> None:
    assert lines_of("""
        name: test
        steps:
          - id: fan
            type: parallel
            branches:
              left: {steps: [{id: x, type: set, value: 1}]}
              right: {steps: [{id: y, type: set, value: "${x.response}"}]}
          - {id: b, type: set, value: "${x.response}"}
        output: ${y.response}
    """) == [
        "7:52: P012 step 'x' is inside 'fan' and cannot be seen from here "
        "(a branch or a fallback does not see the steps of another)",
        "8:34: P012 step 'x' is inside 'fan' and cannot be seen from here "
        "(read 'fan.response' instead)",
        "9:11: P012 step 'y' is inside 'fan' and cannot be seen from here "
        "(read 'fan.response' instead)",
    ]


def test_p012_knows_steps_however_deep_and_in_fallbacks() -> None:
    assert lines_of("""
        name: test
        order: sequence
        steps:
          - {id: b, type: set, value: "${x.response}"}
          - id: g
            type: sequence
            steps:
              - {id: h, type: sequence, steps: [{id: x, type: set, value: 1}]}
            fallback: {id: mirror, type: set, value: "${x.response}"}
          - {id: c, type: set, value: ["${x.response}", "${mirror.response}"]}
    """) == [
        "4:34: P012 step 'x' is inside 'g' and cannot be seen from here "
        "(read 'g.response' instead, after it has run)",
        "9:49: P012 step 'x' is inside 'g' and cannot be seen from here "
        "(a branch or a fallback does not see the steps of another)",
        "10:35: P012 step 'x' is inside 'g' and cannot be seen from here "
        "(read 'g.response' instead)",
        "10:52: P012 step 'mirror' is inside 'g' and cannot be seen from here "
        "(read 'g.response' instead)",
    ]


def test_p014_a_path_parameter_that_a_closed_input_lacks() -> None:
    text = CLOSED.replace("usr_id", "user_id") + "    endpoint: {path: '/users/{usr_id}'}\n"
    assert lines_of(text) == [
        "5:18: P014 path parameter 'usr_id' is no property of the input schema "
        "(did you mean 'user_id'?)"
    ]


def test_p014_is_silent_for_an_open_input() -> None:
    text = CLOSED.replace("usr_id", "user_id").replace("additionalProperties: false", "")
    assert lines_of(text + "    endpoint: {path: '/users/{anything}'}\n") == []


def test_p015_a_step_that_may_be_missing_behind_an_endpoint() -> None:
    text = """
        name: test
        endpoint: {path: /x}
        steps:
          - {id: a, type: ask, request: {}, on_error: continue}
          - {id: b, type: ask, request: {}, on_error: continue, fallback: 1}
          - {id: c, type: ask, request: {}}
    """
    assert lines_of(text) == [
        "4:5: warning P015 when 'a' fails, the endpoint answers with an error "
        "(set `partial: true` to answer without it)"
    ]
    assert lines_of(text.replace("path: /x", "path: /x, partial: true")) == []


def test_p016_a_retried_group_would_repeat_an_unsafe_call() -> None:
    unsafe = "{id: x, type: ask, request: {}, effect: unsafe}"
    nested = f"{{id: q, type: sequence, steps: [{unsafe}]}}"
    fallen = f"{{id: q, type: set, value: 1, fallback: {unsafe}}}"
    for inner in (unsafe, nested, fallen):
        steps = f"{{id: a, type: sequence, retry: {{}}, steps: [{inner}]}}"
        assert lines_of_steps(f"- {steps}") == [
            "3:34: P016 a retry of 'a' would repeat the unsafe call 'x' "
            "(retry the call itself, or make it `keyed`)"
        ]
    once = f"{{id: a, type: sequence, retry: {{max_attempts: 1}}, steps: [{unsafe}]}}"
    assert lines_of_steps(f"- {once}") == []
    own = unsafe.replace("effect", "retry: {}, effect")
    assert lines_of_steps(f"- {{id: a, type: sequence, steps: [{own}]}}") == []


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("${a", "30: E001 '${' is never closed (write $${ for a literal ${)"),
        ("x ${ }", "32: E003 an empty expression (write $${ for a literal ${)"),
        ("${1 +}", "35: E004 the expression ends too early"),
        ("x ${1 + foo(2)}", "38: E005 there is no function 'foo' (did you mean 'floor'?)"),
        ("${1 + 'a'}", "34: E006 '+' does not take (int, string)"),
        (
            f"${{{'1 + ' * 1_024}1}}",
            "32: E007 the expression has 4,097 characters; "
            "at most 4,096 are allowed, paths not counted",
        ),
        (
            "${Foo{a: 1}}",
            "32: E008 messages cannot be made; an object is written without a name",
        ),
    ],
    ids=["E001", "E003", "E004", "E005", "E006", "E007", "E008"],
)
def test_expressions_that_cannot_be_compiled_are_found_at_their_character(
    value: str, line: str
) -> None:
    assert lines_of_steps(f'- {{id: a, type: set, value: "{value}"}}') == [f"3:{line}"]


def test_a_key_is_never_a_template() -> None:
    (line,) = lines_of_steps('- {id: a, type: set, value: {"${input.a}": 1}}')
    assert "E002 '${input.a}': keys cannot be templates" in line


def test_a_column_is_right_behind_escapes_and_in_every_kind_of_text() -> None:
    lines = lines_of("""
        name: test
        steps:
          - {id: a, type: set, value: "é\\t\\"${nope1.x}"}
          - {id: b, type: set, value: 'it''s ${nope2.x}'}
          - {id: c, type: set, value: [1, "a", "${nope3.x}"]}
          - id: d
            type: set
            value: |
              first
              second ${nope4.x}
    """)
    assert [line.partition(": ")[0] for line in lines] == ["3:39", "4:40", "5:43", "10:16"]


def test_json_documents_are_placed_too() -> None:
    text = (
        '{"name": "t", "steps": [\n  {"id": "a", "type": "set", "value": "\\n${nope.x}"}]}'
    )
    assert lines_of(text, "w.json") == [
        "2:44: P001 'nope' is neither a step that can be read here nor a known name"
    ]


def test_findings_of_all_sorts_come_together_in_document_order() -> None:
    lines = lines_of("""
        name: test
        input: {type: objekt}
        endpoint: {path: /x, headers: {a: "${nope.x}"}}
        steps:
          - {id: a, type: set, value: "${1 +}"}
          - {id: a, type: set, value: "${zzz}", depends_on: [q]}
        output: ${execution.x}
    """)
    assert [line.split()[1] for line in lines] == [
        "P013",
        "P001",
        "E004",
        "P004",
        "P001",
        "P006",
        "P002",
    ]


def test_one_wrong_name_read_twice_in_one_expression_is_one_finding() -> None:
    assert len(lines_of_steps('- {id: a, type: set, value: "${b.x + b.y + b.x}"}')) == 1


def test_a_wrong_default_is_found_once_however_many_steps_have_it() -> None:
    lines = lines_of("""
        name: test
        defaults: {retry: {on: "${erorr.code == 'x'}"}}
        steps:
          - {id: a, type: ask, request: {}}
          - {id: b, type: ask, request: {}}
    """)
    assert lines == [
        "2:27: P001 'erorr' is neither a step that can be read here nor a known name "
        "(did you mean 'error'?)"
    ]


def test_a_text_full_of_mistakes_is_reported_up_to_fifty() -> None:
    steps = [{"id": f"s{n}", "type": "set", "value": f"${{t{n}.x}}"} for n in range(60)]
    found = findings_in(json.dumps({"name": "x", "steps": steps}), "x.json")
    assert [one.code for one in found] == ["P001"] * 50 + ["D099"]
    assert found[-1].message == "there is more wrong than these 50 problems"


def test_many_warnings_are_no_error() -> None:
    steps = [
        {"id": "end", "type": "return"},
        *(
            {"id": f"s{n}", "type": "set", "value": 1, "depends_on": ["end"]}
            for n in range(60)
        ),
    ]
    found = findings_in(json.dumps({"name": "x", "steps": steps}), "x.json")
    assert [one.code for one in found] == ["P009"] * 50 + ["D099"]
    assert {one.severity for one in found} == {Severity.WARNING}
    assert found[-1].message == "10 more warnings are not listed"


def test_a_long_value_does_not_fill_the_screen() -> None:
    (line,) = lines_of(
        "name: t\ntimeout: " + "1" * 5_000 + "x\nsteps: [{id: a, type: set, value: 1}]"
    )
    assert len(line) < 450

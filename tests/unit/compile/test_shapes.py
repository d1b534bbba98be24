"""The shape of documents as seen through the compiler: every D1… code, words to come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plait.compile import compile_text
from plait.connectors.http.step import HttpStep
from plait.document import Catalog
from tests.simulation.asking import plan_of
from tests.unit.compile.reading import findings_in, lines_of, lines_of_steps

EXAMPLES = Path(__file__).parents[3] / "examples" / "language"
STEP: dict[str, Any] = {"id": "a", "type": "set", "value": 1}

LATER_TYPES = "grpc graphql sql file email notify publish llm transform validate"
LATER_ENDPOINT_KEYS = "prefer_async"


@pytest.mark.parametrize("name", ["user-profile.yaml", "registration.json"])
def test_the_documents_of_the_language_page_have_no_findings(name: str) -> None:
    data = (EXAMPLES / name).read_bytes()
    assert compile_text(data, name=name, catalog=Catalog([HttpStep])).warnings == ()


def test_d101_an_unknown_key_with_the_nearest_known_one() -> None:
    assert lines_of("""
        name: test
        timeuot: 5s
        steps:
          - {id: a, type: ask, request: {}, retry: {max_atempts: 3}, conditoin: true}
        endpoint: {path: /x, partail: true}
        defaults: {rety: {}}
    """) == [
        "2:1: D101 unknown key 'timeuot' (did you mean 'timeout'?)",
        "4:45: D101 unknown key 'max_atempts' (did you mean 'max_attempts'?)",
        "4:62: D101 unknown key 'conditoin' (did you mean 'condition'?)",
        "5:22: D101 unknown key 'partail' (did you mean 'partial'?)",
        "6:12: D101 unknown key 'rety' (did you mean 'retry'?)",
    ]


def test_d101_without_a_near_key_all_are_named() -> None:
    (line,) = lines_of_steps("- {id: a, type: set, value: 1, retry: {zzz: 3}}")
    assert line.endswith(
        "(known keys: backoff, budget, delay, factor, jitter, max_attempts, max_delay, on)"
    )


def test_d102_a_missing_key() -> None:
    assert lines_of(
        "steps: [{type: set, value: 1}, {id: b, value: 1}, {id: c, type: set}]"
    ) == [
        "1:1: D102 missing key 'name'",
        "1:9: D102 missing key 'id'",
        "1:32: D102 missing key 'type' (for example `type: http`)",
        "1:51: D102 missing key 'value'",
    ]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("timeout", "5", "a duration is text such as 800ms, 2s, 5m, 1h, 3d or ISO 8601"),
        (
            "timeout",
            "'5 s'",
            "'5 s' is not a duration; write 800ms, 2s, 5m, 1h, 3d or ISO 8601",
        ),
        ("condition", "'yes'", "a condition is true, false or one expression: ${ … }"),
        (
            "condition",
            "'${input.a} && ${input.b}'",
            "a condition is true, false or one expression: ${ … }",
        ),
        ("condition", "1", "a condition is true, false or one expression: ${ … }"),
        ("depends_on", "5", "should be a list"),
        ("disabled", "'no'", "should be true or false"),
        ("retry", "3", "should be a mapping"),
    ],
)
def test_d103_a_value_of_the_wrong_shape(key: str, value: str, message: str) -> None:
    assert lines_of_steps(f"- {{id: a, type: set, value: 1, {key}: {value}}}") == [
        f"3:{34 + len(key)}: D103 '{key}': {message}"
    ]


def test_d103_a_word_with_the_nearest_known_one() -> None:
    (line,) = lines_of_steps("- {id: a, type: set, value: 1, retry: {backoff: exponental}}")
    assert line == (
        "3:49: D103 'backoff': should be 'fixed', 'linear', 'exponential' or 'random' "
        "(did you mean 'exponential'?)"
    )


@pytest.mark.parametrize("word", ["conect", "600", "5xy", "expression", "99", "connector."])
def test_d103_a_word_that_no_error_could_match(word: str) -> None:
    (line,) = lines_of_steps(f"- {{id: a, type: set, value: 1, retry: {{on: [{word}]}}}}")
    assert line.startswith("3:45: D103 'on': ")
    assert "is no status (503, 5xx), class (any, connect, timeout) or error code" in line


def test_every_word_that_no_error_could_match_is_told_at_its_own_place() -> None:
    on = "[timout, 503, conect, [x]]"
    found = lines_of_steps(f"- {{id: a, type: set, value: 1, retry: {{on: {on}}}}}")
    assert [line.partition(" D103 ")[0] for line in found] == ["3:45:", "3:58:", "3:66:"]
    assert found[0].endswith("did you mean 'timeout'?")
    assert found[1].endswith("did you mean 'connect'?")


CODES = ["order.sold_out", "order.Sold-out", "E-17.x", "a.b.c"]


@pytest.mark.parametrize("code", CODES)
def test_every_code_with_a_dot_that_a_fail_may_have_can_be_named(code: str) -> None:
    step = f"{{id: a, type: fail, code: {code}, retry: {{on: [{code}, {code}.*]}}}}"
    endpoint = f"{{path: /x, status: {{{code}: 409}}}}"
    assert not lines_of(f"name: x\nendpoint: {endpoint}\nsteps:\n  - {step}\n")


@pytest.mark.parametrize("code", ["SOLD_OUT", "E-17", "sold_out"])
def test_d103_a_code_without_a_dot_is_told_how_to_be_named(code: str) -> None:
    step = f"{{id: a, type: fail, code: {code}}}"
    endpoint = "{path: /x, status: {%s: 409}}"
    named, told = endpoint % code, endpoint % f"\"${{error.code == '{code}'}}\""
    (line,) = lines_of(f"name: x\nendpoint: {named}\nsteps:\n  - {step}\n")
    assert f"told by an expression: ${{error.code == '{code}'}}" in line
    assert not lines_of(f"name: x\nendpoint: {told}\nsteps:\n  - {step}\n")


@pytest.mark.parametrize("on", ["'a ${error.code}'", "'${error.code} ${error.x}'"])
def test_d103_an_expression_over_the_error_stands_alone(on: str) -> None:
    (line,) = lines_of_steps(f"- {{id: a, type: set, value: 1, retry: {{on: {on}}}}}")
    assert "D103 'on': an expression stands alone" in line


@pytest.mark.parametrize("on", ["[]", "true", "[true]", "5.5", "{}"])
def test_d103_what_names_no_error_at_all(on: str) -> None:
    (line,) = lines_of_steps(f"- {{id: a, type: set, value: 1, retry: {{on: {on}}}}}")
    assert "D103 'on': " in line


@pytest.mark.parametrize(
    ("step_id", "message"),
    [
        ("1a", "an id has letters, digits and '_' only and starts with no digit"),
        ("a-b", "an id has letters, digits and '_' only and starts with no digit"),
        ("''", "an id has letters, digits and '_' only and starts with no digit"),
        ("é", "an id has letters, digits and '_' only and starts with no digit"),
        ("5", "an id has letters, digits and '_' only and starts with no digit"),
        ("input", "'input' is a name that templates use for something else"),
        ("error", "'error' is a name that templates use for something else"),
        ("size", None),
        ("a" * 200, None),
        ("a" * 201, "an id has at most 200 characters"),
    ],
)
def test_d103_an_id_is_what_templates_can_read(step_id: str, message: str | None) -> None:
    lines = lines_of_steps(f"- {{id: {step_id}, type: set, value: 1}}")
    assert len(lines) == (message is not None)
    assert all(f"3:8: D103 'id': {message}" in line for line in lines)


def test_d103_a_join_that_cannot_be_reached() -> None:
    (line,) = lines_of_steps("""
        - id: a
          type: parallel
          join: 3
          branches: {l: {steps: [{id: x, type: set, value: 1}]}}
    """)
    assert "D103 join: 3 needs more branches than the 1 given" in line


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("users", "a path starts with '/'"),
        ("/a/x{b}", "'/x{b}' is no path segment: write fixed text or one {parameter}"),
        ("/{a}/{b}/{a}", "parameter 'a' stands twice in the path"),
        ("/a b", "'/a b' is no path segment: write fixed text or one {parameter}"),
    ],
)
def test_d103_a_path_that_no_request_could_have(path: str, message: str) -> None:
    text = json.dumps({"name": "t", "endpoint": {"path": path}, "steps": [STEP]})
    (finding,) = findings_in(text, "w.json")
    assert (finding.code, finding.message) == ("D103", f"'path': {message}")


def test_twenty_thousand_parameters_are_no_trouble() -> None:
    path = "".join(f"/{{a{n}}}" for n in range(20_000))
    text = json.dumps({"name": "t", "endpoint": {"path": path}, "steps": [STEP]})
    assert findings_in(text, "w.json") == []


def test_d103_a_step_that_is_no_mapping() -> None:
    assert lines_of_steps("- 7\n- [a]") == [
        "3:3: D103 a step is a mapping with `id` and `type`",
        "4:3: D103 a step is a mapping with `id` and `type`",
    ]


@pytest.mark.parametrize("steps", ["[]", "{}", "5", "null"])
def test_d103_steps_that_are_none(steps: str) -> None:
    (line,) = lines_of(f"name: t\nsteps: {steps}")
    assert line.startswith("2:8: D103 'steps': should ")


def test_d104_an_unknown_step_type() -> None:
    known = (
        "approval, ask, fail, foreach, goto, parallel, repeat, return, route, saga, "
        "sequence, set, switch, try, wait, while, workflow"
    )
    hint = f"known types: {known}; others come with packages: install its own"
    assert lines_of_steps("""
        - {id: a, type: paralel, branches: {b: {steps: [{id: x, type: set, value: 1}]}}}
        - {id: b, type: zzz}
        - {id: c, type: 5}
    """) == [
        "3:17: D104 unknown step type 'paralel' (did you mean 'parallel'?)",
        f"4:17: D104 unknown step type 'zzz' ({hint})",
        f"5:17: D104 unknown step type '5' ({hint})",
    ]


@pytest.mark.parametrize("kind", LATER_TYPES.split())
def test_d105_a_step_type_of_a_later_version_is_refused_by_name(kind: str) -> None:
    assert lines_of_steps(
        f"- {{id: a, type: {kind}, steps: [{{id: x, type: set, value: 1}}]}}"
    ) == [f"3:17: D105 step type '{kind}' is not available in this version"]


@pytest.mark.parametrize("key", LATER_ENDPOINT_KEYS.split())
def test_d105_an_endpoint_key_of_a_later_version_is_refused_by_name(key: str) -> None:
    endpoint = f"endpoint: {{path: /x, {key}: x}}"
    text = f"name: t\n{endpoint}\nsteps: [{{id: a, type: set, value: 1}}]"
    assert lines_of(text) == [f"2:22: D105 '{key}' is not available in this version"]


@pytest.mark.parametrize("keys", ["", ", for: 1s, until: '${input.at}'"])
def test_d103_a_wait_is_for_one_thing(keys: str) -> None:
    assert lines_of_steps(f"- {{id: a, type: wait{keys}}}") == [
        "3:3: D103 a wait has one of `for`, `until` and `event`"
    ]


@pytest.mark.parametrize(
    ("wait", "finding"),
    [
        ("until: 2026-12-24", "30: D103 'until': '2026-12-24' is not a moment; "),
        ("until: 2026-12-24T18:00", "30: D103 'until': '2026-12-24T18:00' is not a m"),
        ("until: 2026-02-30T00:00:00Z", "30: D103 'until': '2026-02-30T00:00:00Z' is"),
        ("until: 7", "30: D103 'until': a moment is text such as 2026-12-24T18:00:00Z"),
        ("event: {name: so bad}", "37: D103 'name': an event's name has letters"),
        ("event: {}", "30: D102 missing key 'name'"),
        ("event: {name: e, timeout: soon}", "49: D103 'timeout': 'soon' is not a dur"),
        ("event: {name: e, match: yes}", "47: D103 'match': a condition is true, fal"),
        ("event: {name: e, match: '${event.x == user}'}", "50: P001 'user' is neither"),
        ("event: {name: e, mach: true}", "40: D101 unknown key 'mach' (did you mean"),
    ],
)
def test_a_wait_that_cannot_be_is_found_at_its_place(wait: str, finding: str) -> None:
    (line,) = lines_of_steps(f"- {{id: a, type: wait, {wait}}}")
    assert line.startswith(f"3:{finding}"), line


@pytest.mark.parametrize(
    ("keys", "finding"),
    [
        ("approvers: []", "38: D103 'approvers': should be a list of names, or a templ"),
        ("approvers: ann", "38: D103 'approvers': should be a list of names, or a templ"),
        ("approvers: ['${who}']", "42: P001 'who' is neither"),
        ("title: '${who}'", "37: P001 'who' is neither"),
        ("description: '${who}'", "43: P001 'who' is neither"),
        ("retry: {}", "3: D103 an approval is asked for once: it takes no `retry`"),
    ],
)
def test_an_approval_that_cannot_be_is_found_at_its_place(keys: str, finding: str) -> None:
    (line,) = lines_of_steps(f"- {{id: a, type: approval, {keys}}}")
    assert line.startswith(f"3:{finding}"), line


CREDENTIAL = """
name: x
MODE
steps:
- {id: a, type: ask, request: {q: "${trigger.headers.READ}"}}
"""


@pytest.mark.parametrize("read", ["authorization", "cookie", "?cookie.orValue('')"])
@pytest.mark.parametrize("mode", ["", "endpoint: {path: /x, wait: 2s}\nmode: express"])
def test_p022_what_is_kept_reads_no_header_that_lets_its_bearer_in(
    read: str, mode: str
) -> None:
    (line,) = lines_of(CREDENTIAL.replace("MODE", mode).replace("READ", read))
    assert "P022 header '" in line
    assert "durable execution would keep it (call with a secret of" in line


@pytest.mark.parametrize(
    ("read", "mode"),
    [("authorization", "mode: express"), ("who", ""), ("size()", "")],
)
def test_other_headers_and_express_workflows_read_as_they_like(
    read: str, mode: str
) -> None:
    assert lines_of(CREDENTIAL.replace("MODE", mode).replace("READ", read)) == []


def test_p017_an_express_workflow_cannot_wait_for_somebody_outside() -> None:
    inside = "{id: w, type: wait, event: {name: paid}}"
    text = f"mode: express\nsteps:\n- {{id: a, type: sequence, steps: [{inside}]}}"
    assert lines_of(f"name: x\n{text}") == [
        "4:35: P018 step 'w' waits for somebody outside the workflow "
        "(set `mode: durable`, or give its endpoint a `wait`)"
    ]


@pytest.mark.parametrize(
    ("compensate", "finding"),
    [
        ("{type: return}", "44: P019 a compensation cannot end the workflow"),
        ("x", "44: D103 'compensate': should be a mapping"),
        ("{type: set, value: '${b}'}", "66: P001 'b' is neither"),
        ("{type: set, value: 1, compensate: {type: set, value: 1}}", "78: P019 step 'c"),
    ],
)
def test_a_compensation_that_cannot_be_is_found_at_its_place(
    compensate: str, finding: str
) -> None:
    (line,) = lines_of_steps(f"- {{id: a, type: wait, for: 1s, compensate: {compensate}}}")
    assert line.startswith(f"3:{finding}"), line


def test_a_compensation_reads_its_step_and_why_it_is_undone() -> None:
    undo = "{type: set, value: ['${a.response}', '${error.code}', '${z.status}']}"
    assert (
        lines_of_steps(f"""
        - {{id: z, type: set, value: 1}}
        - {{id: a, type: set, value: 1, compensate: {undo}}}
    """)
        == []
    )


def test_d105_a_fallback_of_a_later_type_is_no_value() -> None:
    assert lines_of_steps(
        "- {id: a, type: set, value: 1, fallback: {type: grpc, request: {}}}"
    ) == ["3:49: D105 step type 'grpc' is not available in this version"]


def test_a_fallback_value_may_have_a_type_of_its_own() -> None:
    assert (
        lines_of_steps("- {id: a, type: set, value: 1, fallback: {type: guest, name: x}}")
        == []
    )


def test_a_misspelt_type_of_a_fallback_step_is_found() -> None:
    (line,) = lines_of_steps(
        "- {id: a, type: set, value: 1, fallback: {type: aks, request: {}}}"
    )
    assert line.endswith("D104 unknown step type 'aks' (did you mean 'ask'?)")


def test_mistakes_inside_nested_steps_are_found_wherever_they_stand() -> None:
    assert lines_of_steps("""
        - id: a
          type: parallel
          brnches: 1
          branches:
            l: {steps: [{id: x, type: sett, value: 1}], outptu: 1}
        - id: b
          type: sequence
          steps:
            - {id: y, type: set, vlue: 1, fallback: {type: set, id: z}}
    """) == [
        "5:3: D101 unknown key 'brnches' (did you mean 'branches'?)",
        "7:31: D104 unknown step type 'sett' (did you mean 'set'?)",
        "7:49: D101 unknown key 'outptu' (did you mean 'output'?)",
        "11:7: D102 missing key 'value'",
        "11:26: D101 unknown key 'vlue' (did you mean 'value'?)",
        "11:45: D102 missing key 'value'",
    ]


@pytest.mark.parametrize("text", ["", "[]", "5", "null", "# nothing", "- a", "'text'"])
def test_a_text_that_is_no_mapping_is_refused(text: str) -> None:
    assert [one.code for one in findings_in(text)] in (["D003"], ["D004"])


def test_every_setting_may_be_null_and_then_is_not_there() -> None:
    keys = (
        "description",
        "condition",
        "timeout",
        "attempt_timeout",
        "retry",
        "on_error",
        "effect",
        "idempotency_key",
        "annotations",
    )
    bare, nulls = (
        plan_of({"steps": [STEP]}),
        plan_of({"steps": [STEP | dict.fromkeys(keys)]}),
    )
    assert bare.scope.nodes[0].condition is nulls.scope.nodes[0].condition is None
    assert nulls.scope.nodes[0].idempotency_key is None


def test_annotations_and_descriptions_never_change_the_plan() -> None:
    noted = {**STEP, "description": "…", "annotations": {"x": ["${no.template}"]}}
    plain = plan_of({"steps": [STEP]}).scope
    assert plan_of({"steps": [noted], "annotations": {"y": 1}}).scope == plain

"""Templates that read nothing have one value, and it is looked at before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from plait.compile import CompileErrors
from tests.unit.compile.plans import call, plan_of
from tests.unit.compile.reading import lines_of_steps

NOT_BOOL = "a condition must be true or false, and this one is"
WHAT_A_DURATION_IS = "a duration is text such as 800ms, 2s, 5m, 1h, 3d or ISO 8601"


def test_p017_what_reads_nothing_and_never_works() -> None:
    found = lines_of_steps("""
        - {id: a, type: wait, for: "${5}"}
        - {id: b, type: wait, for: "${'abc'}"}
        - {id: c, type: set, value: 1, condition: "${1}"}
        - {id: d, type: set, value: 1, condition: "${1 / 0 == 1}"}
        - {id: e, type: ask, request: {}, retry: {on: "${'x'}"}}
        - {id: f, type: wait, for: "${5}ms", condition: "${1 < 2}"}
        - {id: g, type: wait, for: "${input.n}", condition: "${input.n}"}
    """)
    told = [line.partition(": ")[2].partition(", and so never works: ") for line in found]
    assert [(what, why.partition(";")[0]) for what, _, why in told] == [
        ("P017 'for' reads nothing", WHAT_A_DURATION_IS),
        ("P017 'for' reads nothing", "'abc' is not a duration"),
        ("P017 'condition' reads nothing", f"${{1}}: {NOT_BOOL} a number"),
        ("P017 'condition' reads nothing", "${1 / 0 == 1}: an integer is divided by zero"),
        ("P017 'on' reads nothing", f"${{'x'}}: {NOT_BOOL} text"),
    ]


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"text": "${5}"}, "`text` is not a text"),
        ({"headers": {"X-A": "${'a' + '\\n'}"}}, "header 'X-A' holds a line break"),
        ({"binary": "${'!'}"}, "`binary` is not base64"),
        ({"method": "${'PULL'}"}, "the method is not one of"),
    ],
)
def test_a_request_that_reads_nothing_and_cannot_be_sent_is_found(
    request_: dict[str, Any], why: str
) -> None:
    with pytest.raises(CompileErrors) as caught:
        plan_of(call("a") | {"request": {"url": "http://h/", **request_}})
    (found,) = caught.value.diagnostics
    assert found.code == "P017"
    assert why in found.message
    plan_of(call("a") | {"request": {"url": "http://h/", "text": "${'5'}"}})

"""What the compiler finds wrong with loops."""

from __future__ import annotations

import re

import pytest

from tests.unit.compile.reading import lines_of_steps


@pytest.mark.parametrize(
    ("loop", "is_endless"),
    [
        ("type: while, while: true", True),
        ('type: while, while: "${true}"', True),
        ("type: repeat, until: false", True),
        ('type: while, while: "${ true }"', True),
        ('type: while, while: "${1 == 1}"', True),
        ('type: repeat, until: "${!(2 > 1)}"', True),
        ("type: while, while: true, break: false", True),
        ('type: while, while: true, break: "${ 1 > 2 }"', True),
        ('type: while, while: "${ false }"', False),
        ('type: while, while: "${1 / 0 == 1 || previous == null}"', False),
        ('type: while, while: true, break: "${x.response > 1}"', False),
        ('type: while, while: "${iteration < 3}"', False),
        ("type: while, while: false", False),
        ("type: repeat, until: true", False),
    ],
)
def test_p021_a_loop_that_only_a_failure_ends(loop: str, is_endless: bool) -> None:
    step = f"{{id: l, {loop}, steps: [{{id: x, type: set, value: 1}}]}}"
    found = lines_of_steps(f"- {step}")
    assert found == (
        [
            "3:3: P021 the loop 'l' cannot end: its condition never changes (let it read "
            "`previous` or a step inside, or give the loop a `break`)"
        ]
        if is_endless
        else []
    )


@pytest.mark.parametrize(
    ("loop", "is_idle"),
    [
        ('type: repeat, until: "${x.response == 1}", continue: true', True),
        ("type: repeat, until: true, continue: true", True),
        ('type: repeat, until: true, continue: "${1 < 2}", break: true', True),
        ("type: while, while: true, continue: true, break: true", True),
        ('type: while, while: "${iteration < 3}", continue: true', False),
        ("type: while, while: false, continue: true", False),
        ("type: repeat, until: true, continue: false", False),
        ('type: repeat, until: true, continue: "${iteration < 3}"', False),
    ],
)
@pytest.mark.parametrize("inner", ["{id: x, type: set, value: 1}", "{id: x, type: return}"])
def test_p021_a_loop_that_passes_over_all_its_iterations(
    loop: str, is_idle: bool, inner: str
) -> None:
    found = lines_of_steps(f"- {{id: l, {loop}, steps: [{inner}]}}")
    assert bool(found) == is_idle, found
    what = "P021 the loop 'l' cannot end: `continue` passes over all of it (let `continue`"
    assert all(what in line for line in found)


@pytest.mark.parametrize(
    ("loop", "is_stuck"),
    [
        ('type: while, while: "${input.more}"', True),
        ('type: while, while: "${o.response < 3}"', True),
        ("type: while, while: \"${env.MORE == 'yes'}\"", True),
        ("type: repeat, until: \"${input.done || o.status == 'failed'}\"", True),
        ('type: while, while: "${input.more}", break: "${input.done}"', True),
        ('type: while, while: true, break: "${input.done}"', True),
        ('type: while, while: "${input.more}", break: false', True),
        ('type: while, while: "${input.more && iteration < 3}"', False),
        ('type: repeat, until: "${input.done || x.response == 1}"', False),
        ('type: while, while: "${input.more}", break: "${previous != null}"', False),
        ('type: while, while: "${input.more}", break: true', False),
        ('type: repeat, until: true, break: "${input.done}"', False),
    ],
)
def test_p021_a_loop_that_ends_at_once_or_never_is_a_warning(
    loop: str, is_stuck: bool
) -> None:
    lines = lines_of_steps(f"""
        - {{id: o, type: set, value: 1}}
        - {{id: l, {loop}, steps: [{{id: x, type: set, value: 1}}]}}
    """)
    assert lines == (
        [
            "4:3: warning P021 the loop 'l' ends at once or never: nothing in it changes "
            "that (let it read `previous` or a step inside, or give the loop a `break`)"
        ]
        if is_stuck
        else []
    )
    left = '{id: x, type: return, condition: "${o.response > 1}"}'
    steps = f"- {{id: o, type: set, value: 1}}\n- {{id: l, {loop}, steps: [{left}]}}"
    assert lines_of_steps(steps) == []


@pytest.mark.parametrize("last", ["type: return", "type: fail"])
def test_p021_a_loop_may_be_left_by_a_step_inside(last: str) -> None:
    end = f'{{id: r, {last}, condition: "${{iteration == 3}}"}}'
    inner = f"{{id: q, type: sequence, steps: [{end}]}}"
    assert lines_of_steps(f"- {{id: l, type: while, while: true, steps: [{inner}]}}") == []


@pytest.mark.parametrize(
    "way_out",
    [
        "{id: r, type: return, disabled: true}",
        "{id: r, type: return, condition: false}",
        '{id: r, type: fail, condition: "${ 1 > 2 }"}',
        "{id: q, type: sequence, condition: false, steps: [{id: r, type: return}]}",
        '{id: w, type: switch, cases: [{when: "${1>2}", steps: [{id: r, type: return}]}]}',
    ],
)
def test_p021_a_way_out_that_is_never_taken_is_none(way_out: str) -> None:
    step = f"- {{id: l, type: while, while: true, steps: [{way_out}]}}"
    (line,) = lines_of_steps(step)
    assert "3:3: P021 the loop 'l' cannot end" in line


HEARTBEAT = "{id: beat, type: while, while: true, steps: [{id: b, type: set, value: 1}]}"
CIRCLE = (
    "{id: c, type: sequence, steps: "
    "[{id: a, type: set, value: 1}, {id: g, type: goto, to: a}]}"
)
HANDOVER = (
    "{id: r, type: route, handlers: "
    "{h: {steps: [{id: v, type: set, value: 1}], next: [{to: h}]}}}"
)
WORK = "{id: w, type: set, value: 1}"
STOP = "{id: s, type: return, depends_on: [w]}"


def race(join: str, *branches: str) -> str:
    named = ", ".join(f"b{at}: {{steps: [{one}]}}" for at, one in enumerate(branches))
    return f"{{id: p, type: parallel, join: {join}, branches: {{{named}}}}}"


TRY = f"{{id: t, type: try, finally: {{steps: [{WORK}]}}, steps: [ENDLESS]}}"
# Runs for ever, or not at all.
MAYBE = '{{id: m, type: sequence, condition: "${{{}}}", steps: [ENDLESS]}}'


def unlike(steps: str, endless: str) -> str:
    """Return steps in which `ENDLESS` and races have ids of their own."""
    parts = re.split("ENDLESS|id: p", steps)
    marks = re.findall("ENDLESS|id: p", steps)
    own = [
        f"id: p{at}"
        if mark == "id: p"
        else re.sub(r"(id: |to: (?=a))(\w+)", rf"\1\g<2>{at}", endless)
        for at, mark in enumerate(marks)
    ]
    return "".join(map("".join, zip(parts, [*own, ""], strict=True)))


@pytest.mark.parametrize("endless", [HEARTBEAT, CIRCLE, HANDOVER])
@pytest.mark.parametrize(
    "steps",
    [
        [race("any", WORK, "ENDLESS")],
        [race("1", WORK, "ENDLESS")],
        [race("all", f"{WORK}, {STOP}", "ENDLESS")],
        ["ENDLESS", WORK, STOP],
        ["{id: q, type: sequence, steps: [ENDLESS]}", WORK, STOP],
        [f"{{id: q, type: sequence, steps: [{race('any', WORK, 'ENDLESS')}]}}"],
        [
            "{id: f, type: foreach, items: [1, 2], order: sequence, steps: "
            '[{id: x, type: return, condition: "${item == 2}"}, ENDLESS]}'
        ],
        [
            "{id: i, type: switch, strategy: all_match, cases: [{when: true, steps: "
            "[ENDLESS]}, {when: true, steps: [{id: x, type: return}]}]}"
        ],
    ],
)
def test_what_runs_beside_something_that_ends_it_may_go_on_for_ever(
    endless: str, steps: list[str]
) -> None:
    lines = [f"- {one.replace('ENDLESS', endless)}" for one in steps]
    assert lines_of_steps("\n".join(lines)) == []


@pytest.mark.parametrize("endless", [HEARTBEAT, CIRCLE, HANDOVER])
@pytest.mark.parametrize(
    "steps",
    [
        [race("all", WORK, "ENDLESS")],
        [race("2", WORK, "ENDLESS")],
        ["ENDLESS", WORK],
        [f"{{id: q, type: sequence, steps: [ENDLESS, {WORK}, {{id: s, type: return}}]}}"],
        ["{id: q, type: sequence, steps: [ENDLESS]}", "{id: s, type: return, VIA: [q]}"],
        ["{id: o, type: set, value: 1, compensate: ENDLESS}", WORK, STOP],
    ],
)
def test_p021_what_only_waits_for_a_loop_does_not_end_it(
    endless: str, steps: list[str]
) -> None:
    lines = [f"- {one.replace('ENDLESS', endless)}" for one in steps]
    found = lines_of_steps("\n".join(lines).replace("VIA", "depends_on"))
    assert [one.split()[1] for one in found if "P009" not in one] == ["P021"]


@pytest.mark.parametrize("endless", [HEARTBEAT, CIRCLE, HANDOVER])
@pytest.mark.parametrize(
    ("steps", "count"),
    [
        (race("any", "ENDLESS", "ENDLESS"), 2),
        (race("2", "ENDLESS", WORK, "ENDLESS"), 2),
        (race("any", "ENDLESS", race("any", "ENDLESS", "ENDLESS")), 3),
        (race("any", "{id: q, type: sequence, steps: [ENDLESS]}", "ENDLESS"), 2),
        (race("any", TRY, "ENDLESS"), 2),
        (race("any", race("all", WORK, "ENDLESS"), "ENDLESS"), 2),
        (race("any", WORK, race("any", "ENDLESS", "ENDLESS")), 0),
        (race("any", f"ENDLESS, {WORK}, {STOP}", "ENDLESS"), 0),
        (race("2", "ENDLESS", WORK, "ENDLESS", WORK), 0),
        (race("any", MAYBE.format("input.a"), MAYBE.format("!input.a")), 0),
        (race("any", "ENDLESS", TRY.replace("type", "disabled: true, type")), 0),
    ],
)
def test_p021_a_race_of_which_too_few_branches_ever_end(
    endless: str, steps: str, count: int
) -> None:
    found = lines_of_steps(f"- {unlike(steps, endless)}")
    assert [one.split()[1] for one in found] == ["P021"] * count


@pytest.mark.parametrize(
    ("following", "more", "is_endless"),
    [
        ("more", "", True),
        ("true", "", True),
        ("3", "", True),
        ('"${1 + 1}"', "", True),
        ("{page: 2}", "", True),
        ('"${g.response}"', "", False),
        ('"${iteration < 3}"', "", False),
        ("null", "", False),
        ("false", "", False),
        ("\"${''}\"", "", False),
        ("more", 'break: "${x.response > 1}", ', False),
        ("more", 'break: "${ 1 > 2 }", ', True),
    ],
)
def test_p021_pages_whose_next_one_never_changes(
    following: str, more: str, is_endless: bool
) -> None:
    fetch = "steps: [{id: g, type: set, value: [1]}]"
    pages = f'pages: {{{fetch}, items: "${{g.response}}", next: {following}}}'
    each = "steps: [{id: x, type: set, value: 1}]"
    lines = lines_of_steps(f"- {{id: f, type: foreach, {pages}, {more}{each}}}")
    assert len(lines) == is_endless
    assert all("P021 the pages of 'f' cannot end: `next` never" in one for one in lines)


def test_names_of_loops_are_known_inside_them_only() -> None:
    lines = lines_of_steps("""
        - id: l
          type: while
          while: "${iteration < 2 && previous != item}"
          break: "${x.response == 1 && index == 1}"
          steps: [{id: x, type: set, value: "${iteration}"}]
          output: "${iteration}"
        - id: f
          type: foreach
          items: "${item}"
          item_retry: {on: "${error.code == item}"}
          steps: [{id: y, type: set, value: "${[item, index, iteration]}"}]
          result: "${y.response}"
        - {id: z, type: set, value: "${x.response}"}
    """)
    found = [(line.split()[0], line.split("'")[1]) for line in lines]
    assert found == [
        ("5:13:", "item"),
        ("6:13:", "index"),
        ("8:14:", "iteration"),
        ("11:13:", "item"),
        ("13:40:", "iteration"),
        ("15:32:", "x"),
    ]


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("type: while, while: 3", "D103"),
        ("type: while", "D102"),
        ("type: repeat, until: true, max_iterations: 0", "D103"),
        ("type: repeat, until: true, max_iterations: 1000001", "D103"),
        ("type: repeat, until: true, delay: 5", "D103"),
        ('type: repeat, until: true, delay: "${5}"', "P017"),
        ('type: repeat, until: "${1}"', "P017"),
        ("type: foreach, items: 3", "D103"),
        ("type: foreach, items: [1], max_concurrency: 0", "D103"),
        ("type: foreach, items: [1], max_concurrency: 1001", "D103"),
        ("type: foreach, items: [1], batch_size: 0", "D103"),
        ("type: foreach, items: [1], batch_delay: 1s", "D103"),
        ("type: foreach, items: [1], item_timeout: 5", "D103"),
        ("type: foreach, items: \"${'x'}\"", "P017"),
        ("type: foreach, items: [1], item_retry: {on: [nope]}", "D103"),
    ],
)
def test_what_is_wrong_with_a_loop_is_found(step: str, found: str) -> None:
    text = f"- {{id: l, {step}, steps: [{{id: x, type: set, value: 1}}]}}"
    assert [line.split()[1] for line in lines_of_steps(text)] == [found]


def test_p016_an_item_that_is_tried_again_would_repeat_an_unsafe_call() -> None:
    inner = "steps: [{id: x, type: ask, request: {}, effect: unsafe}]"
    step = f"{{id: f, type: foreach, items: [1], item_retry: {{}}, {inner}}}"
    (line,) = lines_of_steps(f"- {step}")
    assert " P016 " in line


def test_a_loop_whose_shape_is_wrong_hides_no_other_mistake() -> None:
    lines = lines_of_steps("""
        - id: l
          type: while
          while: "${iteration < 2}"
          until: "${x.response}"
          steps: [{id: x, type: set, value: "${[previous, nope]}"}]
    """)
    assert [line.split()[:2] for line in lines] == [["6:3:", "D101"], ["7:40:", "P001"]]


def test_a_mistake_beside_pages_is_the_only_one_that_is_found() -> None:
    lines = lines_of_steps("""
        - id: f
          type: foreach
          max_concurency: 3
          pages:
            steps: [{id: got, type: set, value: "${next} ${iteration}"}]
            items: ${got.response}
            next: ${got.response}
          steps: [{id: x, type: set, value: "${item} ${index}"}]
    """)
    assert len(lines) == 1
    assert "D101 unknown key 'max_concurency'" in lines[0]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("", "a `foreach` needs `items`, or `pages` that have them"),
        ("items: [1], pages: {PAGES}, ", "a `foreach` has either `items` or `pages`"),
        (
            "pages: {steps: [{id: g, type: set, value: 1}], next: 1}, ",
            "missing key 'items'",
        ),
        ("pages: {PAGES, max_pages: 0}, ", "'max_pages': should be"),
        ("pages: {PAGES, max_page: 1}, ", "unknown key 'max_page'"),
        ("pages: {NOWHERE}, ", "P001 'gott' is neither a step"),
    ],
)
def test_what_is_wrong_with_pages(more: str, problem: str) -> None:
    step = "steps: [{id: g, type: set, value: [1]}]"
    pages = f'{step}, items: "${{g.response}}", next: null'
    given = more.replace("PAGES", pages).replace("NOWHERE", pages.replace("g.r", "gott.r"))
    each = "steps: [{id: x, type: set, value: 1}]"
    lines = lines_of_steps(f"- {{id: f, type: foreach, {given}{each}}}")
    assert len(lines) == 1
    assert problem in lines[0]


def test_names_of_pages_are_known_inside_them_only() -> None:
    lines = lines_of_steps("""
        - id: f
          type: foreach
          pages:
            steps: [{id: g, type: set, value: "${item}"}]
            items: ${g.response}
            next: ${next}
          steps: [{id: x, type: set, value: "${next}"}]
    """)
    assert [line.partition(" is neither")[0] for line in lines] == [
        "6:42: P001 'item'",
        "9:40: P001 'next'",
    ]

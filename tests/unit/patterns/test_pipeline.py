"""Pipeline: stages, hooks, skip rules; and that its types compose."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, assert_type
from unittest.mock import AsyncMock

import pytest
from mypy import api

from plait.compile import compile_text
from plait.patterns import (
    Context,
    Desk,
    ErrorInfo,
    FanOutFanIn,
    HierarchicalRouter,
    PatternFailed,
    Pipeline,
    Retry,
    Route,
    Router,
    Saga,
    SagaStep,
    State,
    StateMachine,
    Transition,
)
from plait.patterns.pipeline import PipelineOutcome


@dataclass
class Article:
    title: str
    text: str


@dataclass
class Summary:
    title: str
    words: int


def parse(raw: str) -> Article:
    title, _, text = raw.partition(":")
    return Article(title, text)


async def summarize(article: Article) -> Summary:
    return Summary(article.title, len(article.text.split()))


def shout(summary: Summary) -> str:
    return f"{summary.title}! ({summary.words})"


async def test_each_stage_takes_what_the_one_before_returned() -> None:
    pipeline = Pipeline.begin("summary", parse).then(summarize).then(shout)
    outcome = await pipeline.run("Tea: is a drink")
    assert outcome.output == "Tea! (3)"
    told = {name: (one.status, one.result) for name, one in outcome.stages.items()}
    assert told == {
        "parse": ("completed", {"title": "Tea", "text": " is a drink"}),
        "summarize": ("completed", {"title": "Tea", "words": 3}),
        "shout": ("completed", "Tea! (3)"),
    }


async def test_the_output_is_what_the_last_stage_says_that_it_returns() -> None:
    outcome = await Pipeline.begin("summary", parse).then(summarize).run("Tea: is")
    assert outcome.output == Summary("Tea", 1)


async def test_two_pipelines_make_one() -> None:
    reading = Pipeline.begin("reading", parse)
    telling = Pipeline.begin("telling", summarize).then(shout)
    outcome = await (reading | telling).renamed("both").run("Tea: a b")
    assert (outcome.pattern, outcome.output) == ("both", "Tea! (2)")


async def test_a_pipeline_put_behind_another_has_an_input_of_its_own() -> None:
    def length(context: Context[Article]) -> int:
        return len(context.input.text)

    def both(context: Context[str]) -> list[Any]:
        return [context.input, context.results["length"]]

    second = Pipeline.begin("second", summarize, skip_when=lambda a: False).then(length)
    joined = Pipeline.begin("first", parse) | second
    assert (await joined.run("Tea: a b")).output == len(" a b")
    third = (Pipeline.begin("zero", str.strip, name="strip") | joined).then(both)
    assert (await third.run(" Tea: a b")).output == [" Tea: a b", len(" a b")]


def test_its_types_compose() -> None:
    """What mypy proves of it: `make types` reads this file."""
    first = assert_type(Pipeline.begin("a", parse), Pipeline[str, Article])
    second = assert_type(first.then(summarize), Pipeline[str, Summary])
    assert_type(second.then(shout), Pipeline[str, str])
    assert_type(first | Pipeline.begin("b", summarize), Pipeline[str, Summary])
    assert_type(second.then(with_context), Pipeline[str, int])
    assert_type(first.then(summarize, retry=3), Pipeline[str, Summary])


async def output_type(pipeline: Pipeline[str, Summary]) -> None:
    outcome = assert_type(await pipeline.run("a"), PipelineOutcome[Summary])
    assert_type(outcome.output, Summary)


def with_context(context: Context[str]) -> int:
    return len(context.input) + context.result("summarize", Summary).words


async def test_a_stage_can_see_the_input_and_all_results_so_far() -> None:
    pipeline = Pipeline.begin("summary", parse).then(summarize).then(with_context)
    assert (await pipeline.run("Tea: a b")).output == len("Tea: a b") + 2


async def test_hooks_see_what_goes_in_and_what_comes_out() -> None:
    seen: list[Any] = []

    async def before(article: Article) -> None:
        seen.append(("before", article.title))

    def after(summary: Summary, article: Article) -> None:
        seen.append(("after", summary.words, article.title))

    pipeline = Pipeline.begin("summary", parse).then(
        summarize, before=before, after=after, on_error=lambda error: seen.append(error)
    )
    outcome = await pipeline.run("Tea: a b")
    assert outcome.output == Summary("Tea", 2)
    assert seen == [("before", "Tea"), ("after", 2, "Tea")]
    assert outcome.stages["summarize"].result == {"title": "Tea", "words": 2}


def refuse(article: Article) -> Summary:
    raise LookupError(f"nothing of {article.title}")


async def test_a_failed_stage_tells_its_hook_and_fails_the_pipeline() -> None:
    seen: list[tuple[str, str]] = []

    def on_error(error: ErrorInfo) -> None:
        seen.append((error.code, error.message))

    pipeline = (
        Pipeline.begin("summary", parse)
        .then(refuse, on_error=on_error, retry=Retry(2, delay_s=0))
        .then(shout)
    )
    outcome = await pipeline.run("Tea: a")
    assert seen == [("python.LookupError", "LookupError: nothing of Tea")]
    assert outcome.failure is not None
    assert outcome.failure.code == "python.LookupError"
    told = {name: (one.status, one.attempts) for name, one in outcome.stages.items()}
    assert told == {
        "parse": ("completed", 1),
        "refuse": ("failed", 2),
        "shout": ("pending", 0),
    }
    assert outcome.stages["parse"].result == {"title": "Tea", "text": " a"}
    with pytest.raises(PatternFailed, match="nothing of Tea"):
        _ = outcome.output


async def test_a_stage_that_failed_can_be_recovered_from() -> None:
    def recover(error: ErrorInfo, article: Article) -> Summary:
        assert error.code == "python.LookupError"
        return Summary(article.title, 0)

    pipeline = Pipeline.begin("summary", parse).then(refuse, recover=recover).then(shout)
    outcome = await pipeline.run("Tea: a")
    assert outcome.output == "Tea! (0)"
    assert outcome.stages["refuse"].status == "completed"


async def test_a_skipped_stage_lets_the_value_through() -> None:
    def clip(article: Article) -> Article:
        return Article(article.title, article.text[:4])

    pipeline = (
        Pipeline.begin("summary", parse)
        .then(clip, skip_when=lambda article: len(article["text"]) < 5)
        .then(summarize)
    )
    short, long = await pipeline.run("Tea: a"), await pipeline.run("Tea: a b c d e f")
    assert (short.output.words, long.output.words) == (1, 2)
    assert short.stages["clip"].status == "skipped"
    assert long.stages["clip"].status == "completed"


async def test_what_a_skipped_last_stage_lets_through_is_not_made_into_its_kind() -> None:
    def number(text: str) -> int:
        return int(text) * 2

    def skips(value: Any) -> bool:
        return True

    reading: Pipeline[str, Any] = Pipeline.begin("reading", number, skip_when=skips)
    assert (await reading.run("007")).output == "007"
    start = Pipeline.begin("telling", parse)
    telling: Pipeline[str, Any] = start.then(summarize, skip_when=skips)
    assert (await telling.run("Tea: is")).output == Article("Tea", " is")


@pytest.mark.parametrize(
    ("returned", "told"), [(None, "None"), (3, "3"), ([], "[]"), ("x" * 10_000, "'xxx")]
)
async def test_a_skip_rule_that_is_neither_true_nor_false_fails_the_run(
    returned: Any, told: str
) -> None:
    rule = AsyncMock(return_value=returned)
    failure = (await Pipeline.begin("p", parse, skip_when=rule).run("Tea: a")).failure
    assert failure is not None
    assert failure.message.startswith(f"condition 'p.skip_parse' returned {told}")
    assert failure.message.endswith("not true or false")
    assert len(failure.message) < 120


async def test_stages_that_are_skipped_one_after_the_other_let_the_value_through() -> None:
    def add(n: int) -> int:
        return n + 1

    pipeline = Pipeline.begin("adding", add, name="a", skip_when=lambda n: n > 5)
    for name in ("b", "c"):
        pipeline = pipeline.then(add, name=name, skip_when=lambda n: n > 6)
    assert [(await pipeline.run(n)).output for n in (4, 5, 6, 7)] == [7, 7, 7, 7]


async def test_a_pipeline_is_durable_in_a_journal(tmp_path: Any) -> None:
    pipeline = Pipeline.begin("summary", parse).then(summarize)
    path = tmp_path / "j.db"
    first = await pipeline.run("Tea: a", journal=path, key="a")
    again = await pipeline.run("Tea: a", journal=path, key="a")
    assert again.execution_id == first.execution_id
    assert again.output == first.output == Summary("Tea", 1)
    assert again.stages["parse"].result == first.stages["parse"].result


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Pipeline.begin("p", lambda x: x), "a lambda has no name to go by"),
        (lambda: Pipeline.begin("p", parse).then(parse), "two of the name 'parse'"),  # type: ignore[arg-type]
        (
            lambda: Pipeline.begin("p", parse, name="work"),
            "'work' is what a step of its own",
        ),
        (lambda: Pipeline.begin("p", parse, befor=parse), "has no setting 'befor'"),  # type: ignore[call-overload]
        (lambda: Pipeline.begin("p", parse, timeout_s=-1), "parse: timeout_s: seconds"),
        (lambda: Pipeline.begin("p", parse, before="log"), "parse.before: a function is"),  # type: ignore[call-overload]
        (lambda: Pipeline.begin("p", "parse"), "a function is needed, this is a str"),  # type: ignore[call-overload]
        (lambda: Pipeline.begin("p", None), "a function is needed, this is a NoneType"),  # type: ignore[call-overload]
        (lambda: Pipeline.begin("p", partial(parse)), "a partial has no name to go by"),
        (lambda: Pipeline.begin("p", parse, before=0), "parse.before: a function is"),  # type: ignore[call-overload]
        (lambda: Pipeline.begin("p", parse, recover=0), "parse.recover: a function is"),  # type: ignore[call-overload]
        (lambda: Pipeline.begin("p", parse, skip_when=0), "skip_parse: a function is"),  # type: ignore[call-overload]
    ],
)
def test_misuse_fails_when_the_pipeline_is_made(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


def test_only_a_pipeline_goes_on_with_a_pipeline() -> None:
    with pytest.raises(TypeError, match=r"unsupported .* for \|: 'Pipeline' and 'int'"):
        Pipeline.begin("p", parse) | 5  # type: ignore[operator]


def lines(text: str) -> Any:
    yield from text.splitlines()


async def later(text: str) -> Any:
    yield text


class Lines:
    def __call__(self, text: str) -> Any:
        yield text


@pytest.mark.parametrize("function", [lines, later, partial(lines), Lines()])
def test_a_generator_is_refused_when_the_pipeline_is_made(
    function: Callable[[str], Any],
) -> None:
    with pytest.raises(ValueError, match="a: a function with `yield` returns no value"):
        Pipeline.begin("p", function, name="a")
    with pytest.raises(ValueError, match=r"parse\.after: a function with `yield`"):
        Pipeline.begin("p", parse, after=function)


class Listed:
    """A wrapper that returns a list of what a generator yields."""

    def __init__(self) -> None:
        self.func = lines

    def __call__(self, text: str) -> list[str]:
        return list(self.func(text))


async def test_an_object_around_a_generator_is_a_stage_and_so_is_a_mock() -> None:
    counted = AsyncMock(side_effect=len)
    pipeline = Pipeline.begin("p", Listed(), name="a").then(counted, name="b")
    assert (await pipeline.run("one\ntwo")).output == 2
    counted.assert_awaited_once_with(["one", "two"])


ROOT = Path(__file__).parents[3]
WRONG = """
from plait.patterns import Pipeline

def parse(raw: str) -> list[str]:
    return raw.split()

async def double(count: int) -> int:
    return 2 * count

async def use() -> None:
    pipeline = Pipeline.begin("p", parse).then({stage})
    await pipeline.run({value})
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "value", "is_right"),
    [
        ("len", "'a b'", True),
        ("double", "'a b'", False),
        ("len", "3", False),
    ],
)
def test_mypy_refuses_a_stage_that_does_not_fit(
    stage: str, value: str, is_right: bool, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(WRONG.format(stage=stage, value=value))
    out, err, code = api.run(
        ["--no-error-summary", "--config-file", str(ROOT / "pyproject.toml"), str(program)]
    )
    assert not err
    assert (code == 0) is is_right, out
    if not is_right:
        line = 12 if value == "3" else 11
        assert out.startswith(f"{program}:{line}: error: "), out


async def test_hooks_without_annotations_are_given_an_error_info() -> None:
    seen: list[str] = []

    def refuse(text: str) -> str:
        raise ValueError("no such text")

    recovering = Pipeline.begin(
        "p",
        refuse,
        on_error=lambda error: seen.append(error.message),
        recover=lambda error, text: f"{text}: {error.code}",
    )
    assert (await recovering.run("x")).output == "x: python.ValueError"
    assert seen == ["ValueError: no such text"]
    told = await Pipeline.begin("p", refuse, on_error=lambda e: e.code).run("x")
    assert told.failure is not None
    assert told.failure.code == "python.ValueError"


def plus_one(number: int) -> int:
    return number + 1


def compiled_steps(patched: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with the number of steps of each document compiled."""
    counts: list[int] = []

    def counted(data: bytes, **settings: Any) -> Any:
        made = compile_text(data, **settings)
        counts.append(len(made.plan.scope.nodes))
        return made

    patched.setattr("plait.patterns.base.compile_text", counted)
    return counts


@pytest.mark.parametrize("join", ["then", "or"])
async def test_a_stage_is_compiled_once_by_itself_and_once_with_all_others(
    monkeypatch: pytest.MonkeyPatch, join: str
) -> None:
    counts = compiled_steps(monkeypatch)
    whole = Pipeline.begin("count", plus_one, name="s0")
    for number in range(1, 40):
        if join == "then":
            whole = whole.then(plus_one, name=f"s{number}")
        else:
            whole = whole | Pipeline.begin("other", plus_one, name=f"s{number}")
    assert max(counts) <= 2
    assert sum(counts) <= 4 * 40
    counts.clear()
    assert (await whole.run(2)).output == 42
    assert (await whole.run(3)).output == 43
    assert counts == [40]


async def test_any_number_of_stages_in_a_row_may_be_skipped() -> None:
    def is_above(limit: int, value: int) -> bool:
        return value > limit

    whole = Pipeline.begin("p", plus_one, name="s0", skip_when=partial(is_above, 0))
    for number in range(1, 150):
        rule = partial(is_above, 149 - number)
        whole = whole.then(plus_one, name=f"s{number}", skip_when=rule)
    outcome = await whole.run(0)
    ran = [name for name, one in outcome.stages.items() if one.status == "completed"]
    assert (outcome.output, len(ran), len(outcome.stages)) == (75, 75, 150)
    assert (await whole.run(500)).output == 500


def test_parts_of_all_other_patterns_are_compiled_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = compiled_steps(monkeypatch)
    names = [f"n{number}" for number in range(30)]
    Saga[int]("saga", [SagaStep(one, plus_one, plus_one) for one in names])
    Router[int, int]("router", [Route(one, plus_one, bool) for one in names])
    FanOutFanIn[int, Any]("fan", dict.fromkeys(names, plus_one), max_concurrency=3)
    desks = [Desk(one, plus_one, to=names[at + 1 :]) for at, one in enumerate(names)]
    HierarchicalRouter[int, int]("desks", desks)
    states = {
        one: State({"go": Transition(to, guard=plus_one)}, entry=plus_one)
        for one, to in pairwise(names)
    }
    StateMachine[int, str, str]("machine", "n0", {**states, "n29": State(final=True)})
    assert len(counts) == 5

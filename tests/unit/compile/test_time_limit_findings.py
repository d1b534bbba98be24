"""Time limits of no time at all: nothing could be done within one."""

from __future__ import annotations

import pytest

from tests.unit.compile.reading import lines_of

ASK = "{id: a, type: ask, request: {}}"
SOON = "should be a millisecond or more"


def found(step: str, head: str = "") -> list[str]:
    return lines_of(f"name: t\n{head}steps:\n- {step}\n")


def asking(more: str) -> str:
    return ASK.replace("}}", f"}}, {more}}}")


@pytest.mark.parametrize("key", ["timeout", "attempt_timeout"])
@pytest.mark.parametrize("none", ["0s", "0ms", "PT0S", "0.4ms"])
def test_a_step_has_a_millisecond_or_more(key: str, none: str) -> None:
    column = 35 + len(key) + 2
    assert found(asking(f"{key}: {none}")) == [f"3:{column}: D103 '{key}': {SOON}"]


@pytest.mark.parametrize("key", ["timeout", "attempt_timeout"])
def test_so_have_the_defaults(key: str) -> None:
    (line,) = found(ASK, f"defaults: {{{key}: 0s}}\n")
    assert f"D103 '{key}': {SOON}" in line
    assert line.startswith("2:")


def test_so_has_the_whole_execution() -> None:
    assert found(ASK, "timeout: 0s\n") == [f"2:10: D103 'timeout': {SOON}"]


@pytest.mark.parametrize(
    "step",
    [
        "{id: f, type: foreach, items: [1], item_timeout: 0s, steps: [%s]}",
        "{id: s, type: approval, timeout: 0s}",
        "{id: w, type: while, while: '${iteration < 2}', timeout: 0s, steps: [%s]}",
    ],
)
def test_so_have_items_approvals_and_loops(step: str) -> None:
    (line,) = found(step.replace("%s", ASK))
    assert f"timeout': {SOON}" in line


@pytest.mark.parametrize("cache", ["0s", "{ttl: 0s}"])
def test_so_has_what_the_gateway_keeps(cache: str) -> None:
    head = f"mode: express\nendpoint: {{path: /x, cache: {cache}}}\n"
    line = found(ASK, head)[-1]
    assert line.startswith("3:")
    assert SOON in line


@pytest.mark.parametrize(
    "step",
    [
        asking("retry: {delay: 0s, max_delay: 0s}"),
        asking("rate_limit: {limit: 1, per: 1s, queue_timeout: 0s}"),
        "{id: w, type: wait, for: 0s}",
        "{id: w, type: repeat, until: '${iteration == 2}', delay: 0s, steps: [%s]}",
        "{id: f, type: foreach, items: [1], batch_size: 1, batch_delay: 0s, steps: [%s]}",
    ],
)
def test_a_wait_may_be_none(step: str) -> None:
    assert found(step.replace("%s", ASK)) == []

"""The timeline: bars on a common scale, attempts and waits, names and notes."""

from __future__ import annotations

from typing import Any

import pytest

from plait.cli.timeline import print_timeline, timeline


def step(name: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    attempts = more.pop("attempts", [(start, end)])
    return {
        "step": name,
        "status": "completed",
        "attempt": len(attempts),
        "started_ms": start,
        "ended_ms": end,
        "attempts": [{"started_ms": one, "ended_ms": other} for one, other in attempts],
        **more,
    }


def texts(*lines: dict[str, Any], width: int = 100) -> list[str]:
    return [text.plain.rstrip() for text in timeline(lines, width)]


def bar(text: str) -> tuple[int, int]:
    """Return where a bar begins and ends."""
    return text.index("█"), text.rindex("█") + 1


def test_bars_of_calls_at_the_same_time_stand_above_each_other() -> None:
    user, orders, offers = texts(
        step("user", 0, 50), step("orders", 0, 100), step("offers", 50, 100)
    )
    assert bar(user)[0] == bar(orders)[0]
    assert bar(user)[1] == bar(offers)[0]
    assert bar(orders)[1] == bar(offers)[1]
    assert "50 – 100 ms" in offers


def test_the_shortest_step_has_a_bar_even_at_the_very_end() -> None:
    lines = texts(step("a", 0, 1000), step("b", 0, 0.01), step("c", 999.99, 1000))
    assert [bar(line)[1] - bar(line)[0] for line in lines[1:]] == [1, 1]


def test_waits_between_attempts_are_dotted() -> None:
    (text,) = texts(step("a", 0, 100, attempts=[(0, 20), (80, 100)]))
    assert "█┄" in text
    assert "┄█" in text
    assert text.endswith("completed, 2 attempts")


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"status": "failed", "error": {"code": "x.y"}}, "failed: x.y"),
        ({"by_fallback": True}, "completed, by fallback"),
        ({"status": "cancelled"}, "cancelled"),
    ],
)
def test_how_a_step_ended_is_noted(more: dict[str, Any], note: str) -> None:
    assert texts(step("a", 0, 1, **more))[0].endswith(note)


@pytest.mark.parametrize(("by", "end"), [(2, "call 2 answered"), (None, "all failed")])
def test_both_calls_of_a_hedge_are_told_of(by: int | None, end: str) -> None:
    line = step("a", 0, 1)
    note = {"policy": "hedge", "calls": 2, "answered": by}
    line["attempts"] = [{**line["attempts"][0], "policies": [note]}]
    assert texts(line)[0].endswith(f"completed, 2 calls, {end}")


def test_a_skipped_step_has_no_bar() -> None:
    (_, skipped) = texts(step("a", 0, 9), step("b", 5, 5, status="skipped", attempts=[]))
    assert "█" not in skipped
    assert skipped.endswith("skipped")


def test_nothing_at_all_is_no_line() -> None:
    assert texts() == []


def test_an_execution_that_took_no_time_is_drawn() -> None:
    assert "█" in texts(step("a", 0, 0))[0]


def test_long_names_are_cut_and_lines_fit_the_terminal() -> None:
    lines = texts(step("a" * 80, 0, 10), step("b", 5, 10), width=90)
    assert "…" in lines[0]
    assert all(len(line) <= 90 for line in lines)


def test_of_very_many_steps_the_first_are_shown_and_the_rest_counted() -> None:
    lines = texts(*(step(f"s{number}", 0, 1) for number in range(250)))
    assert (len(lines), lines[-1]) == (201, "  … and 50 more steps")


def test_it_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    print_timeline([step("a", 0, 1)], title="completed in 1ms")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("completed in 1ms\n  a  ")


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ([{"policy": "rate_limit", "waited_ms": 12}], "waited 12 ms for rate_limit"),
        ([{"policy": "cache", "did": "hit", "age_ms": 1500}], "cached, 1.5s old"),
        ([{"policy": "cache", "did": "hit"}], "cached"),
        (
            [{"policy": "idempotency_key", "did": "replayed", "age_ms": 1500}],
            "called before under its key, 1.5s ago",
        ),
        (
            [{"policy": "idempotency_key", "did": "shared"}],
            "called by another under its key",
        ),
        ([{"policy": "batch", "lookups": 9}], "one of 9 lookups in one call"),
        (
            [{"policy": "cache", "did": "stale", "age_ms": 70}],
            "cached, stale, 70ms old",
        ),
        (
            [{"policy": "cache", "did": "failed_over", "age_ms": 70}],
            "cached, as the call failed, 70ms old",
        ),
    ],
)
def test_what_policies_did_is_said(notes: list[dict[str, Any]], said: str) -> None:
    line = step("a", 0, 10)
    line["attempts"][0]["policies"] = notes
    (text,) = texts(line, width=140)
    assert text.endswith(f"completed, {said}")

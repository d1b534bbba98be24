"""Durations: what reads as one, what does not, and how one is written back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.model.duration import DURATION_MS_MAX, format_ms, parse_duration_ms


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("0ms", 0),
        ("800ms", 800),
        ("2s", 2_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("3d", 259_200_000),
        ("1.5s", 1_500),
        ("0.5ms", 0),
        ("1h30m", 5_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("PT30S", 30_000),
        ("PT0.25S", 250),
        ("P3DT4H", 273_600_000),
        ("P1W", 604_800_000),
        ("PT1M", 60_000),
    ],
)
def test_a_duration_is_read_in_milliseconds(text: str, expected_ms: int) -> None:
    assert parse_duration_ms(text) == expected_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "800",
        "800 ms",
        "-2s",
        "2S",
        "1y",
        "1e3s",
        "s",
        "P",
        "PT",
        "P1DT",
        "P1Y",
        "P1M",
        "30S",
        "nan",
        "٣s",
        "2s ",
        "2s\n",
    ],
)
def test_anything_else_is_refused_with_the_text_and_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write 800ms, 2s, 5m"):
        parse_duration_ms(text)


def test_a_century_is_a_duration_and_a_millisecond_more_is_not() -> None:
    assert parse_duration_ms(f"{DURATION_MS_MAX}ms") == DURATION_MS_MAX
    with pytest.raises(ValueError, match="longer than a century"):
        parse_duration_ms(f"{DURATION_MS_MAX + 1}ms")


def test_a_number_too_big_for_a_float_is_longer_than_a_century() -> None:
    with pytest.raises(ValueError, match="longer than a century"):
        parse_duration_ms("9" * 400 + "d")


@given(st.integers(min_value=0, max_value=DURATION_MS_MAX))
def test_every_whole_number_of_milliseconds_can_be_written(ms: int) -> None:
    assert parse_duration_ms(f"{ms}ms") == ms


@pytest.mark.parametrize(
    ("ms", "expected"),
    [(0, "0ms"), (999, "999ms"), (1_000, "1s"), (61_000, "1.02m"), (172_800_000, "2d")],
)
def test_milliseconds_are_written_in_the_largest_unit_that_fits(
    ms: int, expected: str
) -> None:
    assert format_ms(ms) == expected

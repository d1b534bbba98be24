"""Moments that are none are refused in our own words."""

from __future__ import annotations

import pytest

from plait.model.moment import parse_moment_ms


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-24T18:00:00+25:00",
        "2026-12-24T18:00:00-24:00",
        "2026-02-30T18:00:00Z",
        "2026-12-24T25:00:00Z",
    ],
)
def test_what_no_calendar_has_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"no such day, time of day or zone") as raised:
        parse_moment_ms(text)
    assert "timedelta" not in str(raised.value)
    assert "+01:00" in str(raised.value)

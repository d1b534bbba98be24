"""Failures: told which step they belong to, and as templates read them."""

from __future__ import annotations

from plait.model.failure import Failure
from plait.model.place import NOWHERE, Place

PLACE = Place("/steps/0", 4, 5)
BARE = Failure("connector.timeout", "no answer in 2 s", {"waited_s": 2})


def test_a_failure_learns_step_attempts_and_place() -> None:
    told = BARE.at(step="user", attempts=2, place=PLACE)
    assert (told.step, told.attempts, told.place) == ("user", 2, PLACE)


def test_the_innermost_step_stays_the_one_that_failed() -> None:
    told = BARE.at(step="fan[a]/user", attempts=2, place=PLACE)
    assert told.at(step="fan", attempts=1, place=Place("/steps/9", 9, 9)) is told


def test_a_place_that_is_known_already_is_kept() -> None:
    inner = Place("/steps/0/request/url", 5, 7)
    known = Failure("expression.no_such_key", "…", place=inner)
    assert known.at(step="user", attempts=1, place=PLACE).place == inner


def test_templates_read_code_message_and_details_with_step_and_place() -> None:
    assert BARE.at(step="user", attempts=2, place=PLACE).as_json() == {
        "code": "connector.timeout",
        "message": "no answer in 2 s",
        "details": {
            "waited_s": 2,
            "step": "user",
            "attempts": 2,
            "place": {"pointer": "/steps/0", "line": 4, "column": 5},
        },
    }


def test_what_is_not_known_is_left_out_and_details_are_not_shared() -> None:
    view = Failure("limit.events", "too long", place=NOWHERE).as_json()
    assert view == {"code": "limit.events", "message": "too long", "details": {}}
    details = BARE.as_json()["details"]
    assert isinstance(details, dict)
    details["more"] = 1
    assert BARE.details == {"waited_s": 2}

"""Diagnostics: how one reads, and which name is suggested."""

from __future__ import annotations

from plait.model.diagnostic import Diagnostic, Severity, did_you_mean
from plait.model.place import Span

SPAN = Span(3, 8, 3, 12)


def test_a_finding_renders_as_file_line_column_code_message_hint() -> None:
    finding = Diagnostic("P001", "unknown name 'cart'", "did you mean 'card'?", SPAN)
    expected = "shop.yaml:3:8: P001 unknown name 'cart' (did you mean 'card'?)"
    assert finding.render("shop.yaml") == expected


def test_a_finding_without_a_hint_has_no_brackets() -> None:
    assert (
        Diagnostic("D103", "wrong", "", SPAN).render("a.json") == "a.json:3:8: D103 wrong"
    )


def test_a_warning_says_that_it_is_one() -> None:
    finding = Diagnostic("P009", "never runs", "", SPAN, Severity.WARNING)
    assert finding.render("a.yaml") == "a.yaml:3:8: warning P009 never runs"


def test_the_nearest_name_is_suggested_also_across_upper_and_lower_case() -> None:
    assert did_you_mean("ordrs", ["orders", "users"]) == "did you mean 'orders'?"
    assert did_you_mean("USERID", ["userId", "name"]) == "did you mean 'userId'?"


def test_the_suggestion_does_not_depend_on_the_order_of_the_known_names() -> None:
    known = ["aab", "aac", "aad"]
    assert did_you_mean("aax", known) == did_you_mean("aax", reversed(known))


def test_nothing_is_suggested_when_nothing_is_near() -> None:
    assert did_you_mean("zzz", ["user", "orders"]) == ""
    assert did_you_mean("zzz", []) == ""

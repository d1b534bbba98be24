"""Edits: the text changes where it has to, and means exactly what was asked for."""

from __future__ import annotations

import difflib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.agent import Made, NotMade
from plait.agent.edits import apply
from plait.agent.surgery import Surgery
from plait.compile import compile_text
from tests.unit.agent.drafts import CATALOG, ROOT, drafted, knowledge, steps_of, values

CHECKOUT = (ROOT / "examples/shop/workflows/checkout.yaml").read_text("utf-8")
SHORT = """\
# About this workflow.
name: short   # its name
steps:
  # First the user.
  - {id: user, type: http, request: {url: "http://u/${input.id}"}}  # from users
  # Then the rest.
  - {id: rest, type: set, value: {a: "${user.response.a}", b: "user"}, depends_on: [user]}
output: ${rest.response}   # all of it
"""


def edited(said: str, base: str = CHECKOUT) -> tuple[Any, str]:
    """Return values and text after an edit that has to be possible."""
    found = apply(base, (said,), knowledge())
    assert not found.draft.unresolved, found.draft.unresolved
    compile_text(found.text.encode(), name="w.yaml", catalog=CATALOG)
    return steps_of(values(found.text)), found.text


def changed_lines(old: str, new: str) -> tuple[list[str], list[str]]:
    lines = list(difflib.ndiff(old.splitlines(), new.splitlines()))
    gone = [line[2:] for line in lines if line.startswith("- ")]
    return gone, [line[2:] for line in lines if line.startswith("+ ")]


@pytest.mark.parametrize(
    ("said", "step", "key", "value"),
    [
        ("Add a retry of 3 to payment", "payment", "retry", {"max_attempts": 3}),
        ("please retry the user step 5 times", "user", "retry", {"max_attempts": 5}),
        ("set retries of step cart to 4", "cart", "retry", {"max_attempts": 4}),
        ("set the timeout of payment to 5 seconds", "payment", "timeout", "5s"),
        ("add a timeout of 250ms to the cart step", "cart", "timeout", "250ms"),
        ("make cart optional", "cart", "on_error", "continue"),
        ("ignore errors of user", "user", "on_error", "continue"),
        ("disable payment", "payment", "disabled", True),
    ],
)
def test_a_setting_is_one_new_line(said: str, step: str, key: str, value: object) -> None:
    steps, text = edited(said)
    assert steps[step][key] == value
    gone, new = changed_lines(CHECKOUT, text)
    assert (len(gone), len(new)) == (0, 1)


def test_a_setting_that_is_there_is_replaced_in_its_place() -> None:
    steps, text = edited("set the timeout of payment to 5s")
    assert steps["payment"]["timeout"] == "5s"
    _, again = edited("change the timeout of payment to 9s", text)
    assert changed_lines(text, again) == (["    timeout: 5s"], ["    timeout: 9s"])


def test_a_retry_keeps_what_else_it_says() -> None:
    base = CHECKOUT.replace(
        "    idempotency_key",
        "    retry:\n      max_attempts: 2\n      delay: 1s\n    idempotency_key",
    )
    steps, _ = edited("add a retry of 7 to payment", base)
    assert steps["payment"]["retry"] == {"max_attempts": 7, "delay": "1s"}


def test_a_step_is_renamed_with_all_that_read_it_and_no_text_besides() -> None:
    steps, text = edited("rename user to customer", SHORT)
    assert steps["rest"]["value"] == {"a": "${customer.response.a}", "b": "user"}
    assert steps["rest"]["depends_on"] == ["customer"]
    for comment in ("# About this", "# its name", "# First the user.", "# from users"):
        assert comment in text


def test_a_step_is_removed_with_its_comment_and_nobody_waits_for_it() -> None:
    steps, text = edited("remove the step empty_cart")
    assert "empty_cart" not in steps
    assert "depends_on" not in steps["payment"]
    assert text.startswith("# Take the money for a cart, once.")


def test_a_step_that_is_read_is_not_removed() -> None:
    found = apply(CHECKOUT, ("remove cart",), knowledge())
    assert found.text == CHECKOUT
    assert "is read by 'empty_cart', 'payment'" in found.draft.unresolved[0]


def test_a_step_is_added_behind_another_and_waits_for_it() -> None:
    said = 'add a step that sends an email with subject "Paid" after payment'
    steps, text = edited(said)
    assert list(steps) == ["user", "cart", "empty_cart", "payment", "send_email"]
    assert steps["send_email"]["depends_on"] == ["payment"]
    assert steps["send_email"]["request"]["body"]["subject"] == "Paid"
    assert changed_lines(CHECKOUT, text)[0] == ["  required: [user_id, method_id]"]


def test_a_step_is_added_before_another() -> None:
    steps, _ = edited("add a step that gets the customer before payment")
    assert list(steps).index("customer") == list(steps).index("payment") - 1


def test_every_call_gets_a_setting_under_defaults() -> None:
    _, text = edited("set a timeout of 3s for all calls")
    assert values(text)["defaults"]["timeout"] == "3s"


def test_settings_of_short_steps_stay_on_their_line() -> None:
    steps, text = edited("add a retry of 2 to user", SHORT)
    assert steps["user"]["retry"] == {"max_attempts": 2}
    gone, new = changed_lines(SHORT, text)
    assert (len(gone), len(new)) == (1, 1)
    assert new[0].endswith("# from users")


def test_the_workflow_itself_is_renamed() -> None:
    _, text = edited("rename the workflow to quick", SHORT)
    assert values(text)["name"] == "quick"
    assert "name: quick   # its name" in text


def test_json_stays_json() -> None:
    base = json.dumps({"name": "j", "steps": [{"id": "a", "type": "set", "value": 1}]})
    _, text = edited("disable a", base)
    assert json.loads(text)["steps"][0]["disabled"] is True


@pytest.mark.parametrize(
    "said",
    ["make it shiny", "remove step rocket", "rename user to cart", "retry payment",
     "set the timeout of payment to forever", "add a step that launches moons after cart"],
)  # fmt: skip
async def test_an_edit_that_cannot_be_made_is_asked_about(said: str) -> None:
    _, ended = await drafted(said, base=CHECKOUT)
    assert isinstance(ended, NotMade), ended
    assert ended.unresolved


async def test_what_could_be_done_is_done_and_the_rest_asked() -> None:
    said = "add a retry of 3 to payment. make it shiny"
    _, ended = await drafted(said, base=CHECKOUT)
    assert isinstance(ended, Made)
    assert ended.unresolved == ("What shall be changed by 'make it shiny'?",)
    assert ended.difference is not None


async def test_a_base_that_cannot_be_read_is_told() -> None:
    _, ended = await drafted("add a retry of 3 to a", base="name: [")
    assert isinstance(ended, NotMade)
    assert "cannot be read" in ended.unresolved[0]


_KEYS = st.sampled_from(["timeout", "description", "disabled", "retry", "on_error"])
_VALUES = st.one_of(
    st.text(max_size=30), st.booleans(), st.integers(0, 9), st.just({"a": ["b: c", "#"]})
)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([CHECKOUT, SHORT]), st.lists(st.tuples(_KEYS, _VALUES), max_size=4))
def test_any_cut_means_what_the_edit_means(base: str, cuts: list[tuple[str, Any]]) -> None:
    surgery = Surgery(base)
    for key, value in cuts:
        if isinstance(value, str):
            value = "".join(char for char in value if char.isprintable())
        before = surgery.value
        surgery.set_key(("steps", 0), key, value)
        assert surgery.value["steps"][0][key] == value  # type: ignore[index,call-overload]
        assert surgery.value["steps"][1:] == before["steps"][1:]  # type: ignore[index]

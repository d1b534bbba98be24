"""Scopes: what a key or a user may at most be given."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plait.security.kept import BadScope, scope_of
from plait.security.tokens import TokenVerifier
from tests.unit.security.rooms import SecurityRoom
from tests.unit.security.scopes import largest_caller


@pytest.mark.parametrize("name_length", [4, 30, 93, 200])
async def test_whoever_can_be_made_can_show_a_token(name_length: int) -> None:
    room = SecurityRoom()
    caller = replace(largest_caller(name_length, "sum"), tenant="t" * 128)
    token, _ = await room.tokens.issue(caller)
    verifier = TokenVerifier([room.tokens.issuer()], room.s)
    assert (await verifier.verify(token)).caller == caller


def test_hundreds_of_grants_are_no_problem_and_too_many_are_refused_with_a_way_out() -> (
    None
):
    assert len(largest_caller(30, "sum").grants) > 300
    grants = {f"{number:093}": "operator" for number in range(1_000)}
    with pytest.raises(BadScope, match=r"16 kB.* several keys"):
        scope_of("default", None, grants)

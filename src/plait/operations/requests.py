"""What an execution's calls were asked, told again by the kernel: the history lacks it.

Requests are not recorded, since they follow from what is. A replay renders them anew, with
a mask in the place of every secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from plait.drivers.journal import HistoryMismatch, replay
from plait.drivers.redact import MASK
from plait.kernel import Command, StartCall
from plait.model.json import JsonObject
from plait.operations.course import Hand, told_of
from plait.plan import PlanUnreadable, load_plan
from plait.ports.journal import History, UnknownPlan


async def requests(hand: Hand, history: History) -> JsonObject:
    """Return what each call was asked, by step path; of several attempts the last.

    Empty when this version cannot tell the history again, or its plan is gone: whoever
    looks at an execution shall still see the rest.
    """
    found: JsonObject = {}

    def heed(commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, StartCall):
                found[command.step] = _told(command)

    try:
        data = await hand.store.load_plan(history.summary.new.plan_hash)
        kernel = hand.kernel_for(load_plan(data))
        names = {*hand.secrets, *kernel.secrets_named}
        replay(history, kernel, dict.fromkeys(names, MASK), heed)
    except (HistoryMismatch, UnknownPlan, PlanUnreadable):
        return {}
    return found


async def secrets_lacking(hand: Hand, history: History) -> list[str]:
    """Return the names of the secrets that the calls under way need and `hand` lacks."""
    told = await told_of(hand, history)
    calls = told.outstanding.calls.values()
    return sorted({name for call in calls for name in call.lacking})


def _told(call: StartCall) -> JsonObject:
    """Return the request as it was rendered, with the key that it carries."""
    asked = cast("JsonObject", dict(call.request))
    if call.idempotency_key is not None:
        asked["idempotency_key"] = call.idempotency_key
    return asked

"""What an execution's calls were asked, told again by the kernel: the history lacks it.

Requests are not recorded, since they follow from what is. A replay renders them anew, with
a mask in the place of every secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from plait.drivers.journal import HistoryMismatch, replay
from plait.drivers.redact import MASK
from plait.kernel import Command, StartCall
from plait.model.json import JsonObject
from plait.operations.course import Hand
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
        replay(history, hand.kernel_for(load_plan(data)), _masks(hand.secrets), heed)
    except (HistoryMismatch, UnknownPlan, PlanUnreadable):
        return {}
    return found


def _masks(secrets: Mapping[str, str]) -> Mapping[str, str]:
    return dict.fromkeys(secrets, MASK)


def _told(call: StartCall) -> JsonObject:
    """Return the request as it was rendered, with the key that it carries."""
    asked = cast("JsonObject", dict(call.request))
    if call.idempotency_key is not None:
        asked["idempotency_key"] = call.idempotency_key
    return asked

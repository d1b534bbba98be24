"""What the store does not take in: how long to wait, and when to stop trying.

Rule 1. A store that is away or full fails nobody: whoever holds an execution waits for it.
Rule 2. Where the store writes that an execution is taken again, and refuses each time what
        was decided in it, it is the execution's own trouble: after REFUSALS_MAX times in a
        row it is quarantined. No step of it has failed, and it is resumed as any other.
        What others have quarantined by then is only given back: nobody tries for ever.
Rule 3. From the first refusal on events are decided one by one, a wish to cancel first.

Not here: quarantine itself (plait.drivers.journal.deaths).
"""

from __future__ import annotations

import logging
from typing import Final

from plait.drivers.journal.live import Live, Undecidable
from plait.drivers.journal.payload import PayloadTooLarge
from plait.drivers.journal.standing import ids_of
from plait.drivers.journal.telling import Telling
from plait.ports.journal import StoreFull, StoreUnavailable

logger = logging.getLogger("plait.journal")

BACK_OFF_S: Final = (0.05, 0.2, 1.0, 5.0)
# Some 27 s: longer than a server takes to restart.
REFUSALS_MAX: Final = 8


def pause_after(live: Live, error: Exception) -> float:
    """Return for how many seconds to leave an execution alone that has stalled."""
    execution_id = live.summary.new.execution_id
    told, text = ids_of(live.summary.new), "execution %s goes back to its record: %s"
    if isinstance(error, StoreUnavailable | PayloadTooLarge):
        logger.warning(text, execution_id, error, extra=told)
    else:
        logger.error(text, execution_id, error, exc_info=error, extra=told)
    if isinstance(error, Undecidable | PayloadTooLarge):
        return 0.0  # what it stalled on is passed over, or counts as a failure
    if isinstance(error, StoreFull):
        return BACK_OFF_S[-2]
    live.refusals += 1
    return BACK_OFF_S[min(live.refusals, len(BACK_OFF_S)) - 1]


def is_given_up(live: Live | None, told: Telling) -> bool:
    """Tell whether an execution that is taken again has been refused too often."""
    if live is None or live.refusals < REFUSALS_MAX:
        return False
    return told.state.end is None

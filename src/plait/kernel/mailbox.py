"""The mailbox: signals that came before any step waited for them.

Rule 1. They are kept in the order of their coming; a step that begins to wait takes the
        first that is for it, and no other step gets that one.
Rule 2. What is kept is bounded. A flood from outside must not end an execution, so a signal
        that would be one too many is refused, and the refusal recorded.

Not here: which signal is for a step (plait.kernel.machines.wait_event).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from plait.kernel.events import SignalReceived, SignalRefused, SignalTaken
from plait.kernel.state import Execution, Mailbox, Run
from plait.kernel.turn import Limits
from plait.model.json import canonical_bytes

TOO_MANY: Final = "signal.too_many"
NOT_TAKEN: Final = "signal.not_taken"


def is_new(x: Execution, signal: SignalReceived) -> bool:
    """Tell whether no signal of this id has come before."""
    return x.mailbox is None or signal.signal_id not in x.mailbox.known


def keep(x: Execution, signal: SignalReceived, limits: Limits) -> None:
    """Keep `signal`, which nobody waits for yet, or refuse it."""
    mailbox = _mailbox(x)
    mailbox.known[signal.signal_id] = None
    length = len(canonical_bytes(signal.payload))
    is_full = len(mailbox.kept) >= limits.signals_max
    if is_full or mailbox.bytes + length > limits.signals_bytes_max:
        x.events.append(SignalRefused(signal.signal_id, TOO_MANY, x.now_ms))
        return
    mailbox.kept[signal.signal_id] = signal
    mailbox.bytes += length


def kept(x: Execution) -> Iterator[SignalReceived]:
    """Yield the signals that no step has taken yet, the first to come first."""
    if x.mailbox is not None:
        yield from x.mailbox.kept.values()


def take(x: Execution, run: Run, signal: SignalReceived) -> None:
    """Note that `run` has got `signal`, kept or just come."""
    mailbox = _mailbox(x)
    mailbox.known[signal.signal_id] = None
    if mailbox.kept.pop(signal.signal_id, None) is not None:
        mailbox.bytes -= len(canonical_bytes(signal.payload))
    x.events.append(SignalTaken(run.path, run.attempt, signal.signal_id, x.now_ms))


def refuse(x: Execution, signal: SignalReceived) -> None:
    """Note that nothing takes `signal`. Sent anew under its id it is looked at again.

    One that was kept for its turn has counted: its sender was told so.
    """
    mailbox = x.mailbox
    if mailbox is not None and mailbox.kept.pop(signal.signal_id, None) is not None:
        mailbox.bytes -= len(canonical_bytes(signal.payload))
    x.events.append(SignalRefused(signal.signal_id, NOT_TAKEN, x.now_ms))


def _mailbox(x: Execution) -> Mailbox:
    if x.mailbox is None:
        x.mailbox = Mailbox()
    return x.mailbox

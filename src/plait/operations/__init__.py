"""The verbs: what people and programs ask of executions, whoever runs them."""

from plait.drivers.journal.resuming import NotResumable, WasUndone
from plait.operations.archive import (
    ExecutionExists,
    Intake,
    LineUnreadable,
    StillRunning,
    line_of,
)
from plait.operations.bulk import Changed, change_each
from plait.operations.course import (
    Decision,
    Hand,
    HasEnded,
    NoIncident,
    NothingToUndo,
    resolve,
    restart,
    resume,
    rollback,
)
from plait.operations.executions import (
    Shown,
    event_json,
    row_json,
    show,
    shown_json,
    steps_json,
)
from plait.operations.forking import BegunAnew, Fork, NeverRan, fork
from plait.operations.journal import (
    Checked,
    NoUpkeep,
    Removed,
    Retention,
    every,
    removals,
    remove,
    upkeep_of,
    verify_all,
)
from plait.operations.keys import KeyReused, check_same
from plait.operations.messages import (
    NotAnApprover,
    NothingToDecide,
    Signal,
    TooManySignals,
    Verdict,
    WhichApproval,
    cancel,
    judge,
    signal,
)
from plait.operations.requests import requests, secrets_lacking
from plait.operations.retention import Keeping, Sweeper
from plait.operations.waits import queue_of, waits

__all__ = [
    "BegunAnew",
    "Changed",
    "Checked",
    "Decision",
    "ExecutionExists",
    "Fork",
    "Hand",
    "HasEnded",
    "Intake",
    "Keeping",
    "KeyReused",
    "LineUnreadable",
    "NeverRan",
    "NoIncident",
    "NoUpkeep",
    "NotAnApprover",
    "NotResumable",
    "NothingToDecide",
    "NothingToUndo",
    "Removed",
    "Retention",
    "Shown",
    "Signal",
    "StillRunning",
    "Sweeper",
    "TooManySignals",
    "Verdict",
    "WasUndone",
    "WhichApproval",
    "cancel",
    "change_each",
    "check_same",
    "event_json",
    "every",
    "fork",
    "judge",
    "line_of",
    "queue_of",
    "removals",
    "remove",
    "requests",
    "resolve",
    "restart",
    "resume",
    "rollback",
    "row_json",
    "secrets_lacking",
    "show",
    "shown_json",
    "signal",
    "steps_json",
    "upkeep_of",
    "verify_all",
    "waits",
]

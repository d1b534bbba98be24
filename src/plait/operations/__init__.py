"""The verbs: what people and programs ask of executions, whoever runs them."""

from plait.operations.course import (
    Decision,
    Fork,
    Hand,
    HasEnded,
    NeverRan,
    NoIncident,
    NotResumable,
    cancel,
    fork,
    resolve,
    restart,
    resume,
)
from plait.operations.executions import Shown, row_json, show, shown_json

__all__ = [
    "Decision",
    "Fork",
    "Hand",
    "HasEnded",
    "NeverRan",
    "NoIncident",
    "NotResumable",
    "Shown",
    "cancel",
    "fork",
    "resolve",
    "restart",
    "resume",
    "row_json",
    "show",
    "shown_json",
]

"""The verbs: what people and programs ask of executions, whoever runs them."""

from plait.operations.course import (
    Fork,
    Hand,
    HasEnded,
    NeverRan,
    NotResumable,
    cancel,
    fork,
    restart,
    resume,
)
from plait.operations.executions import Shown, row_json, show, shown_json

__all__ = [
    "Fork",
    "Hand",
    "HasEnded",
    "NeverRan",
    "NotResumable",
    "Shown",
    "cancel",
    "fork",
    "restart",
    "resume",
    "row_json",
    "show",
    "shown_json",
]

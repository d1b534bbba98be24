"""Patterns in Python: the same plans, kernel and journal as documents have.

Rule 1. A pattern is made into a plan when it is made, so misuse fails there, not later.
Rule 2. Every function is a `python` step: what it is given and what it returns is JSON,
recorded where there is a journal.

Not here: what steps do (plait.kernel), policies around single calls (plait.resilience).
"""

from plait.connectors.python import FunctionCall, StepError, current_call
from plait.patterns.base import Pattern
from plait.patterns.checks import Retry
from plait.patterns.context import Context, ErrorInfo
from plait.patterns.fan_out import FanOutcome, FanOutFanIn, Task, TaskReport
from plait.patterns.journal import Journal, RunKeyReused, RunStuck
from plait.patterns.outcome import Outcome, PatternFailed, StepReport
from plait.patterns.pipeline import Pipeline, PipelineOutcome
from plait.patterns.router import Branch, Route, Router, RouterOutcome
from plait.patterns.saga import Compensation, Saga, SagaOutcome, SagaStep

__all__ = [
    "Branch",
    "Compensation",
    "Context",
    "ErrorInfo",
    "FanOutFanIn",
    "FanOutcome",
    "FunctionCall",
    "Journal",
    "Outcome",
    "Pattern",
    "PatternFailed",
    "Pipeline",
    "PipelineOutcome",
    "Retry",
    "Route",
    "Router",
    "RouterOutcome",
    "RunKeyReused",
    "RunStuck",
    "Saga",
    "SagaOutcome",
    "SagaStep",
    "StepError",
    "StepReport",
    "Task",
    "TaskReport",
    "current_call",
]

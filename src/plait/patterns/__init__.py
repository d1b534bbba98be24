"""Patterns in Python: the same plans, kernel and journal as documents have.

Rule 1. A pattern is made into a plan when it is made, so misuse fails there, not later.
Rule 2. Every function is a `python` step: what it is given and what it returns is JSON,
recorded where there is a journal.

Not here: what steps do (plait.kernel), policies around single calls (plait.resilience).
"""

from plait.connectors.python import FunctionCall, StepError, current_call
from plait.patterns.base import Pattern
from plait.patterns.batch import BatchOutcome, BatchProcessor, ItemFailure
from plait.patterns.checks import Retry
from plait.patterns.context import Context, ErrorInfo
from plait.patterns.desks import Desk, HierarchicalRouter, HopsOutcome, Transfer
from plait.patterns.fan_out import FanOutcome, FanOutFanIn, Task, TaskReport
from plait.patterns.journal import Journal, RunKeyReused, RunStuck
from plait.patterns.loops import DoWhileLoop, LoopOutcome, WhileLoop
from plait.patterns.machine import Action, State, StateMachine, Transition
from plait.patterns.outcome import Outcome, PatternFailed, StepReport
from plait.patterns.pipeline import Pipeline, PipelineOutcome
from plait.patterns.publish import Broadcast, Delivery, Published, PubSub, Subject
from plait.patterns.rounds import RoundsOutcome, StatefulFanOutFanIn
from plait.patterns.router import Branch, Route, Router, RouterOutcome
from plait.patterns.saga import Compensation, Saga, SagaOutcome, SagaStep
from plait.patterns.session import Change, EventRefused, Session
from plait.patterns.stream import AsyncIteratorLoop, StreamOutcome

__all__ = [
    "Action",
    "AsyncIteratorLoop",
    "BatchOutcome",
    "BatchProcessor",
    "Branch",
    "Broadcast",
    "Change",
    "Compensation",
    "Context",
    "Delivery",
    "Desk",
    "DoWhileLoop",
    "ErrorInfo",
    "EventRefused",
    "FanOutFanIn",
    "FanOutcome",
    "FunctionCall",
    "HierarchicalRouter",
    "HopsOutcome",
    "ItemFailure",
    "Journal",
    "LoopOutcome",
    "Outcome",
    "Pattern",
    "PatternFailed",
    "Pipeline",
    "PipelineOutcome",
    "PubSub",
    "Published",
    "Retry",
    "RoundsOutcome",
    "Route",
    "Router",
    "RouterOutcome",
    "RunKeyReused",
    "RunStuck",
    "Saga",
    "SagaOutcome",
    "SagaStep",
    "Session",
    "State",
    "StateMachine",
    "StatefulFanOutFanIn",
    "StepError",
    "StepReport",
    "StreamOutcome",
    "Subject",
    "Task",
    "TaskReport",
    "Transfer",
    "Transition",
    "WhileLoop",
    "current_call",
]

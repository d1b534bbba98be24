"""Wishes: what a description asks for, as a tree. Made by plait.agent.reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from plait.model.record import record


@record
class Wish:
    """One thing to do: a call of something.

    Attributes:
        text: The clause, in the author's words.
        verb: What is done, when the clause leaves it to the one before.
        attempts: How often it is tried in all; None: as usual.
        timeout: A duration, as documents write it; empty: as usual.
        goes_on: Whether the rest goes on when it fails.
        recalls: Whether it may speak of something that is done already: `after shipping`.
    """

    text: str
    verb: str = ""
    attempts: int | None = None
    timeout: str = ""
    goes_on: bool = False
    recalls: bool = False


@record
class Together:
    """Parts that run at the same time."""

    parts: list[Part]


@record
class Each:
    """Parts that run for each of many."""

    over: str
    parts: list[Part]


@record
class Choice:
    """Parts that run when something is so, and parts for when it is not."""

    condition: str
    then: list[Part]
    otherwise: list[Part] = field(default_factory=list)
    negated: bool = False


@record
class Attempt:
    """Parts that are tried, and parts for when that fails."""

    parts: list[Part]
    rescue: list[Part]


@record
class Approval:
    """Somebody has to agree.

    Attributes:
        approvers: Who; empty: anybody.
    """

    text: str
    approvers: tuple[str, ...] = ()
    timeout: str = ""


@record
class Pause:
    """Time has to pass, or something has to happen.

    Attributes:
        duration: How long; empty: `event` has to happen.
    """

    duration: str = ""
    event: str = ""


@record
class Answer:
    """What the workflow returns."""

    text: str


Part: TypeAlias = Wish | Together | Each | Choice | Attempt | Approval | Pause | Answer


@dataclass(slots=True)
class Reading:
    """What a description asks for.

    Attributes:
        name: What the workflow shall be called; empty: it is not said.
        wished: The same in the author's words, which may be no name.
        attempts: How often every call is tried; None: as usual.
        timeout: Of every call; empty: as usual.
        endpoint: Method and path; None: none is wanted. The path may be empty.
        triggers: What shall start it, in the author's words.
        literals: What stood in quotes; clauses hold a mark in its place.
    """

    parts: list[Part] = field(default_factory=list)
    name: str = ""
    wished: str = ""
    attempts: int | None = None
    timeout: str = ""
    endpoint: tuple[str, str] | None = None
    triggers: list[str] = field(default_factory=list)
    literals: list[str] = field(default_factory=list)

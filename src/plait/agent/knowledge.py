"""What a draft can be made of: operations, deployed workflows, and which of them is meant.

An operation is found by the words that it shares with a clause. A word weighs the more the
fewer operations have it, and the nearer to the operation's name it stands; what the clause
wants done (read, create, change, remove) has to fit the method.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import field, replace
from typing import Final

from plait.agent.openapi import Operation, Parameter
from plait.agent.schemas import leaves
from plait.agent.words import (
    ACT,
    CREATE,
    DELETE,
    READ,
    UPDATE,
    VERBS,
    first_verb,
    nouns,
    pieces,
    singular,
    terms,
)
from plait.model.json import JsonObject
from plait.model.record import record

# How near to the operation's name a word stands.
_WEIGHTS: Final = {
    "id": 3.0, "path": 2.5, "summary": 2.0, "tags": 1.0, "api": 0.8, "description": 0.7,
    "takes": 0.5, "gives": 0.3,
}  # fmt: skip
_STRENGTH_MAX: Final = max(_WEIGHTS.values())
_FOUND_MAX: Final = 10_000
_HEAD: Final = 2
_WITH: Final = re.compile(r"(?i)\s+(?:with|where|whose|having|using|containing|about)\s+")
_BEHIND: Final = re.compile(
    r"(?i)\s+(?:with|where|whose|having|using|containing|about|to|for|from|by|at|into|as)\s+"
)
_OF: Final = re.compile(r"(?i)\s+(?:of|with|where|to|for|from|by|at|in|into|as)\s+")
_KINDS: Final = (READ, CREATE, UPDATE, DELETE)
# Below this a likeness is chance: a clause of three words shares one that all have.
SCORE_MIN: Final = 0.34
# Two that are nearer to each other than this cannot be told apart.
_TIE: Final = 0.03


@record
class KnownWorkflow:
    """A deployed workflow, as far as a draft needs to know it.

    Attributes:
        input: The JSON Schema of its input; may be empty.
    """

    name: str
    description: str = ""
    input: JsonObject = field(default_factory=dict)


@record
class Match:
    """An operation, and how sure it is that it is meant.

    Attributes:
        score: 0 to 1.
        others: Operations that fit as well.
    """

    operation: Operation
    score: float
    others: tuple[Operation, ...] = ()


class Knowledge:
    """Finds operations by what people say of them."""

    def __init__(
        self, operations: Sequence[Operation], workflows: Sequence[KnownWorkflow] = ()
    ) -> None:
        self.operations = [*operations, *(_of_workflow(one) for one in workflows)]
        self._known = [_Known.of(one) for one in self.operations]
        self._places: dict[str, list[int]] = {}
        for place, known in enumerate(self._known):
            for term in known.weights:
                self._places.setdefault(term, []).append(place)
        self._resources = {one.resource for one in self.operations}
        self._all = max(1, len(self.operations))
        # A description asks for the same clause several times while it is divided.
        self._found: dict[tuple[str, str], tuple[Match | None]] = {}

    def find(self, text: str, verb: str = "") -> Match | None:
        """Return the operation that a clause means; None: none is near enough.

        Args:
            verb: What is done, when the clause does not say so itself.
        """
        known = self._found.get((text, verb))
        if known is None:
            if len(self._found) >= _FOUND_MAX:
                self._found.clear()
            known = self._found[text, verb] = (self._find(text, verb),)
        return known[0]

    def _find(self, text: str, verb: str) -> Match | None:
        said = verb or first_verb(text)
        best: Match | None = None
        # What stands behind `with` or `to` says which and how, more than what.
        for pattern, share in ((None, 1.0), (_WITH, 0.98), (_BEHIND, 0.93)):
            short = text if pattern is None else pattern.split(text, maxsplit=1)[0]
            found = self._best(short, said)
            if found is None or (pattern is not None and short == text):
                continue
            found = replace(found, score=found.score * share)
            if best is None or found.score > best.score:
                best = found
        return best if best is not None and best.score >= SCORE_MIN else None

    def _best(self, text: str, said: str) -> Match | None:
        wanted = list(dict.fromkeys(terms(text)))
        if said and said not in wanted:
            wanted.insert(0, said)
        about = self._about(text)
        places = {place for term in wanted for place in self._places.get(term, ())}
        places |= {at for at, one in enumerate(self._known) if _is_named(one, text)}
        ranked = sorted(
            (-self._score(self._known[place], wanted, said, text, about), place)
            for place in places
        )
        if not ranked:
            return None
        best, place = ranked[0]
        near = [one for score, one in ranked[1:4] if score - best < _TIE]
        others = tuple(self.operations[one] for one in near)
        return Match(self.operations[place], min(1.0, -best), others)

    def knows(self, word: str) -> bool:
        """Tell whether any operation has a word."""
        return word in self._places

    def likeliest(self, text: str, count: int) -> list[Operation]:
        """Return the operations that share most with a text, in their own order."""
        wanted = set(terms(text))
        ranked = sorted(
            range(len(self._known)),
            key=lambda at: (
                -sum(
                    self._known[at].weights.get(term, 0) * self.rarity(term)
                    for term in wanted
                ),
                at,
            ),
        )
        return [self.operations[at] for at in sorted(ranked[:count])]

    def has_any(self, operation: Operation, words: Sequence[str]) -> bool:
        """Tell whether any of some words is one of an operation's."""
        known = next(one for one in self._known if one.operation is operation)
        return any(word in known.weights for word in words)

    def rarity(self, term: str) -> float:
        """Return what a word weighs: 1 when one operation has it, near 0 when all do."""
        count = len(self._places.get(term, ()))
        most = math.log(1 + self._all)
        return math.log(1 + self._all / max(1, count)) / most if count else 0.6

    def _score(
        self, known: _Known, wanted: list[str], verb: str, text: str, about: str
    ) -> float:
        if _is_named(known, text):
            return 1.0
        own, operation = known.weights, known.operation
        total = got = 0.0
        for place, term in enumerate(wanted):
            is_verb = term in VERBS
            if is_verb and term not in own and term in READ | CREATE | UPDATE | DELETE:
                continue  # the method speaks for it, below
            # What is done, and to what, comes first.
            weight = self.rarity(term) * (2 if place < _HEAD else 1)
            total += weight
            got += weight * own.get(term, 0.0) / _STRENGTH_MAX
        if not got:
            return 0.0
        likeness = got / total * _fit(known, verb)
        likeness *= 0.9 ** len(known.path_nouns - set(wanted))
        if about and operation.resource not in (about, verb):
            likeness *= 0.8
        if self._is_foreign(text) and operation.resource != verb:
            # `send a postcard` is not what sends an email; `charge the Mastercard` may be.
            likeness *= 0.7 if verb in ACT else 0.5
        return likeness * _number(operation, text)

    def _is_foreign(self, text: str) -> bool:
        """Tell whether a clause is about something that no operation knows."""
        said = nouns(_OF.split(text, maxsplit=1)[0])
        return bool(said) and not any(word in self._places for word in said)

    def _about(self, text: str) -> str:
        """Return the resource that a clause is about; empty: none that is known.

        It is the last noun before a preposition: `the customer's orders` are orders.
        """
        said = nouns(_OF.split(text, maxsplit=1)[0])
        return next((word for word in reversed(said) if word in self._resources), "")


@record
class _Known:
    """An operation, and what of it is compared.

    Attributes:
        weights: By term, how near to its name it stands.
        does: The verb in its id; empty: there is none.
        path_nouns: What its path is about: `/orders/{id}/items/{item}` is not what `get
            the order` means.
    """

    operation: Operation
    weights: dict[str, float]
    does: str
    path_nouns: frozenset[str]

    @classmethod
    def of(cls, operation: Operation) -> _Known:
        """Return an operation as it is compared."""
        words = {term for term in nouns(_fixed_path(operation)) if len(term) > 2}
        does = first_verb(" ".join(pieces(operation.id)))
        return cls(
            operation, _weighted(operation), does, frozenset(words - {"api", "rest"})
        )


def _is_named(known: _Known, text: str) -> bool:
    """Tell whether a text names an operation by its id, as it is."""
    name, operation = known.operation.id, known.operation
    is_a_word = name.isalpha() and name.islower() and bool(operation.method)
    at = -1 if is_a_word else text.find(name)
    if at < 0:
        return False
    around = text[at - 1 : at] + text[at + len(name) : at + len(name) + 1]
    return not any(char.isalnum() for char in around)


def _fit(known: _Known, verb: str) -> float:
    """Return how well what shall be done fits what the operation does."""
    method, does = known.operation.method, known.does
    if not verb or not method or known.weights.get(verb, 0) >= 2:
        return 1.0
    if does and does != verb and not any({does, verb} <= kind for kind in _KINDS):
        # `cancelOrder` creates nothing, though it is a POST.
        return 0.35 if verb in READ | CREATE | UPDATE | DELETE else 0.55
    if verb in READ:
        return 1.0 if method == "GET" else 0.35
    if verb in CREATE:
        return {"POST": 1.0, "PUT": 0.8}.get(method, 0.4)
    if verb in UPDATE:
        return {"PATCH": 1.0, "PUT": 1.0, "POST": 0.7}.get(method, 0.35)
    if verb in DELETE:
        return {"DELETE": 1.0, "POST": 0.6, "PATCH": 0.5}.get(method, 0.3)
    return (0.55 if method == "GET" else 0.95) if verb in ACT else 1.0


def _number(operation: Operation, text: str) -> float:
    """Return less than 1 for all of a kind where one is asked for, and the other way."""
    if not operation.is_read or not operation.resource:
        return 1.0
    said = [word for word in pieces(text) if singular(word) == operation.resource]
    wants_many = any(word != operation.resource for word in said)
    if not said or operation.resource == "status":
        return 1.0
    return 1.0 if wants_many != operation.url.endswith("}") else 0.85


def _fixed_path(operation: Operation) -> str:
    path = operation.url.partition("://")[2].partition("/")[2]
    return " ".join(part for part in path.split("/") if "{" not in part)


def _weighted(operation: Operation) -> dict[str, float]:
    takes = " ".join(parameter.name for parameter in operation.parameters)
    gives = " ".join(leaf.path[-1] for leaf in leaves(operation.response, 2))
    texts = {
        "id": operation.id,
        "path": _fixed_path(operation),
        "summary": operation.summary,
        "tags": " ".join(operation.tags),
        "api": operation.api,
        "description": operation.description,
        "takes": takes,
        "gives": gives,
    }
    found: dict[str, float] = {}
    for part, text in texts.items():
        for term in terms(text):
            found[term] = max(found.get(term, 0.0), _WEIGHTS[part])
    return found


def _of_workflow(known: KnownWorkflow) -> Operation:
    """Return a deployed workflow as something that a step can call."""
    properties = known.input.get("properties")
    required = known.input.get("required")
    needed = required if isinstance(required, list) else []
    pairs = properties.items() if isinstance(properties, dict) else ()
    found = nouns(known.name)
    return Operation(
        api=known.name,
        id=known.name,
        method="",
        url="",
        summary=known.name,
        description=known.description[:500],
        tags=("workflow",),
        resource=found[-1] if found else "",
        parameters=tuple(
            Parameter(name, "input", own, name in needed)
            for name, own in pairs
            if isinstance(own, dict) and "${" not in name
        ),
        response={},
    )

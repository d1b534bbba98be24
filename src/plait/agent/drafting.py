"""Drafting: from what a description asks for to a workflow document, by rules alone.

Rule 1. The same description and the same operations give the same draft.
Rule 2. What is not understood is never guessed at in silence: it stands in `unresolved`,
        as a question, and what was taken for granted in `assumed`.
Rule 3. A text of the description becomes a value only with its `${` escaped.

Not here: whether the draft compiles, and what is done if not (plait.agent.repairs).
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field, replace
from typing import Final

from plait.agent.conditions import DECIDED, express
from plait.agent.frame import head, output_of
from plait.agent.knowledge import Knowledge, Match
from plait.agent.openapi import Operation, Parameter
from plait.agent.reading import AND, FAILS, MARK, Reader, unmarked
from plait.agent.requests import is_spoken_of, literal, literal_text, request_of
from plait.agent.schemas import Leaf, leaves, type_of
from plait.agent.scope import (
    Inputs,
    Made,
    Scope,
    array_of,
    bind,
    bind_optional,
    key_words,
)
from plait.agent.wishes import (
    Answer,
    Approval,
    Attempt,
    Choice,
    Each,
    Part,
    Pause,
    Reading,
    Together,
    Wish,
)
from plait.agent.words import (
    first_verb,
    identifier,
    nouns,
    pieces,
    singular,
    terms,
)
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

_GIVES: Final = re.compile(r"\W*\w+\s*(?:=|:|is\b|\ue000|-?\d)")
_WISHED_LENGTH_MAX: Final = 200
_DECISION: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "decision": {"type": "string", "enum": ["approved", "rejected", "timed_out"]},
        "comment": {"type": "string"},
    },
}


@record
class Draft:
    """A document, and what is to be said about it.

    Attributes:
        document: The workflow; without steps when nothing was understood.
        steps: A line per step: what it calls.
        unresolved: Questions, for the next message.
        assumed: What was taken for granted.
        credentials: Names of the credentials that its calls show.
    """

    document: JsonObject
    steps: tuple[str, ...]
    unresolved: tuple[str, ...]
    assumed: tuple[str, ...]
    credentials: tuple[str, ...] = ()


def read_wishes(text: str, knowledge: Knowledge) -> Reading:
    """Return what a description asks for, divided as the operations suggest."""

    def is_thing(piece: str, verb: str) -> bool:
        match = knowledge.find(piece, verb)
        wanted = nouns(piece)
        if match is None or not wanted or match.score < 0.5:
            return False
        operation = match.operation
        own = set(terms(f"{operation.id} {operation.resource} {operation.url}"))
        return set(wanted) & own == set(wanted)

    def is_verb(piece: str) -> bool:
        # `email "a@b"` behind `with name "A" and` gives a value: it is no verb there.
        return bool(first_verb(piece)) and not _GIVES.match(piece)

    return Reader(is_thing, is_verb).read(text)


def draft(text: str, knowledge: Knowledge, name: str = "") -> Draft:
    """Return the workflow that a description in plain English asks for.

    Args:
        name: What it is called; empty: as the description says.
    """
    reading = read_wishes(text, knowledge)
    made = _Drafter(reading, knowledge).draft(text)
    if name:
        made.document["name"] = name
    elif reading.wished != reading.name:
        wished = reading.wished[:_WISHED_LENGTH_MAX]
        told = f"the workflow is called `{reading.name}`: '{wished}' cannot be its name"
        return replace(made, assumed=(told, *made.assumed))
    return made


@record
class Steps:
    """Steps for a workflow that is there already, and what is to be said about them."""

    steps: tuple[JsonObject, ...]
    unresolved: tuple[str, ...]
    assumed: tuple[str, ...]
    credentials: tuple[str, ...]


def drafted_steps(text: str, knowledge: Knowledge, scope: Scope, taken: set[str]) -> Steps:
    """Return the steps that a clause asks for.

    Args:
        scope: What they can read; what they need of the input is added to it.
        taken: Ids that are used up.
    """
    reading = read_wishes(text, knowledge)
    drafter = _Drafter(reading, knowledge, scope.inputs, ids=dict.fromkeys(taken, 1))
    steps = drafter.steps(reading.parts, scope)
    return Steps(
        tuple(steps),
        tuple(drafter.unresolved),
        (*drafter.assumed, *scope.inputs.assumed),
        tuple(drafter.credentials),
    )


@dataclass(slots=True)
class _Drafter:
    reading: Reading
    knowledge: Knowledge
    inputs: Inputs = field(default_factory=Inputs)
    lines: list[str] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    used: list[Operation] = field(default_factory=list)
    waits: bool = False

    def draft(self, text: str) -> Draft:
        """Return the draft of the whole reading."""
        scope = Scope(self.inputs)
        steps = self.steps(self.reading.parts, scope)
        is_read = not self.waits and all(one.is_read for one in self.used)
        document = head(text, self.reading, self.used, self.inputs, is_read=is_read)
        self.assumed += self.inputs.assumed
        document["steps"] = list(steps)
        output, unresolved = output_of(self.answers, scope, self.reading.literals)
        self.unresolved += unresolved
        if output:
            document["output"] = output
        for trigger in self.reading.triggers:
            self.unresolved.append(
                f"'{trigger}' says when the workflow starts, which a document does not: "
                "name a trigger when you deploy it. How shall it be started?"
            )
        return Draft(
            document,
            tuple(self.lines),
            tuple(dict.fromkeys(self.unresolved)),
            tuple(dict.fromkeys(self.assumed)),
            tuple(dict.fromkeys(self.credentials)),
        )

    # -- steps -------------------------------------------------------------------------

    def steps(self, parts: list[Part], scope: Scope) -> list[JsonObject]:
        """Return the steps of one scope, in order; note in `scope` what they answer.

        What changes something waits for all that stands before it, and what stands behind
        it waits for it: a description has an order. Reads need none among each other.
        """
        made: list[JsonObject] = []
        barrier: list[str] = []
        reads: list[str] = []
        parts = self._with_attempts(parts)
        for place, part in enumerate(parts):
            behind = parts[place + 1] if place + 1 < len(parts) else None
            for block in self._blocks(part, behind, scope):
                for step in block:
                    _wait_for(step, [*barrier, *(reads if _is_change(step) else [])])
                changes = [str(step["id"]) for step in block if _is_change(step)]
                read = [str(step["id"]) for step in block if not _is_change(step)]
                barrier, reads = (changes, read) if changes else (barrier, [*reads, *read])
                made.extend(block)
        return made

    def _with_attempts(self, parts: list[Part]) -> list[Part]:
        """Put `if it fails, …` around what it speaks of, when that stands before it."""
        made: list[Part] = []
        for part in parts:
            tried = self._tried(part, made) if isinstance(part, Attempt) else None
            if tried is None or not isinstance(part, Attempt):
                made.append(part)
            else:
                made[tried] = replace(part, parts=[made[tried]])
        return made

    def _tried(self, attempt: Attempt, before: list[Part]) -> int | None:
        wish = attempt.parts[0]
        if not isinstance(wish, Wish):
            return None
        places = [at for at, one in enumerate(before) if isinstance(one, Wish)]
        match = self.knowledge.find(FAILS.sub("", wish.text))
        for at in reversed(places):
            known = before[at]
            if match is None:
                return at if not nouns(FAILS.sub("", wish.text)) else None
            if isinstance(known, Wish):
                own = self.knowledge.find(known.text, known.verb)
                if own is not None and own.operation is match.operation:
                    return at
        return None

    def _blocks(
        self, part: Part, behind: Part | None, scope: Scope
    ) -> list[list[JsonObject]]:
        """Return the steps of one part; those of a block run at the same time."""
        match part:
            case Together(parts=inner):
                return [self._together(inner, scope)]
            case Answer(text=text):
                self.answers.append(text)
                return []
            case Wish():
                steps = self._wish(part, scope)
            case Each():
                steps = self._each(part, scope)
            case Choice():
                steps = self._choice(part, scope)
            case Attempt():
                steps = self._attempt(part, scope)
            case Approval():
                steps = self._approval(part, behind, scope)
            case Pause():
                steps = [self._pause(part)]
        return [[step] for step in steps]

    def _together(self, parts: list[Part], scope: Scope) -> list[JsonObject]:
        """Return the steps of parts that do not see each other."""
        visible, made = scope.inner(), list[JsonObject]()
        for one in parts:
            own = visible.inner()
            for block in self._blocks(one, None, own):
                made.extend(block)
            scope.made.extend(own.made[len(visible.made) :])
        return made

    def _wish(self, wish: Wish, scope: Scope) -> list[JsonObject]:
        if not pieces(wish.text):
            return []
        match = self.knowledge.find(wish.text, wish.verb)
        if match is None:
            self._not_found(wish)
            return []
        operation = match.operation
        if wish.recalls and any(one is operation for one in self.used):
            return []
        self._tell_ties(wish, match)
        self._tell_rest(wish, operation)
        step = self._call(operation, wish.text, scope)
        if wish.attempts is not None:
            step["retry"] = {"max_attempts": wish.attempts}
        if wish.timeout:
            step["timeout"] = wish.timeout
        if wish.goes_on:
            step["on_error"] = "continue"
        return [step]

    def _not_found(self, wish: Wish) -> None:
        said = unmarked(wish.text, self.reading.literals)[:200]
        words = [one for one in terms(said) if self.knowledge.knows(one)]
        near = [
            one.title
            for one in self.knowledge.operations
            if set(words) & set(terms(f"{one.id} {one.summary}"))
        ][:3]
        hint = f"; do you mean {' or '.join(near)}?" if near else "?"
        self.unresolved.append(f"Which operation does '{said}'{hint}")

    def _tell_rest(self, wish: Wish, operation: Operation) -> None:
        """Ask about what stands behind an `and` and is no part of the call."""
        for piece in AND.split(wish.text)[1:]:
            words = nouns(piece)
            is_known = not words or self.knowledge.has_any(operation, words)
            if not is_known and not MARK.search(piece):
                self._not_found(Wish(piece.strip()))

    def _tell_ties(self, wish: Wish, match: Match) -> None:
        if match.others:
            said = unmarked(wish.text, self.reading.literals)[:200]
            others = " or ".join(one.title for one in match.others)
            self.assumed.append(
                f"'{said}' is taken for {match.operation.title}; it could be {others}"
            )

    def _call(self, operation: Operation, text: str, scope: Scope) -> JsonObject:
        step_id = self._new_id(operation)
        self.used.append(operation)
        self.lines.append(f"`{step_id}`: {operation.title}")
        values: dict[str, JsonValue] = {}
        for parameter in operation.parameters:
            value = self._value(parameter, operation, text, scope)
            if value is not None:
                values[parameter.name] = value
        request = request_of(operation, values)
        scope.made.append(
            Made(step_id, f"{step_id}.response", operation.response, operation.resource)
        )
        step: JsonObject = {
            "id": step_id,
            "type": "http" if operation.method else "workflow",
        }
        if operation.credential is not None:
            step["credential"] = operation.credential.name
            self.credentials.append(operation.credential.name)
        return {**step, "request": request}

    def _value(
        self, parameter: Parameter, operation: Operation, text: str, scope: Scope
    ) -> JsonValue:
        said = literal(parameter, text, self.reading.literals)
        if said is not None:
            return said
        if parameter.is_required:
            return f"${{{bind(parameter, operation, scope)}}}"
        if is_spoken_of(parameter, operation, text):
            return f"${{{bind(parameter, operation, scope)}}}"
        found = bind_optional(parameter, operation, scope)
        return f"${{{found}}}" if found else None

    def _new_id(self, operation: Operation) -> str:
        if operation.is_read and operation.resource:
            word = operation.resource
            many = type_of(operation.response) == "array" or not operation.url.endswith("}")
            last = operation.url.rstrip("/").rpartition("/")[2]
            plural = pieces(last)[-1:] if many and "{" not in last else []
            words = [plural[0] if plural and singular(plural[0]) == word else word]
        else:
            words = pieces(operation.id)[:5]
        return self._unique(identifier(words))

    def _unique(self, name: str) -> str:
        count = self.ids.get(name, 0) + 1
        self.ids[name] = count
        if count == 1:
            return name
        return self._unique(f"{name}_{count}")

    # -- groups ------------------------------------------------------------------------

    def _each(self, each: Each, scope: Scope) -> list[JsonObject]:
        before: list[JsonObject] = []
        noun = next(iter(nouns(each.over)), "item")
        found = array_of(each.over, scope)
        if found is None:
            before = self._fetch_many(each.over, scope)
            found = array_of(each.over, scope)
        inner = scope.inner()
        inner.item_noun = singular(noun)
        if found is None:
            plural = next(
                (w for w in pieces(each.over) if singular(w) == inner.item_noun), ""
            )
            item: JsonObject = {}
            name = plural if plural and plural != inner.item_noun else f"{inner.item_noun}s"
            items = self.inputs.need(identifier([name]), {"type": "array", "items": item})
            inner.item, inner.open_item = item, True
            self.assumed.append(f"'{each.over}' come with the input, as `{items}`")
        else:
            items, inner.item = found
            inner.open_item = False
        steps = self.steps(each.parts, inner)
        if not steps:
            return before
        step_id = self._unique(f"each_{identifier([inner.item_noun], fallback='item')}")
        self.lines.append(f"`{step_id}`: for each of `{items}`")
        inside: list[JsonValue] = list(steps)
        return [
            *before,
            {"id": step_id, "type": "foreach", "items": f"${{{items}}}", "steps": inside},
        ]

    def _fetch_many(self, over: str, scope: Scope) -> list[JsonObject]:
        """Get the list that a loop runs over, when an operation gives it."""
        thing, owner = (*re.split(r"(?i)\s+(?:in|of|from|on)\s+", over, maxsplit=1), "")[:2]
        head = {singular(word) for word in nouns(thing)}
        for text, verb in ((over, "list"), (thing, "list"), (owner, "get")):
            match = self.knowledge.find(text, verb) if nouns(text) else None
            if match is None or not match.operation.is_read or match.score < 0.5:
                continue
            operation = match.operation
            lists = [
                {*key_words(" ".join(leaf.path)), operation.resource}
                for leaf in (Leaf((), operation.response), *leaves(operation.response, 1))
                if type_of(leaf.schema) == "array"
            ]
            if any(head <= words for words in lists):
                self.assumed.append(f"'{over}' come from {operation.title}")
                return [self._call(operation, text, scope)]
        return []

    def _choice(self, choice: Choice, scope: Scope) -> list[JsonObject]:
        before = self._fetch_for(choice.condition, scope)
        condition = express(choice.condition, scope, self.reading.literals)
        if condition.assumed:
            self.assumed.append(condition.assumed)
        when = f"!({condition.expression})" if choice.negated else condition.expression
        then = self.steps(choice.then, scope.inner())
        otherwise = self.steps(choice.otherwise, scope.inner())
        if len(then) == 1 and not otherwise and "condition" not in then[0]:
            step = {
                "id": then[0]["id"],
                "type": then[0]["type"],
                "condition": f"${{{when}}}",
            }
            return [*before, {**step, **then[0]}]
        if not then and not otherwise:
            return before
        if not then:
            when, then, otherwise = f"!({when})", otherwise, []
        words = [word for word in nouns(choice.condition) if word.isascii()][:2]
        step_id = self._unique(identifier(["if", *words] if words else ["choice"]))
        self.lines.append(
            f"`{step_id}`: if {unmarked(choice.condition, self.reading.literals)}"
        )
        yes: list[JsonValue] = list(then)
        no: list[JsonValue] = list(otherwise)
        cases: list[JsonValue] = [{"when": f"${{{when}}}", "steps": yes}]
        made: JsonObject = {"id": step_id, "type": "switch", "cases": cases}
        return [*before, {**made, "default": {"steps": no}} if no else made]

    def _fetch_for(self, condition: str, scope: Scope) -> list[JsonObject]:
        """Get what a condition speaks of, when no step has and an operation gives it."""
        trial = copy.deepcopy(scope)
        if not express(condition, trial, self.reading.literals).assumed:
            return []
        about = {singular(word) for word in nouns(condition)}
        for operation in self.knowledge.operations:
            is_one = operation.is_read and operation.url.endswith("}")
            if not is_one or operation.resource not in about:
                continue
            trial = copy.deepcopy(scope)
            value = f"{operation.resource}.response"
            trial.made.append(Made("_", value, operation.response, operation.resource))
            if not express(condition, trial, self.reading.literals).assumed:
                self.assumed.append(f"'{condition}' is learned from {operation.title}")
                return [self._call(operation, operation.resource, scope)]
        return []

    def _attempt(self, attempt: Attempt, scope: Scope) -> list[JsonObject]:
        tried = self.steps(attempt.parts, scope.inner())
        rescue = self.steps(attempt.rescue, scope.inner())
        if not tried or not rescue:
            return [*tried, *rescue] if tried else []
        step_id = self._unique(f"try_{tried[0]['id']}")
        # What was rescued has failed all the same: what stands behind must not be done.
        ended: JsonObject = {
            "id": self._unique("ended"),
            "type": "fail",
            "depends_on": [str(step["id"]) for step in rescue],
            "code": f"{tried[0]['id']}.failed",
            "message": "${error.message}",
        }
        rescue = [*rescue, ended]
        self.lines.append(f"`{step_id}`: tried, and what follows when it fails")
        inside: list[JsonValue] = list(tried)
        handlers: list[JsonValue] = [{"steps": list(rescue)}]
        return [{"id": step_id, "type": "try", "steps": inside, "catch": handlers}]

    def _approval(
        self, approval: Approval, behind: Part | None, scope: Scope
    ) -> list[JsonObject]:
        step_id = self._unique("approval")
        self.waits = True
        self.lines.append(f"`{step_id}`: waits until somebody decides")
        said = unmarked(approval.text, self.reading.literals)
        step: JsonObject = {
            "id": step_id,
            "type": "approval",
            "title": literal_text(said[:1].upper() + said[1:200]),
        }
        if approval.approvers:
            step["approvers"] = list(approval.approvers)
        if approval.timeout:
            step["timeout"] = approval.timeout
        value = f"{step_id}.response"
        scope.made.append(Made(step_id, value, _DECISION, "approval"))
        if isinstance(behind, Choice) and DECIDED.search(behind.condition):
            return [step]
        # Without this a refusal would be an answer that nobody reads.
        refused: JsonObject = {
            "id": self._unique("refused"),
            "type": "return",
            "condition": f"${{{value}.decision != 'approved'}}",
            "value": {"decision": f"${{{value}.decision}}"},
        }
        self.lines.append(f"`{refused['id']}`: ends the workflow if it is not approved")
        return [step, refused]

    def _pause(self, pause: Pause) -> JsonObject:
        self.waits = True
        step_id = self._unique("pause")
        if pause.duration:
            self.lines.append(f"`{step_id}`: waits {pause.duration}")
            return {"id": step_id, "type": "wait", "for": pause.duration}
        name = identifier(pause.event.split("-"), fallback="event").replace("_", "-")
        self.lines.append(f"`{step_id}`: waits for the event `{name}`")
        return {"id": step_id, "type": "wait", "event": {"name": name}}


def _wait_for(step: JsonObject, ids: list[str]) -> None:
    """Let a step wait for others that it does not read."""
    text = str({key: value for key, value in step.items() if key != "id"})
    unread: list[JsonValue] = [one for one in ids if not re.search(rf"\b{one}\.", text)]
    if unread:
        step["depends_on"] = unread


def _is_change(step: JsonObject) -> bool:
    """Tell whether a step may change something, so that its turn matters."""
    if step["type"] == "http":
        request = step.get("request")
        return isinstance(request, dict) and request.get("method", "GET") != "GET"
    return step["type"] != "set"

"""Edits: what people ask to have changed in a workflow, and the change of its text.

`Add a retry of 3 to charge`, `rename the step pay to payment`, `remove the step notify`,
`add a step that refunds the payment after charge`, `set the timeout of quote to 5s`.

Rule. One sentence, one edit; a sentence that is none, or means no step that is there,
      changes nothing and becomes a question.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from plait.agent.conditions import express
from plait.agent.drafting import Draft, drafted_steps
from plait.agent.knowledge import Knowledge
from plait.agent.scope import Inputs, Made, Scope
from plait.agent.spans import attempts_in, duration_in, number_of
from plait.agent.surgery import Path, Surgery
from plait.agent.words import identifier, pieces, singular, stem
from plait.document.source import SourceErrors
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

# What is longer is no edit; matching one takes the square of its length.
_LENGTH_MAX: Final = 300
_SENTENCE: Final = re.compile(r"(?<=[^\s.])[.!?](?=\s|$)|[;\n]+")
_AND: Final = re.compile(
    r"(?i)\s*,?\s+(?:and|then)\s+(?:then\s+)?(?=(?:add|set|rename|remove|delete|drop|"
    r"disable|enable|retry|give|put|change|insert|make|raise|lower|increase|decrease)\b)"
)
_POLITE: Final = re.compile(
    r"(?i)^\s*(?:(?:please|now|also|and|then|could you|can you|i want (?:you )?to|"
    r"i would like (?:you )?to|let us|let's)\s+)+"
)
_STEP: Final = (
    r"(?:the\s+)?(?:steps?\s+)?[\"'`]?(?P<step>[\w .-]{1,80}?)[\"'`]?(?:\s+step)?"
)
_EVERYWHERE: Final = re.compile(
    r"(?i)^(?:all|every|each|any)\b|^everything$|^them$|^defaults?$"
)

_RENAME: Final = re.compile(
    rf"(?i)^rename\s+{_STEP}\s+(?:to|into|as)\s+[\"'`]?(?P<new>[\w-]{{1,80}})[\"'`]?$"
)
_REMOVE: Final = re.compile(rf"(?i)^(?:remove|delete|drop|take\s+out)\s+{_STEP}$")
_REMOVE_KEY: Final = re.compile(
    r"(?i)^(?:remove|delete|drop)\s+(?:the\s+)?(?P<key>retry|retries|timeout|time\s+limit|"
    rf"condition|fallback|cache|rate\s+limit)\s+(?:from|of|at|on)\s+{_STEP}$"
)
_RETRY: Final = (
    re.compile(
        r"(?i)^(?:add|set|give|put|change|make)\b.*?\bretr(?:y|ies)\b.*?"
        rf"\b(?:to|for|on|of|at)\s+(?!\d|at most){_STEP}(?:\s+to\s+\d+.*)?$"
    ),
    re.compile(rf"(?i)^(?:retry|try)\s+{_STEP}\s+(?:up\s+to\s+)?(?:\w+)\s+times?$"),
    re.compile(
        rf"(?i)^(?:add|set|give|put)\s+{_STEP}\s+(?:a\s+)?\b(?:\w+\s+)?retr(?:y|ies)\b.*$"
    ),
)
_TIMEOUT: Final = (
    re.compile(
        r"(?i)^(?:set|change|raise|lower|increase|decrease|make)\s+(?:the\s+)?"
        rf"(?:timeout|time\s+limit)\s+(?:of|for|on|at)\s+{_STEP}\s+(?:to|at|=)\s+.+$"
    ),
    re.compile(
        r"(?i)^(?:add|set|give|put)\s+(?:a\s+)?(?:timeout|time\s+limit)\s+"
        rf"(?:of\s+)?.+?\s+(?:to|for|on|at)\s+{_STEP}$"
    ),
    re.compile(rf"(?i)^(?:time\s*out|stop)\s+{_STEP}\s+after\s+.+$"),
    re.compile(
        rf"(?i)^(?:give|add|set)\s+{_STEP}\s+(?:a\s+)?(?:timeout|time\s+limit)\s+.+$"
    ),
)
_TO_GO_ON: Final = (
    re.compile(
        r"(?i)^(?:ignore|continue\s+(?:on|after))\s+(?:errors?|failures?)\s+"
        rf"(?:of|in|from|at)\s+{_STEP}$"
    ),
    re.compile(rf"(?i)^make\s+{_STEP}\s+optional$"),
    re.compile(rf"(?i)^(?:continue|go\s+on)\s+(?:if|when)\s+{_STEP}\s+fails$"),
)
_DISABLE: Final = re.compile(rf"(?i)^(?P<verb>disable|enable)\s+{_STEP}$")
_CONDITION: Final = (
    re.compile(
        rf"(?i)^(?:only\s+)?(?:run|do|call|execute)\s+{_STEP}\s+"
        r"(?:only\s+)?(?P<word>if|when|unless)\s+(?P<condition>.+)$"
    ),
    re.compile(rf"(?i)^skip\s+{_STEP}\s+(?P<word>if|when|unless)\s+(?P<condition>.+)$"),
)
_DESCRIBE: Final = re.compile(
    r"(?i)^(?:set|change)\s+(?:the\s+)?description\s+to\s+(?P<text>.+)$"
)
_ADD: Final = re.compile(
    r"(?i)^(?:add|insert|put|append)\s+(?:an?\s+|another\s+|the\s+)?(?:new\s+)?(?:step|call)?\s*"
    r"(?:that\s+|which\s+|to\s+|for\s+)?(?P<what>.+?)"
    r"(?:\s+(?P<side>after|behind|before|in\s+front\s+of)\s+(?:the\s+)?(?:step\s+)?[\"'`]?"
    r"(?P<step>[\w -]{1,80}?)[\"'`]?(?:\s+step)?"
    r"|\s+at\s+the\s+(?P<end>end|start|beginning))?$"
)
_BEHIND: Final = re.compile(
    r"(?i)^(?P<side>after|before)\s+(?:the\s+)?(?:step\s+)?"
    r"[\"'`]?(?P<step>[\w-]{1,80})[\"'`]?,?\s+"
    r"(?:add\s+(?:a\s+)?(?:step|call)\s+(?:that|which|to)\s+)?(?P<what>.+)$"
)
_IS_EDIT: Final = re.compile(
    r"(?i)^(?:rename\b|(?:remove|delete|drop|disable|enable|skip)\s+(?:the\s+)?step\b|"
    r"(?:add|insert)\s+(?:an?|another|the)\s+(?:new\s+)?step\b|"
    r"(?:add|set|give|put|change|remove|drop|raise|lower|increase|decrease)\b.{0,60}\b"
    r"(?:retr(?:y|ies)|timeout|time\s+limit|condition|description)\b|make\s+\S+\s+optional\b|"
    r"ignore\s+(?:errors?|failures?)\s+(?:of|in)\b|retry\s+(?:the\s+)?step\b)"
)


@record
class Edited:
    """A changed workflow: what is told of it, and its text."""

    draft: Draft
    text: str


def is_edit(text: str) -> bool:
    """Tell whether a message asks for a change of what was drafted, not for more.

    >>> is_edit("Add a retry of 3 to charge"), is_edit("delete the order")
    (True, False)
    """
    return _IS_EDIT.match(_POLITE.sub("", text.strip())) is not None


def apply(base: str, said: tuple[str, ...], knowledge: Knowledge) -> Edited:
    """Return the workflow in `base` with all that was said done to it."""
    try:
        surgery = Surgery(base)
    except SourceErrors as error:
        unread = Draft({}, (), (f"The workflow cannot be read: {error}",), ())
        return Edited(unread, base)
    editor = _Editor(surgery, knowledge)
    for message in said:
        for sentence in _SENTENCE.split(message[:20_000]):
            for piece in _AND.split(" ".join(sentence.split())):
                editor.take(_POLITE.sub("", piece.strip()).strip(" .,"))
    if surgery.is_rewritten:
        editor.assumed.append("the text was written anew, without its comments")
    told = Draft(
        surgery.value,
        tuple(editor.done),
        tuple(dict.fromkeys(editor.unresolved)),
        tuple(dict.fromkeys(editor.assumed)),
        tuple(dict.fromkeys(editor.credentials)),
    )
    return Edited(told, surgery.text)


@dataclass(slots=True)
class _Editor:
    surgery: Surgery
    knowledge: Knowledge
    done: list[str] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)

    def take(self, text: str) -> None:
        """Do what one sentence says, or ask."""
        if not text:
            return
        if len(text) > _LENGTH_MAX:
            self.unresolved.append(f"What shall be changed by '{text[:200]}'?")
            return
        ways: tuple[Callable[[str], bool], ...] = (
            self._rename, self._remove_key, self._retry, self._timeout, self._go_on,
            self._able, self._describe, self._remove, self._condition, self._add,
        )  # fmt: skip
        if not any(way(text) for way in ways):
            self.unresolved.append(f"What shall be changed by '{text[:200]}'?")

    # -- single edits ------------------------------------------------------------------

    def _rename(self, text: str) -> bool:
        found = _RENAME.match(text)
        if found is None:
            return False
        if re.fullmatch(r"(?i)(?:the\s+|this\s+)?workflow|it", found["step"].strip()):
            self.surgery.set_key((), "name", found["new"])
            return self._did(f"the workflow is called `{found['new']}`")
        path = self._step(found["step"])
        if path is None:
            return True
        old, new = self._id(path), identifier(pieces(found["new"]), fallback="step")
        if re.fullmatch(r"[A-Za-z_]\w*", found["new"], re.ASCII):
            new = found["new"]
        if new in self._ids():
            self.unresolved.append(
                f"A step '{new}' is there already: what shall '{old}' be?"
            )
            return True
        self.surgery.rename_step(path, new)
        return self._did(f"step `{old}` is now `{new}`, and so it is read")

    def _remove(self, text: str) -> bool:
        found = _REMOVE.match(text)
        path = self._step(found["step"]) if found is not None else None
        if found is None:
            return False
        if path is None:
            return True
        gone = self._id(path)
        readers = [
            self._id(where)
            for where, step in self.surgery.steps()
            if where[: len(path)] != path and _reads(step, gone)
        ]
        if readers or _reads(self.surgery.value.get("output"), gone):
            who = ", ".join(f"'{one}'" for one in dict.fromkeys(readers)) or "the output"
            self.unresolved.append(
                f"Step '{gone}' is read by {who}: what shall be read in its place?"
            )
            return True
        if len(self.surgery.at(path[:-1])) == 1:
            self.unresolved.append(
                f"'{gone}' is the only step there: remove what is around it?"
            )
            return True
        self._let_nobody_wait(gone)
        self.surgery.remove_step(self._where(gone) or path)
        return self._did(f"step `{gone}` is gone")

    def _let_nobody_wait(self, gone: str) -> None:
        for where, step in list(self.surgery.steps()):
            waits = step.get("depends_on")
            if isinstance(waits, list) and gone in waits:
                # Who waited for it waits for what it waited for.
                before = self.surgery.at(self._where(gone) or ()).get("depends_on", [])
                left: list[JsonValue] = [one for one in waits if one != gone]
                left += [one for one in before if one not in left]
                if left:
                    self.surgery.set_key(where, "depends_on", left)
                else:
                    self.surgery.remove_key(where, "depends_on")

    def _remove_key(self, text: str) -> bool:
        found = _REMOVE_KEY.match(text)
        if found is None:
            return False
        word = found["key"].lower().replace(" ", "_")
        key = {"retries": "retry", "time_limit": "timeout"}.get(word, word)
        path = self._target(found["step"])
        if path is None:
            return True
        if key not in self.surgery.at(path):
            self.unresolved.append(
                f"'{found['step']}' has no `{key}`: which step is meant?"
            )
            return True
        self.surgery.remove_key(path, key)
        return self._did(f"{self._told(path)} has no `{key}` any more")

    def _retry(self, text: str) -> bool:
        found = _first(_RETRY, text)
        if found is None:
            return False
        attempts = _last_number(text.replace(found["step"], "")) or attempts_in(text)
        path = self._target(found["step"])
        if path is None or attempts is None:
            if attempts is None:
                self.unresolved.append(f"How often shall '{found['step']}' be tried?")
            return True
        known = self.surgery.at(path).get("retry")
        retry: JsonObject = dict(known) if isinstance(known, dict) else {}
        retry["max_attempts"] = attempts
        self.surgery.set_key(path, "retry", retry)
        return self._did(f"{self._told(path)} is tried {attempts} times at most")

    def _timeout(self, text: str) -> bool:
        found = _first(_TIMEOUT, text)
        if found is None:
            return False
        span, path = duration_in(text), self._target(found["step"])
        if path is None or not span:
            if not span:
                self.unresolved.append(f"How long may '{found['step']}' take?")
            return True
        self.surgery.set_key(path, "timeout", span)
        return self._did(f"{self._told(path)} has a timeout of {span}")

    def _go_on(self, text: str) -> bool:
        found = _first(_TO_GO_ON, text)
        path = self._target(found["step"]) if found is not None else None
        if found is None or path is None:
            return found is not None
        self.surgery.set_key(path, "on_error", "continue")
        return self._did(f"the workflow goes on when {self._told(path)} fails")

    def _able(self, text: str) -> bool:
        found = _DISABLE.match(text)
        path = self._step(found["step"]) if found is not None else None
        if found is None or path is None:
            return found is not None
        if found["verb"].lower() == "disable":
            self.surgery.set_key(path, "disabled", True)
        elif "disabled" in self.surgery.at(path):
            self.surgery.remove_key(path, "disabled")
        return self._did(f"{self._told(path)} is {found['verb'].lower()}d")

    def _describe(self, text: str) -> bool:
        found = _DESCRIBE.match(text)
        if found is None:
            return False
        said = found["text"].strip("\"'` ").replace("${", "$${")
        self.surgery.set_key((), "description", said[:500])
        return self._did("the description is another")

    def _condition(self, text: str) -> bool:
        found = _first(_CONDITION, text)
        path = self._step(found["step"]) if found is not None else None
        if found is None or path is None:
            return found is not None
        scope = self._scope(path)
        condition = express(found["condition"], scope, [])
        is_negated = (found["word"].lower() == "unless") != text.lower().startswith("skip")
        when = f"!({condition.expression})" if is_negated else condition.expression
        if condition.assumed:
            self.assumed.append(condition.assumed)
        self._add_inputs(scope.inputs)
        self.surgery.set_key(
            self._where(self._id(path)) or path, "condition", f"${{{when}}}"
        )
        return self._did(f"{self._told(path)} runs only if `{when}`")

    def _add(self, text: str) -> bool:
        found = _ADD.match(text) or _BEHIND.match(text)
        if found is None:
            return False
        parts = found.groupdict()
        path = self._step(parts["step"]) if parts.get("step") else None
        if parts.get("step") and path is None:
            return True
        side = (parts.get("side") or "after").lower()
        is_before = side not in ("after", "behind") or parts.get("end") in (
            "start",
            "beginning",
        )
        steps = path[:-1] if path else ("steps",)
        if not isinstance(self.surgery.value.get("steps"), list):
            self.unresolved.append(
                "A state machine has no list of steps: which state is meant?"
            )
            return True
        here = (
            int(path[-1]) if path else (0 if is_before else len(self.surgery.at(steps)) - 1)
        )
        place = here if is_before else here + 1
        self._insert(parts["what"], steps, place, path if not is_before else None)
        return True

    def _insert(self, what: str, steps: Path, place: int, behind: Path | None) -> None:
        scope = self._scope((*steps, place))
        made = drafted_steps(what, self.knowledge, scope, set(self._ids()))
        self.unresolved += made.unresolved
        self.assumed += made.assumed
        self.credentials += made.credentials
        anchor = self._id(behind) if behind is not None else ""
        new = list(made.steps)
        for at, step in enumerate(new):
            if anchor and at == 0 and not _reads(step, anchor):
                step["depends_on"] = [anchor]
            self.surgery.insert_step(steps, place + at, step)
        self._add_inputs(scope.inputs)
        for step in new:
            where = f" behind `{anchor}`" if anchor else ""
            self.done.append(f"step `{step['id']}` is new{where}: {_called(step)}")

    # -- what is there -----------------------------------------------------------------

    def _did(self, line: str) -> bool:
        self.done.append(line)
        return True

    def _ids(self) -> list[str]:
        return [str(step["id"]) for _, step in self.surgery.steps()]

    def _id(self, path: Path) -> str:
        return str(self.surgery.at(path)["id"])

    def _where(self, name: str) -> Path | None:
        return next(
            (path for path, step in self.surgery.steps() if step["id"] == name), None
        )

    def _told(self, path: Path) -> str:
        return (
            f"step `{self._id(path)}`" if path and path != ("defaults",) else "every call"
        )

    def _target(self, said: str) -> Path | None:
        """Return where a setting goes: a step, or the defaults of all calls."""
        if not _EVERYWHERE.match(said.strip()):
            return self._step(said)
        if "defaults" not in self.surgery.value:
            self.surgery.set_key((), "defaults", {"timeout": "30s"})
        return ("defaults",)

    def _step(self, said: str) -> Path | None:
        """Return the step that is meant; None: nobody knows, and it was asked."""
        known = list(self.surgery.steps())
        for path, step in known:
            if step["id"] == said.strip():
                return path
        words = {stem(singular(word)) for word in pieces(said)} - {"step", "the", "call"}
        best = [
            (len(words & own) / len(words | own), path)
            for path, step in known
            if (own := {stem(singular(word)) for word in pieces(str(step["id"]))}) & words
        ]
        top = max((score for score, _ in best), default=0.0)
        meant = [path for score, path in best if score == top]
        if len(meant) == 1 and top >= 0.3:
            return meant[0]
        names = ", ".join(f"'{step['id']}'" for _, step in known[:20])
        self.unresolved.append(f"Which step is '{said.strip()}': {names}?")
        return None

    def _scope(self, path: Path) -> Scope:
        """Return what a step at `path` can read: input, and the steps before it."""
        schema = self.surgery.value.get("input")
        properties = schema.get("properties") if isinstance(schema, dict) else None
        required = schema.get("required") if isinstance(schema, dict) else None
        inputs = Inputs(
            {key: one for key, one in properties.items() if isinstance(one, dict)}
            if isinstance(properties, dict)
            else {},
            [str(one) for one in required] if isinstance(required, list) else [],
        )
        scope = Scope(inputs)
        for where, step in self.surgery.steps():
            outer = where[:-1]
            if (
                path[: len(outer)] == outer
                and where[-1] != path[len(outer)]
                and (
                    isinstance(where[-1], int)
                    and isinstance(path[len(outer)], int)
                    and where[-1] < int(path[len(outer)])
                )
            ):
                scope.made.append(self._made(step))
        return scope

    def _made(self, step: JsonObject) -> Made:
        """Return what a step answers, as far as the operations tell."""
        request = step.get("request")
        url = str(request.get("url", "")) if isinstance(request, dict) else ""
        method = str(request.get("method", "GET")) if isinstance(request, dict) else ""
        plain = re.sub(r"\$\{[^}]*\}", "{}", url)
        for operation in self.knowledge.operations:
            same = re.sub(r"\{[^}]*\}", "{}", operation.url) == plain
            if url and same and operation.method == method:
                value = f"{step['id']}.response"
                return Made(str(step["id"]), value, operation.response, operation.resource)
        resource = singular((pieces(str(step["id"])) or [""])[-1])
        schema: JsonObject = {} if step["type"] == "http" else {"type": "object"}
        return Made(str(step["id"]), f"{step['id']}.response", schema, resource)

    def _add_inputs(self, inputs: Inputs) -> None:
        """Let the document's input have what new templates read of it."""
        known = self.surgery.value.get("input")
        if not inputs.properties:
            return
        if not isinstance(known, dict):
            made: JsonObject = {"type": "object", "required": list(inputs.required)}
            made["properties"] = dict(inputs.properties)
            self.surgery.set_key((), "input", made)
            return
        own = known.get("properties")
        if not isinstance(own, dict) or not own:
            self.surgery.set_key(("input",), "properties", dict(inputs.properties))
        else:
            for name, schema in inputs.properties.items():
                if name not in own:
                    self.surgery.set_key(("input", "properties"), name, schema)
        needed: list[JsonValue] = list(inputs.required)
        if needed and needed != known.get("required"):
            self.surgery.set_key(("input",), "required", needed)


def _first(patterns: tuple[re.Pattern[str], ...], text: str) -> re.Match[str] | None:
    return next((found for one in patterns if (found := one.match(text))), None)


def _last_number(text: str) -> int | None:
    found = [number for word in pieces(text) if (number := number_of(word)) is not None]
    return found[-1] if found else None


def _reads(value: Any, name: str) -> bool:
    """Tell whether any template inside a value reads a step."""
    if isinstance(value, str):
        return re.search(rf"\$\{{[^}}]*(?<![\w.]){re.escape(name)}\b", value) is not None
    if isinstance(value, dict):
        return any(_reads(one, name) for one in value.values())
    return isinstance(value, list) and any(_reads(one, name) for one in value)


def _called(step: JsonObject) -> str:
    request = step.get("request")
    if not isinstance(request, dict):
        return str(step["type"])
    method = request.get("method", "GET")
    return (
        f"{method} {request['url']}" if "url" in request else f"workflow {request['name']}"
    )

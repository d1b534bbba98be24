"""Drafters: what makes a workflow of a conversation. The one here needs no model.

A drafter yields what happens on the way, and at last either what came of it or a failure.
Nothing that it makes is run by it, or by anybody else at its word.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol, TypeAlias

from plait.agent import edits
from plait.agent.difference import difference
from plait.agent.drafting import Draft, draft
from plait.agent.knowledge import Knowledge
from plait.agent.repairs import ROUNDS_MAX, Checks, findings, mend, text_of
from plait.document import Catalog
from plait.model.diagnostic import Diagnostic
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

_SHOWN_MAX: Final = 50
# What else speaks against deploying a text, and where; empty: nothing.
Refusals: TypeAlias = Callable[[str], Awaitable[Sequence[Diagnostic]]]
# What another draft can do without, and what is left to people.
Judged: TypeAlias = tuple[tuple[Diagnostic, ...], tuple[str, ...]]


@record
class Task:
    """What shall be drafted.

    Attributes:
        said: What the person said, in order.
        base: The text of the workflow that is to be changed; None: a new one is wanted.
        knowledge: What it can be made of.
        name: What a new one shall be called; empty: as the description says.
        refusals: Tells what a text that compiles would not be deployed for, such as what
            others have; None: nobody knows.
    """

    said: tuple[str, ...]
    base: str | None
    knowledge: Knowledge
    name: str = ""
    refusals: Refusals | None = None


@record
class Progress:
    """Something that happened on the way: `draft` or `debugging`."""

    type: str
    data: JsonObject


@record
class Made:
    """A workflow that compiles.

    Attributes:
        name: What it is called.
        text: The document.
        credentials: Names of those that its calls show; what a model reads of the
            operator's secrets as `secrets.NAME`.
    """

    name: str
    text: str
    summary: str
    steps: tuple[str, ...]
    unresolved: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    difference: JsonObject | None = None


@record
class NotMade:
    """Nothing that compiles came of it; why, and what to ask."""

    code: str
    message: str
    unresolved: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


class Drafter(Protocol):
    """Makes workflows of conversations. It executes nothing."""

    def answer(self, task: Task) -> AsyncIterator[str]:
        """Yield an answer to what was said last, in pieces."""
        ...

    def draft(self, task: Task) -> AsyncIterator[Progress | Made | NotMade]:
        """Yield the way to a workflow, and at last `Made` or `NotMade`."""
        ...

    async def close(self) -> None:
        """Let go of what is open."""
        ...


class EmbeddedDrafter:
    """Drafts by rules: no model, no network, the same draft for the same words.

    Args:
        checks: What judges a draft as deploying does; None: it shall compile, and no more.
    """

    def __init__(self, catalog: Catalog, checks: Checks | None = None) -> None:
        self._catalog = catalog
        self._checks = checks

    async def answer(self, task: Task) -> AsyncIterator[str]:
        """Say what was understood, what is missing, and what will be drafted."""
        # In a thread: a long description over many operations takes a second.
        made = await asyncio.to_thread(_drafted, task)
        for paragraph in _paragraphs(made, task):
            yield paragraph

    async def draft(self, task: Task) -> AsyncIterator[Progress | Made | NotMade]:
        """Draft, compile, mend what the diagnostics say, until it compiles and deploys."""
        made = await asyncio.to_thread(_drafted, task)
        if not _has_steps(made) or (task.base is not None and not made.draft.steps):
            questions = made.draft.unresolved or (_NOTHING_SAID,)
            text = "nothing that could be drafted was understood"
            yield NotMade(code="agent.unresolved", message=text, unresolved=questions)
            return
        yield Progress("draft", draft_data(made.text, made.draft.steps))
        for number in range(1, ROUNDS_MAX + 1):
            wrong, left = await self._judged(made, task)
            if not wrong:
                yield _complete(made, task, left)
                return
            made, done = await asyncio.to_thread(_mended, made, wrong)
            yield Progress("debugging", debugging_data(number, wrong, done, made.text))
            if not done or not _has_steps(made):
                break
        wrong, _ = await self._judged(made, task)
        questions = made.draft.unresolved or tuple(one.message for one in wrong[:5])
        text = "no draft that compiles came of it"
        yield NotMade(
            code="agent.not_valid", message=text, unresolved=questions, diagnostics=wrong
        )

    async def _judged(self, made: _Text, task: Task) -> Judged:
        return await judged(task, made.text, self._catalog, self._checks)

    async def close(self) -> None:
        """Nothing is open."""


async def judged(task: Task, text: str, catalog: Catalog, checks: Checks | None) -> Judged:
    """Return what a text would not be deployed for, as far as another draft can do without
    it; and when that is nothing, what only people can do, a line each.
    """
    wrong = await asyncio.to_thread(findings, text, catalog, checks)
    if wrong or task.refusals is None:
        return wrong, ()
    found = await task.refusals(text)
    # Who may have what is not for a draft to change.
    for_people = [one for one in found if one.code[0] == "S" or "." in one.code]
    return (
        tuple(one for one in found if one not in for_people),
        tuple(map(_line, for_people[:_SHOWN_MAX])),
    )


def _line(found: Diagnostic) -> str:
    hint = f" ({found.hint})" if found.hint else ""
    return f"line {found.span.line}: {found.message}{hint}"


_NOTHING_SAID: Final = (
    "What shall the workflow do? Name the operations to call, and in which order."
)


@record
class _Text:
    """A draft and the text that it has."""

    draft: Draft
    text: str


def _has_steps(made: _Text) -> bool:
    return bool(made.draft.document.get("steps") or made.draft.document.get("states"))


def _mended(made: _Text, wrong: tuple[Diagnostic, ...]) -> tuple[_Text, tuple[str, ...]]:
    """Return a draft without what is wrong with it, and what was done."""
    mended = mend(made.draft.document, made.text, wrong)
    unresolved = (*made.draft.unresolved, *mended.lost)
    changed = replace(made.draft, unresolved=unresolved)
    return _Text(changed, text_of(changed.document, changed.unresolved)), mended.done


def _drafted(task: Task) -> _Text:
    """Return what the messages make: the first ones a workflow, others changes of it."""
    if task.base is not None:
        changed = edits.apply(task.base, task.said, task.knowledge)
        return _Text(changed.draft, changed.text)
    wishes = [one for one in task.said if not edits.is_edit(one)]
    changes = [one for one in task.said if edits.is_edit(one)]
    made = draft("\n".join(wishes or changes), task.knowledge, task.name)
    if not wishes or not changes or not made.document.get("steps"):
        return _Text(made, text_of(made.document, made.unresolved))
    changed = edits.apply(text_of(made.document, ()), tuple(changes), task.knowledge)
    both = replace(
        changed.draft,
        steps=(*made.steps, *changed.draft.steps),
        unresolved=(*made.unresolved, *changed.draft.unresolved),
        assumed=(*made.assumed, *changed.draft.assumed),
        credentials=(*made.credentials, *changed.draft.credentials),
    )
    return _Text(both, text_of(both.document, both.unresolved))


def _paragraphs(made: _Text, task: Task) -> list[str]:
    own = made.draft
    name = own.document.get("name", "workflow")
    found = list(own.steps)
    texts = []
    if found:
        told = "\n".join(f"{number}. {line}" for number, line in enumerate(found, 1))
        texts.append(f"I understood:\n{told}\n\n")
    if own.assumed:
        texts.append("I take for granted:\n" + _bullets(own.assumed) + "\n")
    if own.unresolved:
        texts.append("What is missing:\n" + _bullets(own.unresolved) + "\n")
    if not found and task.base is not None:
        texts.append("Nothing is changed yet.")
    elif not found:
        texts.append(f"{_NOTHING_SAID}\n{_offer(task.knowledge)}")
    elif task.base is None:
        texts.append(f"I will draft the workflow `{name}` with {_steps(own.document)}.")
    else:
        texts.append(f"I will change the workflow `{name}` so.")
    return texts


def _steps(document: JsonObject) -> str:
    steps = document.get("steps")
    count = len(steps) if isinstance(steps, list) else 0
    return f"{count} step{'' if count == 1 else 's'}"


def _offer(knowledge: Knowledge) -> str:
    known = [one.summary or one.title for one in knowledge.operations[:5]]
    if not known:
        return "No operation is known: register an OpenAPI document, or deploy workflows."
    return "I know, for example: " + "; ".join(known) + "."


def _bullets(lines: Sequence[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def _complete(made: _Text, task: Task, left: tuple[str, ...]) -> Made:
    own = made.draft
    name = str(own.document.get("name", ""))
    lines = "\n".join(own.steps)
    changes = None
    if task.base is not None:
        changes = difference(task.base, made.text, name)
    return Made(
        name,
        made.text,
        f"Workflow '{name}'\n{lines}".rstrip(),
        own.steps,
        (*own.unresolved, *left),
        own.assumed,
        own.credentials,
        changes,
    )


def draft_data(text: str, steps: Sequence[str]) -> JsonObject:
    """Return what a `draft` event says."""
    return {"definition": text, "steps": list(steps)}


def debugging_data(
    number: int, wrong: Sequence[Diagnostic], done: Sequence[str], text: str
) -> JsonObject:
    """Return what a `debugging` event says of one round."""
    return {
        "round": number,
        "diagnostics": diagnostics_data(wrong),
        "repairs": list(done[:_SHOWN_MAX]),
        "definition": text,
    }


def diagnostics_data(wrong: Sequence[Diagnostic]) -> list[JsonValue]:
    """Return diagnostics as JSON: code, message, hint and where each stands."""
    return [
        {
            "code": one.code,
            "message": one.message,
            "hint": one.hint,
            "line": one.span.line,
            "column": one.span.column,
        }
        for one in wrong[:_SHOWN_MAX]
    ]

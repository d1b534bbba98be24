"""Reading: from a description in plain English to what it asks for, as a tree.

Sentences are divided where words say how things hang together: `then`, `in parallel`, `for
each`, `if … otherwise`, `retry`, `wait for`. What these words do not divide is one clause,
and which operation it means is not decided here (plait.agent.knowledge).

Rule. Any text is read: what is not understood becomes a clause like others, and nothing
      that fits it will be found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from plait.agent.spans import attempts_in, duration_in
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
from plait.agent.words import first_verb, identifier, pieces
from plait.document import is_workflow_name

TEXT_MAX: Final = 20_000
# What is longer is no sentence; dividing one takes the square of its length.
_SENTENCE_LENGTH_MAX: Final = 1_000
# More clauses than this make no workflow that anybody would read.
_CLAUSES_MAX: Final = 100

_QUOTED: Final = re.compile(r'"([^"\n]{1,500})"|“([^”\n]{1,500})”|`([^`\n]{1,500})`')
MARK: Final = re.compile("\ue000(\\d+)\ue001")
_MARKS: Final = re.compile("[\ue000\ue001]")
_BULLET: Final = re.compile(r"^\s*(?:\d{1,3}[.)]|[-*•+])\s+")
_SENTENCE: Final = re.compile(r"(?<=[^\s.])[.!?](?=\s|$)|;+")
_NAME: Final = re.compile(
    r"(?i)\b(?:called|named|(?:the\s+)?name\s+is)\s+['‘]?"
    r"(\ue000\d+\ue001|[\w.-][^\s,\ue000]{0,500})"
)
_BEHIND_NAME: Final = ".:!?)]}'’"
_ENDPOINT: Final = re.compile(
    r"(?i)[,\s]*\b(?:and\s+)?(?:expose[ds]?|serve[ds]?|answer(?:s|ed)?|publish(?:ed)?|"
    r"available|reachable|endpoint|behind|under|as|at|on)?(?:\s+(?:it|this|that))?"
    r"(?:\s+(?:as|at|on|under|an?|the|endpoint))*\s*"
    r"\b(GET|POST|PUT|PATCH|DELETE)\s+(/[^\s,;\"]*)"
)
_AS_ENDPOINT: Final = re.compile(
    r"(?i)[,\s]*\b(?:expose|serve|publish|offer|provide)\s+(?:it|this|that)\b[^.;]*"
    r"|\b(?:an?|the|one|as)\s+(?:\w+\s+)?endpoint\s+(?:that|which|to)\b"
)
_UNITS: Final = (
    r"(?:second|minute|hour|day|night|morning|evening|afternoon|week|weekday|weekend|"
    r"month|quarter|year|monday|tuesday|wednesday|thursday|friday|saturday|sunday)s?"
)
_TRIGGER: Final = re.compile(
    rf"(?i)(?:\b(?:run|start|execute|schedule|do|repeat)s?(?:\s+(?:it|this|that))?\s+)?(?:"
    rf"\b(?:every|each|once\s+an?|once\s+per|on)\s+(?:\d+\s+|other\s+)?{_UNITS}\b"
    r"(?:\s+at\s+[\w:]+(?:\s*[ap]m)?)?"
    r"|\b(?:hourly|daily|nightly|weekly|monthly)\b(?:\s+at\s+[\w:]+(?:\s*[ap]m)?)?"
    r"|\bon\s+a\s+schedule\b|\bcron\b[^,]*|\bat\s+(?:midnight|noon|\d{1,2}(?::\d\d)?\s*[ap]m)\b"
    r"|\bwhen(?:ever)?\s+[^,]{1,80}?\b(?:arrives?|comes?\s+in|is\s+(?:received|placed|"
    r"created|uploaded|submitted|posted|added|opened|registered|published|updated|changed)"
    r"|(?:signs|registers|subscribes)\b(?:\s+up)?|happens?|occurs?|fires)\b"
    r"|\b(?:on|upon|triggered\s+by|via|by)\s+(?:an?\s+|the\s+)?(?:new\s+)?[\w-]*\s*"
    r"(?:webhook|trigger)\b)[,:]?\s*"
)
_ALL_CALLS: Final = re.compile(r"(?i)\b(?:each|every|all|any|failed|failing)\b.*\bcalls?\b")
_IF: Final = re.compile(r"(?i)^(?:and\s+|but\s+|then\s+)*(if|unless|in case|when)\s+(.*)$")
_OTHERWISE: Final = re.compile(
    r"(?i)[,;.\s]*\b(?:otherwise|or\s+else|else|if\s+not|in\s+any\s+other\s+case)\b[,:]?\s*"
)
_IF_BEHIND: Final = re.compile(
    r"(?i)^(.+?\w)[,]?\s+(only\s+if|if|unless|only\s+when)\s+(.+)$"
)
FAILS: Final = re.compile(
    r"(?i)\b(?:fails?|failed|goes\s+wrong|errors?|does\s+not\s+work|is\s+down|times\s+out)\b"
)
_GOES_ON: Final = re.compile(
    r"(?i)\b(?:ignore|continue|go\s+on|carry\s+on|skip|proceed|never\s*mind|does\s+not\s+matter)\b"
)
_EACH: Final = re.compile(
    r"(?i)\bfor\s+(?:each|every|all)\s+(?:of\s+)?(?:the\s+)?([^,:]{1,80}?)"
    r"(?:\s*[,:]\s*|\s+(?=do\b)|$)"
)
_EACH_INSIDE: Final = re.compile(
    r"(?i)^(.+?)(?:\s*,\s*(?:and\s+)?(?:then\s+)?|\s+and\s+(?:then\s+)?|\s+then\s+)"
    r"(for\s+(?:each|every)\b.+)$"
)
_NOTHING: Final = re.compile(
    r"(?i)^(?:do\s+nothing|nothing|ignore\s+it|skip(?:\s+it)?|stop)$"
)
_PARALLEL: Final = re.compile(
    r"(?i)[,\s]*\b(?:in\s+parallel|at\s+the\s+same\s+time|simultaneously|concurrently|"
    r"side\s+by\s+side|at\s+once|all\s+together)\b[,:]?\s*(?:with\s+(?:that|this)\b)?"
)
_MEANWHILE: Final = re.compile(r"(?i)[,;\s]*\b(?:meanwhile|while\s+also)\b[,]?\s*")
_THEN: Final = re.compile(
    r"(?i)(?:[,;\s]*\b(?:and\s+)?(?:then|after\s+that|afterwards?|after\s+this|next|"
    r"finally|lastly|at\s+last|followed\s+by|subsequently|once\s+(?:that\s+is\s+)?done)\b[,:]?\s*)"
)
_AFTER: Final = re.compile(r"(?i)^(?:after|once|as\s+soon\s+as)\s+([^,]+),\s*(.+)$")
_AFTER_BEHIND: Final = re.compile(
    r"(?i)^(.+?)\s+(?:after|once)\s+(\w+ing\b.+|.+\b(?:is|are|has|have)\b.+)$"
)
_BEFORE: Final = re.compile(r"(?i)^before\s+([^,]+),\s*(.+)$")
AND: Final = re.compile(
    r"(?i)\s*,\s*and\s+|\s*,\s*|\s+and\s+(?:also\s+)?|\s+as\s+well\s+as\s+|\s*&\s*"
)
_APPROVAL: Final = re.compile(
    r"(?i)\b(?:(?:wait|ask|get|need|require|request|obtain|seek)s?\b.{0,60}?\b"
    r"(?:approv\w+|sign-?off|permission|consent|confirmation\s+(?:of|by|from)\s+an?\s+\w+)"
    r"|(?:manager|human|person|somebody|someone|supervisor|team)\b.{0,20}\bapproves?\b)"
)
_APPROVERS: Final = re.compile(
    r"(?i)\b(?:by|from|of|ask)\s+(?:the|an?|our|my)?\s*([\w-]{2,40})"
)
_WAIT: Final = re.compile(r"(?i)^(?:and\s+)?(?:wait|pause|sleep|delay)\b\s*(.*)$")
_ANSWER: Final = re.compile(
    r"(?i)^(?:and\s+)?(?:return|respond\s+with|reply\s+with|answer\s+with|give\s+back|output|"
    r"the\s+(?:output|result|answer|response)\s+(?:is|has|contains|should\s+be))\s+(.+)$"
)
_RETRY: Final = re.compile(
    r"(?i)[,\s]*\b(?:and\s+|with\s+)?(?:(?:up\s+to\s+)?(?:\w+|\d+)\s+)?(?:retr(?:y|ies|ied|ying)|attempts?|tries|try)\b[^,;]*"
)
_TIMEOUT: Final = re.compile(
    r"(?i)[,\s]*\b(?:with\s+)?(?:an?\s+)?(?:(?:time-?\s?out|time\s+limit)\s*(?:of|is|after|:)?|within|in\s+at\s+most|in\s+less\s+than|"
    r"(?:it\s+)?tim(?:es?|ing)\s+out\s+after)\s+[\w.]+\s*(?:milliseconds?|seconds?|minutes?|hours?|days?|ms|s|m|h|d)?\b"
)


class Reader:
    """Reads one description.

    Args:
        is_thing: Tells of a clause without a verb, and the verb before it, whether it
            means an operation by itself: `the orders` behind `get the customer and`.
        is_verb: Tells whether a clause begins with a verb that some operation has.
    """

    def __init__(
        self, is_thing: Callable[[str, str], bool], is_verb: Callable[[str], bool]
    ) -> None:
        self._is_thing = is_thing
        self._is_verb = is_verb
        self._count = 0

    def read(self, text: str) -> Reading:
        """Return what `text` asks for."""
        reading = Reading()
        self._count = 0
        clean = _MARKS.sub("", text[:TEXT_MAX].encode("utf-8", "ignore").decode())
        marked = _with_marks(clean, reading.literals)
        for line in marked.splitlines():
            plain = " ".join(_BULLET.sub("", line).split())
            for found in _SENTENCE.split(plain):
                for begin in range(0, len(found), _SENTENCE_LENGTH_MAX):
                    piece = found[begin : begin + _SENTENCE_LENGTH_MAX]
                    sentence = piece.strip(" ,.:")
                    if sentence:
                        self._sentence(sentence, reading)
        return reading

    def _sentence(self, sentence: str, reading: Reading) -> None:
        sentence = _taken_out(sentence, reading)
        if not sentence:
            return
        if _ALL_CALLS.search(sentence) and self._take_policy(sentence, reading):
            return
        parts = reading.parts
        other = _OTHERWISE.match(sentence)
        if other is not None and parts and isinstance(parts[-1], Choice):
            parts[-1].otherwise.extend(self.parts(sentence[other.end() :]))
            return
        found = self.parts(sentence)
        if not found:
            return
        if parts and len(found) == 1 and self._amends(found[0], parts):
            return
        parts.extend(found)

    def _take_policy(self, sentence: str, reading: Reading) -> bool:
        attempts, timeout = attempts_in(sentence), _timeout_in(sentence)
        if attempts is not None:
            reading.attempts = attempts
        if timeout:
            reading.timeout = timeout
        return attempts is not None or bool(timeout)

    def _amends(self, part: Part, before: list[Part]) -> bool:
        """Take `retry it 3 times` as said of what stands before."""
        if not isinstance(part, Wish) or first_verb(part.text) or pieces(part.text):
            return False
        last = before[-1]
        if not isinstance(last, Wish):
            return False
        before[-1] = replace(
            last,
            attempts=part.attempts or last.attempts,
            timeout=part.timeout or last.timeout,
            goes_on=part.goes_on or last.goes_on,
        )
        return True

    def parts(self, text: str) -> list[Part]:
        """Return what one sentence, or a piece of one, asks for."""
        text = text.strip(" \t,:.")
        if not text or self._count >= _CLAUSES_MAX:
            return []
        self._count += 1
        for way in (
            self._if, self._after, self._each, self._each_inside, self._meanwhile,
            self._then,
            self._parallel, self._if_behind, self._each_behind,
        ):  # fmt: skip
            found = way(text)
            if found is not None:
                return found
        return self._clauses(text)

    def _if(self, text: str) -> list[Part] | None:
        found = _IF.match(text)
        if found is None:
            return None
        word, rest = found[1].lower(), found[2]
        condition, separator, then = _cut_condition(rest)
        if not separator:
            return None
        if FAILS.search(condition):
            return [self._failure(condition, then)]
        yes, no = (*_OTHERWISE.split(then, maxsplit=1), "")[:2]
        choice = Choice(
            condition, self.parts(yes), self.parts(no), negated=word == "unless"
        )
        return [choice] if choice.then or choice.otherwise else []

    def _failure(self, condition: str, then: str) -> Part:
        """Say what happens when something fails: the text before says what."""
        attempts = attempts_in(then)
        if attempts is not None:
            return Wish("", attempts=attempts)
        if _GOES_ON.search(then):
            return Wish("", goes_on=True)
        return Attempt([Wish(condition)], self.parts(then))

    def _after(self, text: str) -> list[Part] | None:
        found = _AFTER.match(text)
        if found is not None:
            return [*self._recalled(found[1]), *self.parts(found[2])]
        found = _BEFORE.match(text)
        if found is not None:
            return self._one_after_other(found[2], found[1])
        found = _AFTER_BEHIND.match(text)
        if found is not None and not _THEN.search(text) and first_verb(found[1]):
            return [*self._recalled(found[2]), *self.parts(found[1])]
        return None

    def _recalled(self, text: str) -> list[Part]:
        return [
            replace(part, recalls=True) if isinstance(part, Wish) else part
            for part in self.parts(text)
        ]

    def _one_after_other(self, *texts: str) -> list[Part]:
        return [part for text in texts for part in self.parts(text)]

    def _each(self, text: str) -> list[Part] | None:
        found = _EACH.match(text)
        if found is None or not text[found.end() :].strip():
            found = self._each_by_verb(text)
        if found is None or found.start() > 0:
            return None
        inner = self.parts(text[found.end() :])
        return [Each(found[1].strip(), inner)] if inner else None

    def _each_by_verb(self, text: str) -> re.Match[str] | None:
        """Find where what is done begins: `for each order send a receipt`."""
        for found in re.finditer(r"(?i)\bfor\s+(?:each|every)\b", text):
            words = list(re.finditer(r"[\w\ue000\ue001'-]+", text[found.end() :]))
            for word in words[1:8]:
                start = found.end() + word.start()
                if self._is_verb(text[start:]) and first_verb(word[0]):
                    over = re.escape(text[found.end() : start].strip(" ,:"))
                    return re.compile(
                        rf"(?i)\bfor\s+(?:each|every)\s+({over})[\s,:]*"
                    ).match(text, found.start())
        return None

    def _each_inside(self, text: str) -> list[Part] | None:
        """Divide `list the orders and for each order send an email`."""
        found = _EACH_INSIDE.match(text)
        if found is None or not first_verb(found[1]):
            return None
        loop = self._each(found[2])
        return None if loop is None else [*self.parts(found[1]), *loop]

    def _each_behind(self, text: str) -> list[Part] | None:
        found = _EACH.search(text)
        if (
            found is None
            or text[found.end() :].strip()
            or not text[: found.start()].strip()
        ):
            return None
        inner = self.parts(text[: found.start()])
        return [Each(found[1].strip(), inner)] if inner else None

    def _meanwhile(self, text: str) -> list[Part] | None:
        cut = _MEANWHILE.split(text, maxsplit=1)
        if len(cut) < 2 or not cut[0].strip():
            return None
        return [Together([*self.parts(cut[0]), *self.parts(cut[1])])]

    def _then(self, text: str) -> list[Part] | None:
        cut = [piece for piece in _THEN.split(text) if piece.strip(" ,")]
        if len(cut) < 2:
            lone = _THEN.match(text)
            if lone is None or not cut or lone.end() >= len(text):
                return None
            return self.parts(text[lone.end() :])
        return self._one_after_other(*cut)

    def _parallel(self, text: str) -> list[Part] | None:
        found = _PARALLEL.search(text)
        if found is None:
            return None
        inner = self.parts(_without(text, found))
        return [Together(inner)] if len(inner) > 1 else inner

    def _if_behind(self, text: str) -> list[Part] | None:
        found = _IF_BEHIND.match(text)
        if found is None:
            return None
        if FAILS.search(found[3]):
            # `retry 3 times if it fails`, `ignore it if it fails`
            handled = self._failure(found[3], found[1])
            return [handled] if isinstance(handled, Wish) else None
        *before, last = self._pieces(found[1])
        inner = self._clauses(last)
        negated = found[2].lower() == "unless"
        if not inner:
            return None
        first = [part for piece in before for part in self.parts(piece)]
        return [*first, Choice(found[3], inner, negated=negated)]

    def _clauses(self, text: str) -> list[Part]:
        if _ANSWER.match(text):
            return self._special(text) or []
        made: list[Part] = []
        verb = ""
        # The text was counted as one; each of its pieces may become a step.
        found = self._pieces(text)[: _CLAUSES_MAX + 1 - self._count]
        self._count += max(len(found) - 1, 0)
        for piece in found:
            own = self._special(piece)
            if own is not None:
                made.extend(own)
                continue
            wish = _wish(piece)
            if made and self._amends(wish, made):
                continue
            said = first_verb(wish.text)
            verb = said or verb
            made.append(wish if said else replace(wish, verb=verb))
        return made

    def _pieces(self, text: str) -> list[str]:
        """Divide at commas and `and`, where what follows stands for itself."""
        cuts = list(AND.finditer(text))
        made: list[str] = []
        begin, verb = 0, first_verb(text)
        for here, cut in enumerate(cuts):
            end = cuts[here + 1].start() if here + 1 < len(cuts) else len(text)
            piece = text[cut.end() : end]
            if not self._stands_alone(piece, verb):
                continue
            made.append(text[begin : cut.start()])
            begin, verb = cut.end(), first_verb(piece) or verb
        made.append(text[begin:])
        return [piece.strip() for piece in made if piece.strip()][:_CLAUSES_MAX]

    def _stands_alone(self, piece: str, verb: str) -> bool:
        if _special_start(piece) or self._is_verb(piece):
            return True
        return bool(verb) and self._is_thing(piece, verb)

    def _special(self, text: str) -> list[Part] | None:
        """Return what is no call: an approval, a pause, the answer."""
        if _NOTHING.match(text):
            return []
        found = _ANSWER.match(text)
        if found is not None:
            return [Answer(found[1])]
        if _APPROVAL.search(text):
            named = _APPROVERS.search(text)
            who = (named[1].lower(),) if named is not None else ()
            kept = tuple(one for one in who if one not in _NOBODY)
            within = (
                duration_in(text) if re.search(r"(?i)within|up to|at most", text) else ""
            )
            return [Approval(text, kept, within)]
        found = _WAIT.match(text)
        if found is None:
            return None
        span = duration_in(found[1])
        if span:
            return [Pause(duration=span)]
        words = [one for one in pieces(found[1]) if one not in _NO_EVENT]
        return [Pause(event="-".join(words[:5]) or "continue")]


_NOBODY: Final = frozenset(
    "approval approvals it that this them person somebody someone human a an the for to "
    "anybody anyone before order orders".split()
)
_NO_EVENT: Final = frozenset(
    "for until the a an to of is has been that it event signal message be".split()
)


def _special_start(piece: str) -> bool:
    return bool(
        _ANSWER.match(piece)
        or _WAIT.match(piece)
        or _APPROVAL.match(piece)
        or re.match(r"(?i)retry\b", piece)
    )


def _with_marks(text: str, literals: list[str]) -> str:
    """Put a mark in the place of each quoted text, so that nothing in it divides."""

    def kept(found: re.Match[str]) -> str:
        literals.append(next(group for group in found.groups() if group is not None))
        return f"\ue000{len(literals) - 1}\ue001"

    return _QUOTED.sub(kept, text)


def unmarked(text: str, literals: list[str]) -> str:
    """Return `text` with what stood in quotes, in quotes again."""
    return MARK.sub(lambda found: f'"{_literal(found, literals)}"', text)


def _literal(found: re.Match[str], literals: list[str]) -> str:
    place = int(found[1][:6])
    return literals[place] if place < len(literals) else ""


def _taken_out(sentence: str, reading: Reading) -> str:
    """Take name, endpoint and triggers out of a sentence; return the rest."""
    found = _NAME.search(sentence)
    if found is not None and not reading.name:
        plain = found[1].rstrip(_BEHIND_NAME)
        reading.wished = MARK.sub(lambda one: _literal(one, reading.literals), plain)
        reading.name = _name_of(reading.wished)
        sentence = _without(sentence, found, "").strip()
    found = _ENDPOINT.search(sentence)
    if found is not None:
        reading.endpoint = found[1].upper(), found[2].rstrip(".:")
        sentence = _without(sentence, found).strip()
    elif (found := _AS_ENDPOINT.search(sentence)) is not None:
        reading.endpoint = reading.endpoint or ("", "")
        sentence = _without(sentence, found).strip()
    for _ in range(3):
        found = _TRIGGER.search(sentence)
        if found is None:
            break
        reading.triggers.append(unmarked(found[0].strip(" ,:"), reading.literals))
        sentence = _without(sentence, found, "").strip(" ,:")
    return sentence


def _name_of(wished: str) -> str:
    """Return a name that a workflow can have: what is wished, if it is one."""
    if is_workflow_name(wished):
        return wished
    words = (one for one in pieces(wished) if one.isascii())
    return identifier(words, fallback="workflow").replace("_", "-")


def _without(text: str, found: re.Match[str], between: str = " ") -> str:
    """Return a text with something else in place of what was found in it."""
    return text[: found.start()] + between + text[found.end() :]


def _cut_condition(text: str) -> tuple[str, str, str]:
    """Divide `the customer is vip, apply a discount` into condition and the rest."""
    found = re.search(r"(?i)\s*,?\s+then\s+|\s*[,:]\s*", text)
    if found is not None:
        return text[: found.start()], found[0], text[found.end() :]
    for found in re.finditer(r"\s+", text):
        rest = text[found.end() :]
        word = rest.split(maxsplit=1)[0] if rest.strip() else ""
        behind = found.start() > 0 and len(pieces(text[: found.start()])) >= 3
        if behind and word and first_verb(word) and not word.endswith(("ed", "s", "ing")):
            return text[: found.start()], found[0], rest
    return text, "", ""


def _wish(piece: str) -> Wish:
    attempts, timeout = None, ""
    text = piece
    found = _RETRY.search(text)
    if found is not None and (number := attempts_in(found[0])) is not None:
        attempts = number
        text = _without(text, found)
    found = _TIMEOUT.search(text)
    if found is not None and (span := duration_in(found[0])):
        timeout = span
        text = _without(text, found)
    return Wish(text.strip(" ,:"), attempts=attempts, timeout=timeout)


def _timeout_in(text: str) -> str:
    found = _TIMEOUT.search(text)
    return duration_in(found[0]) if found is not None else ""

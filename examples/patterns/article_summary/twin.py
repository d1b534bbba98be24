"""The summary in Python: a Pipeline that fetches, transforms, checks, asks, checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from examples.patterns.article_summary.services import KEY
from examples.patterns.calling import call
from plait.patterns import Context, Pipeline, Retry, StepError
from plait.resilience import Cache

CHARS_MIN = 80


@dataclass
class Wanted:
    """Which article, in how many words."""

    id: str
    words: int = 30


@dataclass
class Article:
    """An article; `text` is clean."""

    title: str
    text: str


@dataclass
class Completion:
    """What the model said, and why it stopped."""

    text: str
    finish_reason: str
    tokens: int


async def fetch(wanted: Wanted) -> dict[str, Any]:
    """Get the article as it was typed."""
    found: dict[str, Any] = await call("GET", f"http://articles/articles/{wanted.id}")
    return found


def clean(typed: dict[str, Any]) -> Article:
    """Make one clean text of the paragraphs."""
    paragraphs = [one.strip() for one in typed["paragraphs"]]
    return Article(typed["title"], "\n".join(one for one in paragraphs if one))


def long_enough(article: Article) -> Article:
    """A model makes something up of nothing."""
    if len(article.text) < CHARS_MIN:
        told = f"{article.title} has {len(article.text)} characters; {CHARS_MIN} are needed"
        raise StepError("article.too_short", told, is_final=True)
    return article


# What was said of the same text is given again, for an hour and, in an outage, for a day.
@Cache(3600, stale_if_error_s=86_400)
async def said_of(text: str, words: int) -> dict[str, Any]:
    """Ask the model."""
    system = f"Summarise in at most {words} words. Add nothing."
    body = {
        "model": "small",
        "temperature": 0,
        "max_tokens": words * 2,
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": text},
        ],
    }
    headers = {"Authorization": f"Bearer {KEY}"}
    said: dict[str, Any] = await call(
        "POST", "http://llm/v1/chat/completions", body, headers
    )
    return said


async def summarize(context: Context[Wanted]) -> Completion:
    """Have the clean text summarised."""
    text = context.result("clean", Article).text
    said = await said_of(text, context.input.words)
    first = said["choices"][0]
    told = first["message"]["content"].strip()
    return Completion(told, first["finish_reason"], said["usage"]["total_tokens"])


def whole(completion: Completion) -> Completion:
    """Half a sentence is no summary."""
    if completion.finish_reason != "stop" or not completion.text:
        told = f"The model stopped because of: {completion.finish_reason}."
        raise StepError("summary.unusable", told, is_final=True)
    return completion


SUMMARY = (
    Pipeline.begin("article-summary", fetch, timeout_s=2, retry=Retry(3, delay_s=0.02))
    .then(clean)
    .then(long_enough)
    .then(
        summarize,
        timeout_s=30,
        retry=Retry(4, delay_s=0.02, backoff="exponential"),
        effect="read",
    )
    .then(whole)
)


async def run(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the document returns."""
    outcome = await SUMMARY.run(Wanted(**given))
    summary = outcome.output
    title = outcome.steps["clean"].result["title"]  # type: ignore[index,call-overload]
    return {"title": title, "summary": summary.text, "tokens": summary.tokens}

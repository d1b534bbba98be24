"""A shelf of articles, and a language model behind an endpoint such as OpenAI's.

The model's summary is the first sentence: always the same, and enough to see the pipeline
at work. Its protocol is the real one, with key, usage and refusals.
"""

from __future__ import annotations

from examples.patterns.serving import Call, Refusal, Reply, Service, route

KEY = "sk-local-example"
ENVIRONMENT = {"PLAIT_SECRET_LLM_KEY": KEY}
SCENES = {
    "An article, cleaned up and summarised": [{"id": "tides"}],
    "The same article again: from the cache": [{"id": "tides"}],
    "Other words are another question": [{"id": "tides", "words": 20}],
    "The model is busy at first: asked again": [{"id": "bridges"}],
    "Too short to be summarised: the model is not asked": [{"id": "note"}],
    "The model runs out of words: half a sentence is no summary": [
        {"id": "tides", "words": 5}
    ],
    "No such article": [{"id": "nowhere"}],
}
ARTICLES = {
    "tides": (
        "Tides",
        [
            "  The moon pulls the sea towards it, and twice a day the water rises.  ",
            "",
            "The sun helps a little: when both pull the same way the tide is highest. ",
        ],
    ),
    "bridges": (
        "Bridges",
        [
            "A hanging bridge carries its road on cables that its towers hold up.",
            "The longest spans of all are built this way.",
        ],
    ),
    "note": ("A note", ["Back at noon."]),
}


class Articles(Service):
    """Articles as they were typed, blanks and all."""

    host = "articles"

    @route("GET", "/articles/{id}")
    def article(self, call: Call) -> Reply:
        """Answer with one article."""
        if call.params["id"] not in ARTICLES:
            raise Refusal(404, "unknown", "there is no such article")
        title, paragraphs = ARTICLES[call.params["id"]]
        return Reply({"title": title, "paragraphs": paragraphs})


class LanguageModel(Service):
    """`POST /v1/chat/completions`, as far as the example needs it."""

    host = "llm"
    latency_ms = 40

    def __init__(self, seen: list[str]) -> None:
        super().__init__(seen)
        self.completion_count = 0
        self.was_busy = False

    @route("POST", "/v1/chat/completions")
    def complete(self, call: Call) -> Reply:
        """Answer with the first sentence of the last message, cut at `max_tokens`."""
        if call.headers.get("authorization") != f"Bearer {KEY}":
            raise Refusal(401, "invalid_api_key", "this key is not known")
        text = call.body["messages"][-1]["content"]
        if "bridge" in text and not self.was_busy:
            self.was_busy = True
            raise Refusal(429, "rate_limit_exceeded", "slow down")
        self.completion_count += 1
        words = text.split(". ")[0].split("\n")[0].split()
        kept = words[: call.body["max_tokens"]]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": " ".join(kept)},
            "finish_reason": "stop" if kept == words else "length",
        }
        prompt = sum(len(message["content"].split()) for message in call.body["messages"])
        return Reply(
            {
                "id": f"chatcmpl-{self.completion_count}",
                "object": "chat.completion",
                "created": 1767225600,
                "model": call.body["model"],
                "choices": [choice],
                "usage": {
                    "prompt_tokens": prompt,
                    "completion_tokens": len(kept),
                    "total_tokens": prompt + len(kept),
                },
            }
        )


def services() -> list[Service]:
    """Return both, new."""
    seen: list[str] = []
    return [Articles(seen), LanguageModel(seen)]

"""A language model behind any endpoint that speaks as OpenAI's: `/chat/completions`.

Rule 1. The key goes to the endpoint of the settings and nowhere else; no error has it, nor
        a word of what was sent or answered.
Rule 2. What is busy or broken for the moment is asked again; a stream only as long as
        nothing of it was given out.
Rule 3. Everything that comes back is bounded, and malformed until it proves otherwise.

Not here: what is asked (plait.agent.model_drafter), connections (plait.connectors).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import orjson

from plait.agent.errors import ModelRefused, ModelUnavailable
from plait.model.duration import format_ms
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.language_model import Posted, Posts, Prompt
from plait.resilience import RetryPolicy

_REPLY_BYTES_MAX: Final = 4_000_000
_LINE_BYTES_MAX: Final = 1_000_000
_ANSWER_LENGTH_MAX: Final = 400_000
_BUSY: Final = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529))
_DONE: Final = b"[DONE]"


@record
class OpenaiSettings:
    """Where the model is.

    Attributes:
        endpoint: `https://api.openai.com/v1`; `/chat/completions` is put behind it.
        key: Empty: none is sent.
        timeout_ms: For one answer, all its pieces together; each attempt has it.
        attempts: How often a request is made at most.
        delay_s: The wait before the second attempt; doubled for each further.
    """

    endpoint: str
    model: str
    key: str = ""
    timeout_ms: int = 60_000
    attempts: int = 3
    delay_s: float = 0.5


class OpenaiModel:
    """plait.ports.language_model.LanguageModel over HTTP."""

    def __init__(self, settings: OpenaiSettings, posts: Posts) -> None:
        self._settings = settings
        self._posts = posts
        self._url = f"{settings.endpoint.rstrip('/')}/chat/completions"
        # Not every server knows `response_format`; one that refuses is asked without.
        self._takes_schema = True
        self._retry = RetryPolicy(
            max_attempts=settings.attempts,
            delay_s=settings.delay_s,
            backoff="exponential",
            jitter=0.2,
            on=ModelUnavailable,
        )

    async def complete(
        self, messages: Sequence[Prompt], schema: JsonObject | None = None
    ) -> str:
        """Return the whole answer.

        Raises:
            ModelUnavailable: There was none that could be used, also after all attempts.
            ModelRefused: The endpoint refuses key, model or request.
        """
        return await self._retry.call(self._complete, messages, schema)

    async def _complete(self, messages: Sequence[Prompt], schema: JsonObject | None) -> str:
        shaped = schema if self._takes_schema else None
        try:
            async with self._asked(self._body(messages, shaped)) as posted:
                return _answer_in(await _whole(posted))
        except ModelRefused as error:
            if shaped is None or error.status not in (400, 415, 422):
                raise
        self._takes_schema = False
        async with self._asked(self._body(messages, None)) as posted:
            return _answer_in(await _whole(posted))

    async def stream(self, messages: Sequence[Prompt]) -> AsyncIterator[str]:
        """Yield the answer as it comes.

        Raises:
            ModelUnavailable: There was none, or it broke off in the middle.
            ModelRefused: The endpoint refuses key, model or request.
        """
        session = self._retry.begin()
        has_begun = False
        while True:
            session.resumed()
            try:
                body = self._body(messages, None, is_streamed=True)
                async with self._asked(body) as posted:
                    async for piece in _streamed(posted):
                        has_begun = True
                        yield piece
            except ModelUnavailable as error:
                if has_begun:
                    raise
                delay_s = session.next_delay_s(error)
            else:
                session.succeeded()
                return
            await asyncio.sleep(delay_s)

    async def close(self) -> None:
        """Nothing is open between two requests."""

    def _body(
        self,
        messages: Sequence[Prompt],
        schema: JsonObject | None,
        *,
        is_streamed: bool = False,
    ) -> bytes:
        body: JsonObject = {
            "model": self._settings.model,
            "messages": [{"role": one.role, "content": one.content} for one in messages],
            "temperature": 0,
            "stream": is_streamed,
        }
        if schema is not None:
            shape: JsonObject = {"name": "reply", "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": shape}
        return orjson.dumps(body)

    @asynccontextmanager
    async def _asked(self, body: bytes) -> AsyncIterator[Posted]:
        """Send a request; turn whatever goes wrong into the two errors of the port."""
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }
        if self._settings.key:
            headers["authorization"] = f"Bearer {self._settings.key}"
        limit_ms = self._settings.timeout_ms
        # A moment, not `asyncio.timeout` around it all: whoever takes a stream's pieces
        # may do other things between two of them, and must not be cancelled there.
        deadline = asyncio.get_running_loop().time() + limit_ms / 1000
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout_at(deadline):
                    post = self._posts.post(self._url, headers, body)
                    posted = await stack.enter_async_context(post)
                _check_status(posted)
                yield replace(posted, pieces=_within(posted.pieces, deadline))
        except TimeoutError:
            raise ModelUnavailable(f"it took longer than {format_ms(limit_ms)}") from None
        except (ModelUnavailable, ModelRefused):
            raise
        except PlaitError as error:
            raise ModelUnavailable(str(error)) from None


async def _within(pieces: AsyncIterator[bytes], deadline: float) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        yield piece


def _check_status(posted: Posted) -> None:
    status = posted.status
    if status == 200:
        return
    if status in _BUSY:
        asked = posted.headers.get("retry-after", "")
        wait_s = float(asked) if asked.isascii() and asked.isdigit() else None
        raise ModelUnavailable(f"status {status}", wait_s)
    if 300 <= status < 400 or status >= 500 or status < 200:
        raise ModelUnavailable(f"status {status}")
    raise ModelRefused(status)


async def _whole(posted: Posted) -> bytes:
    data = b""
    async for piece in posted.pieces:
        data += piece
        if len(data) > _REPLY_BYTES_MAX:
            raise ModelUnavailable("its answer is too long")
    return data


def _answer_in(data: bytes) -> str:
    """Return the answer in a completion.

    Raises:
        ModelUnavailable: It is none: malformed, refused by the model, cut off, empty.
    """
    choice = _first_choice(_object(data))
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    if choice.get("finish_reason") == "length":
        raise ModelUnavailable("it ran out of words in the middle")
    if not isinstance(text, str) or not text.strip():
        raise ModelUnavailable("its answer is empty")
    if len(text) > _ANSWER_LENGTH_MAX:
        raise ModelUnavailable("its answer is too long")
    return text


async def _streamed(posted: Posted) -> AsyncIterator[str]:
    """Yield the pieces of a streamed answer.

    Raises:
        ModelUnavailable: The stream is malformed, or ends before it says so.
    """
    length = 0
    is_over = False
    async for data in _events(posted):
        if data == _DONE:
            is_over = True
            break
        value = _object(data)
        if "error" in value:
            raise ModelUnavailable("it reported an error in the middle")
        if value.get("choices") == []:
            continue  # usage, which some send at last
        choice = _first_choice(value)
        delta = choice.get("delta")
        text = delta.get("content") if isinstance(delta, dict) else None
        if isinstance(text, str) and text:
            length += len(text)
            if length > _ANSWER_LENGTH_MAX:
                raise ModelUnavailable("its answer is too long")
            yield text
        is_over = is_over or choice.get("finish_reason") is not None
    if not is_over:
        raise ModelUnavailable("its answer broke off")
    if not length:
        raise ModelUnavailable("its answer is empty")


async def _events(posted: Posted) -> AsyncIterator[bytes]:
    """Yield the data of each server-sent event."""
    rest = b""
    async for piece in posted.pieces:
        rest += piece
        *lines, rest = rest.split(b"\n")
        if len(rest) > _LINE_BYTES_MAX:
            raise ModelUnavailable("a line of its answer is too long")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
    if rest.startswith(b"data:"):
        yield rest[5:].strip()


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ModelUnavailable("its answer is no JSON") from None
    if not isinstance(value, dict):
        raise ModelUnavailable("its answer is no completion")
    return value


def _first_choice(value: dict[str, Any]) -> dict[str, Any]:
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        raise ModelUnavailable("its answer is no completion")
    return first

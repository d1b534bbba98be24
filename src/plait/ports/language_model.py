"""A language model, and the HTTP requests that one is reached by.

Rule 1. Everything that goes wrong with a model is a PlaitError with the code
        `agent.model_unavailable` or `agent.model_refused`.
Rule 2. A reply is text that somebody else wrote. Whoever gets it checks it.

Contract: tests/unit/agent/test_openai.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from plait.model.json import JsonObject
from plait.model.record import record


@record
class Prompt:
    """One message to a model."""

    role: Literal["system", "user", "assistant"]
    content: str


class LanguageModel(Protocol):
    """Answers messages."""

    async def complete(
        self, messages: Sequence[Prompt], schema: JsonObject | None = None
    ) -> str:
        """Return the whole answer.

        Args:
            schema: The JSON Schema that the answer shall fit. It may not, all the same.
        """
        ...

    def stream(self, messages: Sequence[Prompt]) -> AsyncIterator[str]:
        """Yield the answer as it comes."""
        ...

    async def close(self) -> None:
        """Let go of what is open."""
        ...


@record
class Posted:
    """A reply that is on its way.

    Attributes:
        headers: By lower-case name.
        pieces: The body as it arrives. Raises `PlaitError` when it breaks off.
    """

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]


class Posts(Protocol):
    """Sends a POST request, and gives its reply piece by piece."""

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[Posted]:
        """Send a request. Leaving the context closes the connection.

        Raises:
            PlaitError: `connector.…`: it could not be sent, or there was no reply.
        """
        ...

"""What attacks of row 13 are made of: a platform, ways to it, what counts as refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from plait.gateway.app import Gateway
from plait.testing.upstream import Upstream
from tests.acceptance.gateways import ask, request_bytes
from tests.proof.connecting import Watch
from tests.proof.inside import platform
from tests.proof.scorecard import Outcome
from tests.unit.gateway.wires import Answer, client_of

API: Final = "/api/v1"
# What may become of a call of a vector. A name that leads to the public address is called
# there, where the hook refuses it.
REFUSALS: Final = frozenset(
    (
        "connector.forbidden_address",
        "connector.invalid_request",
        "connector.unknown_host",
        "connector.connect",
        "document.invalid",
        "deployment.invalid",
        "credential.invalid",
        "credential.token",
    )
)
_TEMPLATED: Final = """
name: templated
mode: express
endpoint: {method: POST, path: /templated}
steps: [{id: a, type: http, request: {url: "${input.url}", redirects: 3}}]
"""
_REDIRECTED: Final = """
name: redirected
mode: express
endpoint: {method: POST, path: /redirected}
steps:
  - {id: a, type: http, request: {url: "http://bait/go", params: {to: "${input.url}"},
     redirects: 3}}
"""
_CALLED_BACK: Final = """
name: called_back
mode: durable
endpoint: {method: POST, path: /called-back, wait: 10s}
steps:
  - {id: a, type: set, value: "${input}"}
  - {id: b, type: http, request: {method: POST, url: "${a.response.url}", body: {done: 1}}}
"""


class Attack:
    """One platform, and ways to it."""

    lure: ClassVar[str] = ""
    settings: ClassVar[dict[str, Any]] = {}
    vault_keys: ClassVar[dict[str, str]] = {}
    documents: ClassVar[tuple[str, ...]] = (_TEMPLATED, _REDIRECTED, _CALLED_BACK)

    def __init__(
        self, folder: Path, bait: Upstream, watch: Watch, outcome: Outcome
    ) -> None:
        self.folder = folder
        self.outcome = outcome
        self.bait = bait
        self.watch = watch
        self.own: dict[str, Any] = {}

    async def run(self, vectors: Sequence[str]) -> None:
        """Serve, and attack."""
        settings = {
            # So short that the second call asks for a name again.
            "http": {"name_ttl": "1ms"},
            "resolve": {"bait": self.bait.address},
            **self.settings,
            **self.own,
        }
        async with self.platform(settings) as (_, address):
            self.address = address
            self.watch.allowed.add(address)
            async with client_of(*address) as client:
                self.client = client
                await self.attack(vectors)
            self.watch.allowed.remove(address)

    def platform(
        self, settings: dict[str, Any]
    ) -> AbstractAsyncContextManager[tuple[Gateway, tuple[str, int]]]:
        """Return what is attacked."""
        return platform(self.folder, self.documents, settings, None, self.vault_keys)

    async def attack(self, vectors: Sequence[str]) -> None:
        """Try it."""
        raise NotImplementedError

    def count(self, way: str) -> None:
        """Count what was refused by a way."""
        name = f"by {way}"
        self.outcome.figures[name] = self.outcome.figures.get(name, 0) + 1

    def judge(self, way: str, vector: str, answer: Answer) -> None:
        """Count an answer to a vector; it must be a refusal in words."""
        told = answer.json if answer.body else {}
        code = (told.get("error") or {}).get("code")
        if code in REFUSALS:
            self.count(way)
        else:
            said = answer.body[:200].decode(errors="replace")
            self.outcome.broken.append(f"{way}: {vector!r}: {answer.status} {said}")

    async def execute(self, **wish: Any) -> Answer:
        """Run something through the API."""
        return await ask(self.client, f"{API}/workflow/execute", "POST", body=wish)

    async def generated(self, said: str) -> Any:
        """Return the last event of what the agent makes of `said`."""
        wish = {"action": "create"}
        made = await ask(self.client, f"{API}/session", "POST", body=wish)
        session = made.json["session_id"]
        query = urlencode({"session_id": session, "user_message": said})
        await self._stream(f"/chat/stream?{query}")
        return (await self._stream(f"/workflow_generation?session_id={session}"))[-1]

    async def _stream(self, path: str) -> list[Any]:
        """Return the data of a stream's events; of a refusal, an event that says so."""
        async with client_of(*self.address) as client:
            client.send(request_bytes(f"{API}{path}", Connection="close"))
            lines = (await client.closed()).decode().splitlines()
        told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        return told or [{"type": "error", "data": json.loads(lines[-1])}]


def definition_of(url: str) -> dict[str, Any]:
    """Return a document that calls a URL."""
    step = {"id": "a", "type": "http", "request": {"url": url, "redirects": 3}}
    return {"name": "sent", "steps": [step]}

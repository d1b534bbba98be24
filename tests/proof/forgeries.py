"""Row 13: every way of making the gateway call what only it can reach (SSRF).

The platform runs inside this process. A hook sees each connection that the process opens
and refuses all but three: those of this proof to the gateway, those to the upstream that
the operator's `resolve` names, and none to anywhere else, public or not. Names are looked
up in a table, which for some of them says another thing each time.

The hook asks nobody's policy: whatever it has to refuse, but for the one public address, is
a broken promise.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final, TypeAlias
from unittest.mock import patch

from plait.connectors.egress import Egress, Host
from plait.connectors.http.pools import Pools
from plait.connectors.http.url import Url
from plait.drivers import credentials
from plait.operations import definitions
from plait.operations.deploying import plans
from plait.ports.calls import Call
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.gateways import ask
from tests.proof.attacks import API, Attack, definition_of
from tests.proof.connecting import NAMES, REBINDING, Watch, watched
from tests.proof.scorecard import Outcome, Scale
from tests.proof.side_ways import Alerts, Collectors, Schemas, TokenServers, split
from tests.unit.connectors.forbidden import ADDRESSES, AMBIGUOUS, DISGUISES
from tests.unit.gateway.wires import Answer

VECTORS_MIN: Final = 150
_NAME_URLS: Final = [
    *(f"http://{name}/" for name in NAMES),
    "http://LocalHost./",
    "http://LOCALHOST:6379/",
    "https://metadata.google.internal./computeMetadata/v1/",
    "http://bücher.example/",
    "http://BÜCHER。example/",
    *(f"http://{REBINDING}:{port}/" for port in (80, 81, 8080)),
]
VECTORS: Final = [
    *(f"http://{host}/x" for host in (*ADDRESSES, *DISGUISES)),
    *AMBIGUOUS,
    *_NAME_URLS,
]
# Part of every run, however little of it.
_ALWAYS: Final = (
    "http://127.0.0.1/x",
    "http://localhost/",
    "http://intranet.example/",
    *(f"http://{REBINDING}:{port}/" for port in (80, 81, 8080)),
)
# Servers of an API that the agent is told of, each with what its operation is about.
_SERVERS: Final = {
    "127.0.0.1:1": "parcel",
    "10.0.0.1": "customer",
    "169.254.169.254": "invoice",
    "localhost:6379": "ticket",
    "0x7f.1": "vehicle",
    "[::1]": "planet",
}


def run(scale: Scale) -> Outcome:
    """Send every vector by every way; return what was refused, and what was not.

    Then bugs are planted, one at a time, each of which the hook has to see.
    """
    step = max(round(1 / scale.share), 1) if scale.share else len(VECTORS)
    others = [one for one in VECTORS if one not in _ALWAYS]
    outcome = _tried([*others[::step], *_ALWAYS], _ATTACKS)
    for name, (attack, plant) in _PLANTS.items():
        with plant():
            broken = _tried(_ALWAYS, (attack,)).broken
        opened = [one for one in broken if one.startswith("a connection to")]
        outcome.figures[f"planted: {name}"] = opened[0] if opened else "not caught"
        if not opened:
            outcome.broken.append(f"not caught: {name}")
    return outcome


def _tried(vectors: Sequence[str], attacks: Sequence[type[Attack]]) -> Outcome:
    # An asyncio loop: uvloop's connections are opened where no hook sees them.
    with asyncio.Runner() as runner, watched() as watch:
        return runner.run(_try(vectors, attacks, watch))


async def _try(
    vectors: Sequence[str], attacks: Sequence[type[Attack]], watch: Watch
) -> Outcome:
    outcome = Outcome({"vectors": len(vectors)})
    async with Upstream(_bait) as bait:
        watch.allowed.add(("127.0.0.1", bait.port))
        for attack in attacks:
            with TemporaryDirectory(prefix="proof-") as name:
                await attack(Path(name), bait, watch, outcome).run(vectors)
            if not any(attack.lure in one.target for one in bait.requests):
                outcome.broken.append(f"nobody asked for {attack.lure}: nothing is proved")
    _judge(outcome, watch)
    return outcome


async def _bait(peer: Peer, request: Request) -> None:
    """Send every client on to where its query says, or to the machine itself."""
    to = request.target.partition("?to=")[2] or "http%3A%2F%2F127.0.0.1%3A1%2Ftrap"
    location = _unquoted(to)
    # A body is taken nowhere else; whoever leaves it behind may go there.
    status = 303 if request.method == "POST" else 307
    await reply(status, headers={"Location": location})(peer, request)


def _unquoted(text: str) -> str:
    """Return what a query's value says; what no header can hold is left as it came."""
    data = bytearray()
    parts = text.replace("+", " ").encode("latin-1").split(b"%")
    data += parts[0]
    for part in parts[1:]:
        data += bytes([int(part[:2], 16)]) + part[2:]
    if any(one < 32 for one in data):
        return text
    return data.decode("latin-1")


def _judge(outcome: Outcome, watch: Watch) -> None:
    outcome.figures |= {
        "connections to the operator's own upstream and the gateway": watch.opened,
        "calls of the public address, as it was checked": watch.public,
        "forbidden connections": len(watch.forbidden),
    }
    places = sorted({f"{host}:{port}" for host, port in watch.forbidden})
    outcome.broken += [f"a connection to {place} was opened" for place in places]
    if not watch.public:
        outcome.broken.append("no public address was called: nothing is proved")


class _Calls(Attack):
    """Calls of the operator's documents, with what callers give, and of the API's."""

    lure = "/go"

    async def attack(self, vectors: Sequence[str]) -> None:
        """Try each vector by each way."""
        for number, vector in enumerate(vectors):
            for way in ("templated", "redirected", "called-back"):
                body = {"url": vector}
                self.judge(way, vector, await self._post(f"/{way}", body))
            answer = await self.execute(definition=definition_of(vector))
            self.judge("a definition", vector, answer)
            answer = await self.execute(definition=_standing_in(vector), mode="durable")
            self.judge("a fallback, durable", vector, answer)
            await self._deployed(f"sent_{number}", vector)

    async def _post(self, path: str, body: Any) -> Answer:
        return await ask(self.client, path, "POST", body=body)

    async def _deployed(self, name: str, vector: str) -> None:
        document = {**definition_of(vector), "name": name}
        wish = {"name": name, "workflow_definition": document, "triggers": []}
        path = f"{API}/workflow/deployments"
        answer = await self._post(path, wish)
        if answer.status == 201:
            answer = await self.execute(workflow=name)
            # Hundreds of deployments would make each further one slower.
            await ask(self.client, f"{path}/{name}", "DELETE")
        self.judge("a deployment", vector, answer)


class _Drafts(Attack):
    """What the agent drafts from descriptions of APIs, deployed as it is."""

    async def run(self, vectors: Sequence[str]) -> None:
        """Describe an API whose servers are forbidden, and whose parts are elsewhere."""
        paths = {
            f"/{word}s": {
                "servers": [{"url": f"http://{host}"}],
                "get": {
                    "operationId": f"get{word.title()}",
                    "responses": {"200": {"$ref": "http://127.0.0.1:1/trap.json"}},
                },
            }
            for host, word in _SERVERS.items()
        }
        told = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths}
        file = self.folder / "api.json"
        file.write_text(json.dumps(told))
        self.own = {"agent": {"openapi": {"api": str(file)}}}
        await super().run(vectors)

    async def attack(self, vectors: Sequence[str]) -> None:
        """Have each drafted, deployed and run."""
        del vectors
        for host, word in _SERVERS.items():
            self.judge("a draft", host, await self._drafted(f"Get the {word}."))

    async def _drafted(self, said: str) -> Answer:
        told = await self.generated(said)
        name, definition = told["workflow_id"], told["data"]["definition"]
        wish = {"name": name, "workflow_definition": definition, "triggers": []}
        path = f"{API}/workflow/deployments"
        deployed = await ask(self.client, path, "POST", body=wish)
        if deployed.status != 201:
            return deployed
        return await self.execute(workflow=name)


class _Keys(Attack):
    """The keys of an issuer: published behind a redirect, and pointed to by tokens."""

    lure = "/jwks"
    settings: ClassVar[dict[str, Any]] = {
        "security": {
            "issuers": {
                "login": {"issuer": "i", "audience": "a", "jwks": "http://bait/jwks"}
            }
        }
    }

    async def attack(self, vectors: Sequence[str]) -> None:
        """Show tokens whose keys are at a vector."""
        for vector in vectors:
            for name in ("jku", "x5u", "jwk"):
                head = {"alg": "RS256", "kid": vector[:50], name: vector}
                token = f"{_part(head)}.{_part({'iss': 'i', 'aud': 'a'})}.c2ln"
                path = f"{API}/executions"
                told = {"authorization": f"Bearer {token}"}
                answer = await ask(self.client, path, **told)
                if answer.status == 401:
                    self.count("a token's key")
                else:
                    self.outcome.broken.append(f"{name} {vector!r}: {answer.status}")


class _Model(Attack):
    """A language model that sends the agent on to elsewhere."""

    lure = "/v1/chat/completions"
    settings: ClassVar[dict[str, Any]] = {
        "agent": {"endpoint": "http://bait/v1", "model": "m"}
    }

    async def attack(self, vectors: Sequence[str]) -> None:
        """Have it draft something."""
        del vectors
        told = await self.generated("Get the parcel.")
        if told["type"] == "error":
            self.count("a model that redirects")
        else:
            self.outcome.broken.append(f"a model that redirects: {told}")


def _part(value: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _standing_in(url: str) -> dict[str, Any]:
    """Return a document that calls a vector when its first call has failed."""
    (second,) = definition_of(url)["steps"]
    first = definition_of("http://nobody.invalid/")["steps"][0]
    stands_in = {"type": "http", "request": second["request"]}
    return {"name": "sent", "steps": [{**first, "fallback": stands_in}]}


_ATTACKS: Final = (
    *(_Calls, split(_Calls), _Drafts, _Keys, _Model),
    *(TokenServers, Alerts, Schemas, Collectors),
)


# -- planted bugs ----------------------------------------------------------------------


def _unchecked() -> AbstractContextManager[Any]:
    """Look a name up, and check none of its addresses."""
    return patch.object(Egress, "_check", lambda *_: None)


@contextmanager
def _trusting() -> Iterator[None]:
    """Take the hosts of documents that came over the API for the operator's words."""
    with ExitStack() as stack:
        for room in (definitions, plans):
            stack.enter_context(patch.object(room, "without_trust", lambda plan: plan))
        yield


def _twice() -> AbstractContextManager[Any]:
    """Check the addresses of a name, and have the name looked up again to connect."""
    route = Egress.route

    async def by_name(self: Egress, host: Host, port: int, **more: bool) -> Any:
        checked = await route(self, host, port, **more)
        return checked if host.name == "bait" else ((host.name, port),)

    return patch.object(Egress, "route", by_name)


def _following() -> AbstractContextManager[Any]:
    """Follow a redirect with the trust that the first host had."""
    open_ = Pools.open

    def trusting(self: Pools, url: Url, tls: Any, *, is_trusted: bool) -> Any:
        is_trusted = is_trusted or sys._getframe(1).f_code.co_name == "follow"
        return open_(self, url, tls, is_trusted=is_trusted)

    return patch.object(Pools, "open", trusting)


def _believed() -> AbstractContextManager[Any]:
    """Take the servers that give tokens for the operator's own."""

    def trusting(**fields: Any) -> Call:
        return Call(**{**fields, "host_is_literal": True})

    return patch.object(credentials, "Call", trusting)


_Plant: TypeAlias = tuple[type[Attack], Callable[[], AbstractContextManager[Any]]]
_PLANTS: Final[dict[str, _Plant]] = {
    "no address is checked": (_Calls, _unchecked),
    "documents of the API are trusted": (_Calls, _trusting),
    "they are trusted over gRPC": (split(_Calls), _trusting),
    "a name is looked up again to connect": (_Calls, _twice),
    "redirects are trusted": (_Calls, _following),
    "servers of tokens are trusted": (TokenServers, _believed),
}

"""Attacks of row 13 that come in beside the calls of workflows: servers that give tokens,
alerts, schemas, collectors; and the same calls over gRPC.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Final
from urllib.parse import quote

from prometheus_client import CollectorRegistry

from plait.assembly.alerts import watch_alerts
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured
from plait.compile import Alert, compile_alert
from plait.drivers.journal import Start
from plait.gateway.app import Gateway
from tests.acceptance.gateways import ask
from tests.proof.attacks import API, Attack
from tests.proof.inside import split_platform
from tests.unit.gateway.wires import WAIT_S, Answer

_ANYBODY: Final[dict[str, Any]] = {"gateway": {"open_api": True}}
_ALERT: Final = """
alert: alert_%d
when: ${store_up >= 0.0}
notify: [{webhook: {url: "%s"}}]
"""
_DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"


class TokenServers(Attack):
    """Credentials of the API whose tokens are given at a vector, or by who sends there."""

    lure = "/go"
    settings: ClassVar[dict[str, Any]] = _ANYBODY
    vault_keys: ClassVar[dict[str, str]] = {"key": "00" * 32}

    async def attack(self, vectors: Sequence[str]) -> None:
        """Have each shown to somebody who may see it."""
        for number, vector in enumerate(vectors):
            sent_on = f"http://bait/go?to={quote(vector, safe='')}"
            for way, url in (("a token's server", vector), ("who redirects", sent_on)):
                answer = await self._shown(f"{way[0]}{number}", url)
                self.judge(f"{way}, of a credential", vector, answer)
        if any("/shown" in one.target for one in self.bait.requests):
            self.outcome.broken.append("a token was given by who is none to ask")

    async def _shown(self, name: str, url: str) -> Answer:
        fields = {"token_url": url, "client_id": "c", "client_secret": "s"}
        wish = {"name": name, "type": "oauth2", "hosts": ["http://bait"], "fields": fields}
        path = f"{API}/credentials"
        made = await ask(self.client, path, "POST", body=wish)
        if made.status != 201:
            return made
        request = {"url": "http://bait/shown"}
        step = {"id": "a", "type": "http", "credential": name, "request": request}
        answer = await self.execute(definition={"name": "shows", "steps": [step]})
        await ask(self.client, f"{path}/{name}", "DELETE")
        return answer


class Alerts(Attack):
    """Alerts: the operator's, told to who redirects, and such as came over the API."""

    lure = "/alerted"

    async def attack(self, vectors: Sequence[str]) -> None:
        """Have each told twice: the first time is over by then."""
        await self._deployed(vectors)
        urls = [f"http://bait/alerted?to={quote(one, safe='')}" for one in vectors]
        telemetry = {"alerts_every": "20ms"}
        store = {"url": str(self.folder / "alerts.db")}
        resolve = {"bait": self.bait.address}
        told = {"telemetry": telemetry, "store": store, "resolve": resolve}
        configured = Configured(Settings.model_validate(told), {})
        forbidden, heard = len(self.watch.forbidden), len(self.bait.requests)
        registry = CollectorRegistry()
        watching = watch_alerts(configured, None, registry, _start_nothing, _alerts(urls))
        await watching.begin()
        try:
            async with asyncio.timeout(WAIT_S * 3):
                await self.bait.until_requests(heard + 2 * len(urls))
        finally:
            await watching.close()
        if len(self.watch.forbidden) == forbidden:
            for _ in urls:
                self.count("who redirects, of an alert")

    async def _deployed(self, vectors: Sequence[str]) -> None:
        for vector in vectors:
            text = _ALERT % (1, vector.replace('"', "%22"))
            wish = {"name": "alert_1", "workflow_definition": text, "triggers": []}
            answer = await ask(
                self.client, f"{API}/workflow/deployments", "POST", body=wish
            )
            self.judge("an alert of the API", vector, answer)


async def _start_nothing(workflow: str, start: Start) -> None:
    raise AssertionError(f"{workflow} is told of nothing: {start.execution_id}")


def _alerts(urls: Sequence[str]) -> list[Alert]:
    return [
        compile_alert((_ALERT % (number, url)).encode(), name="alert.yaml")
        for number, url in enumerate(urls)
    ]


class Schemas(Attack):
    """Documents of the API whose schemas are elsewhere.

    The library that reads schemas opens its connections where no hook sees them: so the
    elsewhere is the one place that would hear of it.
    """

    async def attack(self, vectors: Sequence[str]) -> None:
        """Validate, deploy and run each."""
        del vectors
        for schema in _schemas(self.bait.url()):
            step = {"id": "a", "type": "set", "value": "${input}"}
            endpoint = {"method": "POST", "path": "/schemas"}
            document = {"name": "elsewhere", "input": schema, "steps": [step]}
            document |= {"endpoint": endpoint, "mode": "express"}
            wish = {
                "name": "elsewhere",
                "workflow_definition": document,
                "triggers": [],
            }
            path = f"{API}/workflow/deployments"
            for query in ("?validate_only=true", ""):
                await ask(self.client, path + query, "POST", body=wish)
            await ask(self.client, "/schemas", "POST", body={"a": {"b": 1}})
            await self.execute(definition=document, input={"a": {"b": 1}})
            asked = [
                one.target for one in self.bait.requests if "schema.json" in one.target
            ]
            if asked:
                self.outcome.broken.append(f"a schema was fetched: {schema}")
            else:
                self.count("a schema that is elsewhere")


def _schemas(elsewhere: str) -> Iterator[dict[str, Any]]:
    """Yield schemas that name another, in every way there is to name one."""
    url = f"{elsewhere}schema.json"
    there, default = {"$ref": url}, {"properties": {"b": {"default": 1}}}
    yield from (there, {**there, **default}, {"properties": {"a": {**there, "default": 1}}})
    for word in ("$schema", "$dynamicRef", "$recursiveRef", "$id"):
        yield from ({word: url}, {word: url, **default}, {"$defs": {"a": {word: url}}})
    yield {"$id": elsewhere, "properties": {"a": {"$ref": "schema.json", "default": {}}}}
    for word in ("not", "if", "items", "contains", "propertyNames", "contentSchema"):
        yield {"properties": {"a": {word: there}}, **default}
    for word in ("allOf", "anyOf", "oneOf", "prefixItems"):
        yield {word: [{"properties": {"a": there}}], **default}
    # What an older draft says, and this one does not.
    for word in ("dependencies", "definitions", "dependentSchemas", "patternProperties"):
        yield {word: {"a": there}, **default}
        yield {"$schema": _DRAFT_7, word: {"a": there}, **default}
    yield {"$schema": _DRAFT_7, "items": [there], "additionalItems": there, **default}
    yield {"const": there, "enum": [there], "default": there, "examples": [there]}


class Collectors(Attack):
    """Collectors of traces and metrics that send on what they are told."""

    lure = "/collected/metrics"

    async def run(self, vectors: Sequence[str]) -> None:
        """Serve something until both were told, which is at the end at the latest."""
        self.own = {
            "telemetry": {
                "traces_endpoint": self.bait.url("/collected/traces"),
                "metrics_endpoint": self.bait.url("/collected/metrics"),
            }
        }
        await super().run(vectors)
        for one in self.bait.requests:
            if one.target.startswith("/collected/"):
                self.count("a collector that redirects")

    async def attack(self, vectors: Sequence[str]) -> None:
        """Run something that is told of."""
        for vector in vectors:
            await ask(self.client, "/templated", "POST", body={"url": vector})


def split(attack: type[Attack]) -> type[Attack]:
    """Return the same attack on a platform of several processes."""

    class Split(attack):  # type: ignore[misc, valid-type]
        def platform(
            self, settings: dict[str, Any]
        ) -> AbstractAsyncContextManager[tuple[Gateway, tuple[str, int]]]:
            return split_platform(self.folder, self.documents, settings)

        def count(self, way: str) -> None:
            super().count(f"{way}, over gRPC")

    return Split

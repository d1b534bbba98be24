"""deploy/prometheus and deploy/grafana, as Prometheus itself takes them.

A real one scrapes a platform of three processes, and is asked what the dashboard asks. That
names are those of the metrics is in tests/tidy/test_dashboards.py.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest
import yaml

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.gateways import GatewayProcess
from tests.acceptance.test_roles import role
from tests.acceptance.test_security import keys_in
from tests.acceptance.test_service_metrics import TOKEN, service
from tests.conformance.journal.servers import PrivateServer, installed, prometheus
from tests.deploy.image import DEPLOY
from tests.deploy.running import WAIT_S
from tests.deploy.yaml_files import documents

T = TypeVar("T")
FOLDER = DEPLOY / "prometheus"
# With its files beside it.
CONFIGURATION = (FOLDER / "prometheus.yml").read_text().replace("/etc/prometheus/", "")
CASES = Path(__file__).with_name("alerts.yml")
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/plait.json").read_text())
_METRIC = re.compile(r"\bplait_\w+")
# What Grafana puts in the place of its variables.
VARIABLES = {"$job": "plait|plait-services", "$__rate_interval": "1m"}
# Gauges, of which zero says as much as any other number; all else has to be above it.
MAY_BE_ZERO = {
    "Requests in flight",
    "Durable executions not ended",
    "Stuck",
    "Waiting executions",
    "Connections to services that are not ready",
    "Calls that policies hold",
    "Executions in memory, and those that wait for room",
}

WORKFLOWS = """
name: hello
mode: express
endpoint: {path: /hello, auth: none}
steps: [{id: said, type: set, value: 1}]
---
name: refused
mode: express
endpoint: {path: /refused, auth: none}
steps: [{id: said, type: fail, code: card.refused, message: "no"}]
---
name: quote
mode: express
endpoint: {path: /quote, auth: none}
steps:
  - id: get
    type: http
    request: {url: http://down/quote}
    circuit_breaker: {failure_threshold: 2, open_time: 1h}
    bulkhead: {max_concurrency: 5}
---
name: keep
endpoint: {path: /keep, method: POST, auth: none, wait: 20s}
steps: [{id: said, type: set, value: 1}]
---
name: undo
on_failure: compensate
endpoint: {path: /undo, method: POST, auth: none, wait: 20s}
steps:
  - id: charge
    type: set
    value: 1
    compensate: {type: fail, code: refund.refused, message: "no"}
  - {id: ship, type: fail, depends_on: [charge], code: stock.none, message: "no"}
"""
# Deployed, and the secret of it that nobody has: the runtime answers UNAVAILABLE.
HOOK = """
name: hooked
triggers: [{type: webhook, path: /hook, secret: unknown}]
steps: [{id: seen, type: set, value: 1}]
"""
ALERT = """
alert: executions_fail
description: Executions fail.
when: ${failed > 0}
window: 1h
notify: [{workflow: keep}]
"""
TRAFFIC = {
    ("/hello", "GET"): {200},
    ("/refused", "GET"): {422},
    ("/quote", "GET"): {502, 503},
    ("/keep", "POST"): {200},
    ("/undo", "POST"): {422},
    ("/webhooks/hook", "POST"): {503},
}
# What some panels then show, and how rules stand that do not hang on the machine's speed.
SHOWN = {"Open breakers": [1.0], "Alerts firing": [1.0], "Store": [1.0], "Stuck": [0.0]}
STATES = {
    "PlaitServerErrors": "pending",
    "PlaitBreakerOpen": "pending",
    "PlaitCompensationFailed": "firing",
    "PlaitStoreGone": "inactive",
    "PlaitGone": "inactive",
    "PlaitServiceGone": "inactive",
}


def promtool(*arguments: str | Path) -> None:
    """Run it; what it has to say is the failure."""
    command = [installed("promtool"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> Mapping[str, str]:
    """Return the expressions of the rules, by the names of the alerts."""
    (told,) = documents(FOLDER / "rules.yml")
    return {one["alert"]: one["expr"] for group in told["groups"] for one in group["rules"]}


def expressions() -> Iterator[tuple[str, str]]:
    """Yield what the dashboard asks: the panel's title, and PromQL."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


def configuration(gateway: str, *services: str, key: str) -> dict[str, str]:
    """Return deploy/prometheus and what stands beside it, for other targets and in haste.

    Args:
        gateway: `host:port`, and so are the services.
    """
    told = yaml.safe_load(CONFIGURATION)
    told["global"] = dict.fromkeys(told["global"], "1s")
    told["scrape_configs"][0]["static_configs"] = [{"targets": [gateway]}]
    return {
        "prometheus.yml": yaml.safe_dump(told),
        "rules.yml": (FOLDER / "rules.yml").read_text(),
        "services/plait.yml": yaml.safe_dump([{"targets": list(services)}]),
        "plait.key": key,
        "plait-services.token": TOKEN["PLAIT_SECRET_PROMETHEUS"],
    }


def test_promtool_takes_the_configuration_and_the_rules(tmp_path: Path) -> None:
    files = configuration("plait:8080", "engine:9464", key="key")
    for name, text in {**files, "prometheus.yml": CONFIGURATION}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    promtool("check", "config", "--lint=all", "--lint-fatal", tmp_path / "prometheus.yml")


def test_each_alert_fires_when_it_shall_and_only_then() -> None:
    promtool("test", "rules", CASES)


def test_each_alert_has_cases_of_both_kinds() -> None:
    fires: set[str] = set()
    keeps_still: set[str] = set()
    (told,) = documents(CASES)
    for case in told["tests"]:
        given = {
            name for one in case["input_series"] for name in _METRIC.findall(one["series"])
        }
        for one in case["alert_rule_test"]:
            name = one["alertname"]
            (fires if one["exp_alerts"] else keeps_still).add(name)
            # Nothing keeps still for want of series.
            assert given <= set(_METRIC.findall(alerts()[name])), case["name"]
    assert fires == keeps_still == set(alerts())


class Asked:
    """A Prometheus, asked over its API."""

    def __init__(self, server: PrivateServer) -> None:
        self._url = f"http://127.0.0.1:{server.port}/api/v1"

    async def ask(self, what: str, **query: str) -> Any:
        """Return `data` of an answer.

        Raises:
            HTTPError: It does not take the question.
        """
        return await asyncio.to_thread(self._ask, f"{self._url}/{what}?{urlencode(query)}")

    def _ask(self, url: str) -> Any:
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
            return json.load(answer)["data"]

    async def values(self, expression: str) -> list[float]:
        """Return what an expression comes to now, each series' value."""
        told = await self.ask("query", query=expression)
        return [float(one["value"][1]) for one in told["result"]]

    async def shown(self, titles: Iterable[str]) -> dict[str, list[float]]:
        """Return what panels show that ask one thing each, by their titles."""
        asked = dict(expressions())
        return {title: await self.values(asked[title]) for title in titles}

    async def health(self) -> list[str]:
        """Return how the latest scrapes went."""
        return [one["health"] for one in (await self.ask("targets"))["activeTargets"]]

    async def rules(self, what: str, names: Iterable[str]) -> dict[str, str]:
        """Return the `state` of rules, or their `health`: whether they can be evaluated."""
        (group,) = (await self.ask("rules"))["groups"]
        told = {rule["name"]: rule[what] for rule in group["rules"]}
        return {name: told[name] for name in names}


async def until(ask: Callable[[], Awaitable[T]], expected: T) -> None:
    """Return when an answer is the one expected: a busy machine may miss a scrape."""
    told: T | None = None
    try:
        async with asyncio.timeout(WAIT_S):
            while told != expected:
                told = await ask()
    except TimeoutError:
        assert told == expected


@pytest.fixture
async def platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[GatewayProcess, Asked]]:
    """A gateway, an engine and a runtime, all three scraped."""
    installed("prometheus")
    served, store = tmp_path / "workflows", tmp_path / "plait.db"
    served.mkdir()
    for number, text in enumerate(WORKFLOWS.split("---")):
        (served / f"{number}.yaml").write_text(text)
    alert = tmp_path / "alert.yaml"
    alert.write_text(ALERT)
    monkeypatch.setenv("PLAIT_SECURITY_REQUIRED", "true")
    monkeypatch.setenv("PLAIT_TELEMETRY_ALERTS_EVERY", "100ms")
    async with Upstream(reply(503)) as down:
        monkeypatch.setenv("PLAIT_RESOLVE_DOWN", down.address)
        async with (
            service("engine", alert, store=store) as (engine, engine_calls),
            service("runtime", alert, served, store=store) as (runtime, runtime_calls),
            role(
                *("gateway", served),
                store=store,
                engine=engine_calls,
                runtime=runtime_calls,
            ) as (gateway, _),
        ):
            targets = ["{}:{}".format(*one.address) for one in (gateway, engine, runtime)]
            key = await prepared(gateway)
            with prometheus(configuration(*targets, key=key)) as server:
                yield gateway, Asked(server)


async def prepared(gateway: GatewayProcess) -> str:
    """Deploy what a sender's message starts; return a key that may only look."""
    (admin,) = keys_in(gateway)
    told = {"name": "hooked", "workflow_definition": HOOK}
    path = "/api/v1/workflow/deployments"
    assert (await gateway.ask(path, "POST", body=told, x_api_key=admin)).status == 201
    wish = {"name": "prometheus", "role": "viewer"}
    made = await gateway.ask("/api/v1/keys", "POST", body=wish, x_api_key=admin)
    key: str = made.json["key"]
    return key


async def traffic(gateway: GatewayProcess) -> None:
    """Ask for all that succeeds and all that fails."""
    for (path, method), statuses in TRAFFIC.items():
        answer = await gateway.ask(path, method, body=None if method == "GET" else {})
        assert answer.status in statuses, (path, answer.body)


def shows(title: str, values: list[float]) -> bool:
    """Tell whether a panel of that title has something to show."""
    least = 0.0 if title in MAY_BE_ZERO else 1e-9
    return any(isfinite(value) and value >= least for value in values)


async def until_all_show(gateway: GatewayProcess, asked: Asked) -> None:
    """Return when each panel has had something to show of what goes on meanwhile."""
    empty = list(expressions())
    try:
        async with asyncio.timeout(WAIT_S):
            while empty:
                await traffic(gateway)
                told = [(*one, await asked.values(one[1])) for one in empty]
                empty = [
                    (title, one) for title, one, seen in told if not shows(title, seen)
                ]
    except TimeoutError:
        pytest.fail(f"nothing to show: {empty}")


@pytest.mark.slow
async def test_the_dashboard_and_the_rules_see_what_a_platform_does(
    platform: tuple[GatewayProcess, Asked],
) -> None:
    gateway, asked = platform
    assert (await gateway.ask("/metrics")).status == 401
    await until_all_show(gateway, asked)
    await until(partial(asked.shown, SHOWN), SHOWN)
    await until(asked.health, ["up"] * 3)
    # The dashboard's variable: label_values({__name__=~"plait_.+"}, job).
    jobs = await asked.ask("label/job/values", **{"match[]": '{__name__=~"plait_.+"}'})
    assert jobs == VARIABLES["$job"].split("|")
    await until(partial(asked.rules, "health", alerts()), dict.fromkeys(alerts(), "ok"))
    await until(partial(asked.rules, "state", STATES), STATES)

"""Row 12: hostile input to every operation of the OpenAPI document, endpoints and control
plane: none is answered with a 5xx or a traceback, none takes long, and each reply is one
that the document tells of.

The inputs are made by schemathesis from the document alone: such as fit it, and such as
do not. Half of them name what is there, a session, an execution that waits, a deployment,
a credential, a key, and some of these nearly. The whole platform answers them, with a store
on the disk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.acceptance.test_webhooks import SECRET
from tests.proof.beside import beside
from tests.proof.existing import PASSWORD, SECRETS, TOKEN, WORKFLOWS, Existing
from tests.proof.inside import platform
from tests.proof.scorecard import Outcome, Scale
from tests.unit.gateway.scenes import ECHO

INPUTS: Final = 20_000
_SEED: Final = 12
# A request that takes longer has hit something whose cost grows with what was sent.
_REPLY_S_MAX: Final = 2.0
_SHOWN_MAX: Final = 20
# A stream of what has not ended yet is left after so long.
_LISTENED_S: Final = 0.5
_VAULT_KEY: Final = "c4n4ryOfTheVaultsOwnKeyWhichIsNoSecretHere1="
_NEVER_SHOWN: Final = (
    *("Traceback", 'File "', "plait/gateway", "0x7f"),
    *(TOKEN, PASSWORD, SECRET, _VAULT_KEY),
)
_SETTINGS: Final = {"gateway": {"open_api": True}}
_ENDPOINT: Final = """
name: measured
mode: express
endpoint: {method: GET, path: "/measured/{id}"}
input:
  type: object
  required: [id]
  properties:
    id: {type: string, pattern: "^[a-z]{1,8}$"}
    count: {type: integer, minimum: 1, maximum: 9}
    ratio: {type: number}
    is_new: {type: boolean}
steps: [{id: said, type: set, value: "${input}"}]
output: ${said.response}
"""
_CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def run(scale: Scale) -> Outcome:
    """Send hostile inputs to every operation, as many to each."""
    outcome = Outcome()
    with beside(_gateway) as url, requests.Session() as session:
        document = session.get(f"{url}/openapi.json", timeout=60).json()
        schema = schemathesis.openapi.from_dict(document)
        every: Any = schema.get_all_operations()
        operations = [found.ok() for found in every]
        each = scale.of(INPUTS, 2 * len(operations)) // len(operations) // 2
        existing = Existing(requests.Session(), url)
        hunt = _Hunt(session, url, outcome, existing)
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                hunt.ask(operation, mode, max(each, 1))
    outcome.figures |= {
        "operations": len(operations),
        "inputs": hunt.input_count,
        "slowest_ms": round(hunt.slowest_s * 1000),
        **{f"answered {status}": count for status, count in sorted(hunt.statuses.items())},
        **{f"named a {one}": count for one, count in sorted(existing.hits.items())},
        **{f"found a {one}": count for one, count in sorted(existing.found.items())},
    }
    return outcome


class _Hunt:
    """Sends inputs, and looks at what comes back."""

    def __init__(
        self, session: requests.Session, url: str, outcome: Outcome, existing: Existing
    ) -> None:
        self._session = session
        self._url = url
        self._outcome = outcome
        self._existing = existing
        self.input_count = 0
        self.slowest_s = 0.0
        self.statuses: dict[int, int] = {}

    def ask(self, operation: Any, mode: GenerationMode, count: int) -> None:
        """Send `count` inputs to one operation."""

        @seed(_SEED)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode))
        def send(case: Any) -> None:
            kind, put = next(kinds), []
            if kind != "made up":
                put = self._existing.put(case, is_bent=kind == "bent")
            status = self._send(case)
            self._existing.note(case, put, status)

        kinds = cycle(("there", "made up", "there", "bent"))

        # Of some operations nothing can be made that does not fit them.
        with suppress(Unsatisfiable):
            send()

    def _send(self, case: Any) -> int:
        is_endless = "events" in case.path
        patience_s = _LISTENED_S if is_endless else 30
        response = case.call(base_url=self._url, session=self._session, timeout=patience_s)
        took_s = response.elapsed
        self.input_count += 1
        self.slowest_s = max(self.slowest_s, took_s)
        status = response.status_code
        self.statuses[status] = self.statuses.get(status, 0) + 1
        where = f"{case.method} {case.formatted_path}"
        if took_s > _REPLY_S_MAX:
            self._break(f"{where}: took {took_s:.1f} s")
        text = response.content.decode(errors="replace")
        self._outcome.broken += [
            f"{where}: shows {one!r}" for one in _NEVER_SHOWN if one in text
        ]
        try:
            case.validate_response(response, checks=_CHECKS)
        except (Failure, FailureGroup) as failure:
            self._break(f"{where}: {_told(failure)}: {text[:200]}")
        return int(status)

    def _break(self, told: str) -> None:
        if len(self._outcome.broken) < _SHOWN_MAX:
            self._outcome.broken.append(told)


def _told(failure: Failure | FailureGroup) -> str:
    failures = failure.exceptions if isinstance(failure, FailureGroup) else [failure]
    return "; ".join(f"{type(one).__name__} {one}".replace("\n", " ") for one in failures)


@asynccontextmanager
async def _gateway() -> AsyncIterator[str]:
    """Serve a gateway on a free port; yield its URL."""
    with TemporaryDirectory(prefix="hostile-") as folder:
        documents = (ECHO, _ENDPOINT, *WORKFLOWS)
        keys = {"key": _VAULT_KEY}
        async with platform(Path(folder), documents, _SETTINGS, SECRETS, keys) as (_, at):
            yield f"http://{at[0]}:{at[1]}"

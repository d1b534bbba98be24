"""Things that are there, for hostile input to hit: made over the API, as anybody would,
and made anew when an answer has ended them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import requests

from tests.acceptance.test_webhooks import SECRET

# Nobody is ever told these again.
TOKEN: Final = "c4n4ry-of-the-vault"
PASSWORD: Final = "c4n4ry of the desk"
SECRETS: Final[Mapping[str, str]] = {"shop": SECRET}
_WAITING: Final = """\
name: waiting
mode: durable
steps:
  - {id: paid, type: wait, event: {name: paid}}
  - {id: asked, type: approval}
output: ${paid.response}
"""
_ENDING: Final = """\
name: ending
mode: durable
triggers: [{type: webhook, path: /shop/paid, secret: shop}]
steps: [{id: said, type: set, value: "${input}"}]
output: ${said.response}
"""
_FAILING: Final = """\
name: failing
mode: durable
steps: [{id: no, type: fail, code: shop.empty, message: sold out}]
"""
WORKFLOWS: Final = (_WAITING, _ENDING, _FAILING)
_DOCUMENT: Final = "name: kept\nsteps: [{id: said, type: set, value: %d}]\n"
_CREDENTIAL: Final = {
    "type": "bearer",
    "hosts": ["api.example.com"],
    "fields": {"token": TOKEN},
}
# A session takes so many messages that one would be full before the end.
_USES_MAX: Final = 40
# Where a request's body names something, by operation and field.
_BODIES: Final[Mapping[tuple[str, str], str]] = {
    ("execute_workflow", "workflow"): "workflow",
    ("create_session", "workflow_id"): "deployment_id",
    ("deploy_workflow", "name"): "deployment_id",
    ("activate_version", "version"): "old",
    ("update_deployment", "expected_version"): "old",
    ("fork_execution", "from"): "step",
    ("signal_execution", "name"): "step",
    ("approve_execution", "step"): "approval",
    ("reject_execution", "step"): "approval",
    ("decide_execution", "step"): "step",
    ("add_credential", "name"): "credential",
    ("add_user", "name"): "user",
    ("give_token", "username"): "user",
}
# Where its path or query does; where nothing stands here, by the parameter's own name.
_PARAMETERS: Final[Mapping[tuple[str, str], str]] = {
    **{
        (f"{verb}_credential", "name"): "credential"
        for verb in ("get", "replace", "remove")
    },
    ("deliver_webhook", "path"): "webhook",
    ("list_executions", "workflow"): "workflow",
    ("list_deployments", "after"): "deployment_id",
    ("list_credentials", "after"): "credential",
}
# What an answer without an error to these has ended.
_ENDED: Final[Mapping[str, str]] = {
    **{
        f"{verb}_execution": "execution_id"
        for verb in ("cancel", "signal", "approve", "reject", "resume", "rollback")
    },
    "undeploy_workflow": "deployment_id",
    "remove_credential": "credential",
    "revoke_key": "key_id",
    "remove_user": "user",
}


class Existing:
    """What is there, by name.

    Args:
        url: The gateway's.

    Attributes:
        hits: How many requests named each; answers other than 404 among them in `found`.
    """

    def __init__(self, session: requests.Session, url: str) -> None:
        self._session = session
        self._url = f"{url}/api/v1"
        self._ids: dict[str, str] = {}
        self._uses = Counter[str]()
        self._count = 0
        self.hits = Counter[str]()
        self.found = Counter[str]()

    def put(self, case: Any, *, is_bent: bool) -> list[str]:
        """Let a case name things that are there, where it names something; say which.

        Args:
            is_bent: Name them nearly, as a slip or an attack would.
        """
        operation = case.operation.definition.raw["operationId"]
        put = []
        for place in (case.path_parameters, case.query):
            for name in _named(case, place):
                thing = _PARAMETERS.get((operation, name), name)
                if thing in _MAKERS:
                    place[name] = self._said(thing, is_bent=is_bent)
                    put.append(thing)
        if isinstance(case.body, dict):
            case.body = {**case.body, **self._in_body(operation, put, is_bent=is_bent)}
        _let_nobody_wait(operation, case)
        self.hits.update(put)
        return put

    def _in_body(
        self, operation: str, put: list[str], *, is_bent: bool
    ) -> dict[str, object]:
        told: dict[str, object] = {}
        for (asked, field), thing in _BODIES.items():
            if asked == operation:
                told[field] = self._said(thing, is_bent=is_bent)
                put.append(thing)
        return told

    def note(self, case: Any, put: list[str], status: int) -> None:
        """Take in how a case was answered."""
        if status != 404:
            self.found.update(put)
        operation = case.operation.definition.raw["operationId"]
        for thing in put:
            is_worn = self._uses[thing] >= _USES_MAX
            if is_worn or (status < 300 and _ENDED.get(operation) == thing):
                self._ids.pop(thing, None)
                self._uses[thing] = 0

    def _said(self, thing: str, *, is_bent: bool) -> str:
        if thing not in self._ids:
            self._count += 1
            self._ids[thing] = _MAKERS[thing](self)
        self._uses[thing] += 1
        own = self._ids[thing]
        bends = (own.upper(), own + "\0", f" {own}", own[:-1], f"{own}/x", own + "\u0301")
        return bends[self._uses[thing] % len(bends)] if is_bent else own

    def _done(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, self._url + path, json=body, timeout=60)
        assert answer.status_code < 300, (path, answer.status_code, answer.text)
        return answer.json()

    # -- how each is made --------------------------------------------------------------

    def _execution(self) -> str:
        """Start one that waits, has ended, has failed or was cancelled: in turn."""
        kind = ("waiting", "ending", "failing", "waiting")[self._count % 4]
        wait = "0s" if kind == "waiting" else "10s"
        wish = {"workflow": kind, "wait": wait}
        told: str = self._done("POST", "/workflow/execute", wish)["execution_id"]
        if self._count % 4 == 3:
            self._done("POST", f"/executions/{told}/cancel", {})
        return told

    def _deployment(self) -> str:
        wish: dict[str, Any] = {"name": "kept", "triggers": []}
        for thing, number in (("old", 1), ("new", 2)):
            wish["workflow_definition"] = _DOCUMENT % number
            told = self._done("POST", "/workflow/deployments", wish)
            self._ids[thing] = told["version"]
        return str(told["deployment_id"])

    def _version(self, thing: str) -> str:
        self._said("deployment_id", is_bent=False)
        return self._ids.get(thing, "v1")

    def _talk(self) -> str:
        told = self._done("POST", "/session", {"action": "create"})
        session: str = told["session_id"]
        asked = {"session_id": session, "user_message": "Return the text hello."}
        url = f"{self._url}/chat/stream"
        assert self._session.get(url, params=asked, timeout=60).status_code == 200
        return session

    def _credential(self) -> str:
        wish = {"name": f"shop{self._count}", **_CREDENTIAL}
        return str(self._done("POST", "/credentials", wish)["name"])

    def _key(self) -> str:
        return str(self._done("POST", "/keys", {"name": "ci", "role": "viewer"})["id"])

    def _user(self) -> str:
        wish = {"name": f"ann{self._count}", "role": "viewer", "password": PASSWORD}
        return str(self._done("POST", "/users", wish)["name"])


_MAKERS: Final[Mapping[str, Callable[[Existing], str]]] = {
    "execution_id": Existing._execution,
    "deployment_id": Existing._deployment,
    "old": lambda own: own._version("old"),
    "new": lambda own: own._version("new"),
    "session_id": Existing._talk,
    "credential": Existing._credential,
    "key_id": Existing._key,
    "user": Existing._user,
    "workflow": lambda own: "ending",
    "webhook": lambda own: "shop/paid",
    "step": lambda own: "paid",
    "approval": lambda own: "asked",
}


def _named(case: Any, place: Any) -> list[str]:
    """Return the parameters that a case has there, and those of a query that it may."""
    names = [name for name in place if isinstance(name, str)]
    if place is case.query:
        allowed = (one.name for one in case.operation.query)
        names += [name for name in allowed if name not in names]
    return names


def _let_nobody_wait(operation: str, case: Any) -> None:
    """Take the wish to wait out of a case: whoever asks for it is answered late."""
    if operation == "get_execution":
        case.query.pop("wait", None)
    if operation == "execute_workflow" and isinstance(case.body, dict):
        case.body.pop("definition", None)

"""What the control plane answers: each operation's method, path and role, as data.

The routes, the OpenAPI document and the tests of who may what are made from this table.

Rule. Nothing here imports FastAPI: the gateway knows its routes before it needs their
      handlers, and `plait serve` does not wait for a library that nobody has asked for.
"""

from __future__ import annotations

from typing import Final

from plait.model.record import record

PREFIX: Final = "/api/v1"

EXECUTIONS: Final = "executions"
WORKFLOWS: Final = "workflows"
AGENT: Final = "agent"
ADMINISTRATION: Final = "administration"
TAGS: Final = {
    WORKFLOWS: "Run workflows, and deploy them.",
    EXECUTIONS: "Look at executions, follow them, change their course.",
    AGENT: "Draft workflows in conversation.",
    ADMINISTRATION: "Keep credentials, keys and users; see who changed what.",
}


@record
class Operation:
    """One operation.

    Attributes:
        name: Its id in the OpenAPI document, and its function in this room.
        path: Behind the prefix; parameters in braces.
        role: What the caller needs at least; a grant on the workflow will do where it is
            about one. The service that does it checks that.
        is_public: Whether those may ask too who have shown nothing of themselves. They are
            told less.
        is_stream: Whether it always answers with a stream of events.
        action: What it is called in the audit log; empty: it changes nothing.
        has_trial: Whether it knows `validate_only`: to be asked what it would do, and to
            do nothing. Such a request is not recorded; of any other operation each is.
    """

    name: str
    method: str
    path: str
    role: str
    tag: str
    is_public: bool = False
    is_stream: bool = False
    action: str = ""
    has_trial: bool = False

    @property
    def template(self) -> str:
        """The whole path."""
        return PREFIX + self.path


_ONE: Final = "/executions/{execution_id}"
_DEPLOYED: Final = "/workflow/deployments/{deployment_id}"
# Each a POST to an execution (plait.operations.verbs).
VERBS: Final = (
    "cancel",
    "rollback",
    "resume",
    "restart",
    "fork",
    "signals",
    "approve",
    "reject",
    "decide",
)


def verb_operation(verb: str) -> str:
    """Return the name of the operation that does `verb`.

    >>> verb_operation("signals"), verb_operation("cancel")
    ('signal_execution', 'cancel_execution')
    """
    return f"{verb.removesuffix('s')}_execution"


def _administer(name: str, method: str, path: str, action: str = "") -> Operation:
    return Operation(name, method, path, "admin", ADMINISTRATION, action=action)


_CREDENTIAL: Final = "/credentials/{name}"

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation("get_execution", "GET", _ONE, "viewer", EXECUTIONS, is_public=True),
    Operation("list_executions", "GET", "/executions", "viewer", EXECUTIONS),
    Operation(
        "follow_execution",
        "GET",
        f"{_ONE}/events",
        "viewer",
        EXECUTIONS,
        is_public=True,
        is_stream=True,
    ),
    Operation("get_timeline", "GET", f"{_ONE}/timeline", "viewer", EXECUTIONS),
    *(
        Operation(
            verb_operation(verb),
            "POST",
            f"{_ONE}/{verb}",
            "operator",
            EXECUTIONS,
            action=f"execution.{verb.removesuffix('s')}",
        )
        for verb in VERBS
    ),
    Operation("execute_workflow", "POST", "/workflow/execute", "operator", WORKFLOWS),
    Operation(
        "deploy_workflow",
        "POST",
        "/workflow/deployments",
        "editor",
        WORKFLOWS,
        action="deployment.deploy",
        has_trial=True,
    ),
    Operation("list_deployments", "GET", "/workflow/deployments", "viewer", WORKFLOWS),
    Operation("get_deployment", "GET", _DEPLOYED, "viewer", WORKFLOWS),
    Operation(
        "update_deployment",
        "PUT",
        _DEPLOYED,
        "editor",
        WORKFLOWS,
        action="deployment.update",
        has_trial=True,
    ),
    Operation(
        "undeploy_workflow",
        "DELETE",
        _DEPLOYED,
        "editor",
        WORKFLOWS,
        action="deployment.remove",
    ),
    Operation("list_versions", "GET", f"{_DEPLOYED}/versions", "viewer", WORKFLOWS),
    Operation("compare_versions", "GET", f"{_DEPLOYED}/diff", "viewer", WORKFLOWS),
    Operation(
        "activate_version",
        "POST",
        f"{_DEPLOYED}/activate",
        "editor",
        WORKFLOWS,
        action="deployment.activate",
    ),
    Operation(
        "roll_back_deployment",
        "POST",
        f"{_DEPLOYED}/rollback",
        "editor",
        WORKFLOWS,
        action="deployment.rollback",
    ),
    Operation("list_triggers", "GET", "/triggers", "viewer", WORKFLOWS),
    Operation("create_session", "POST", "/session", "editor", AGENT),
    Operation("chat", "GET", "/chat/stream", "editor", AGENT, is_stream=True),
    Operation(
        "generate_workflow", "GET", "/workflow_generation", "editor", AGENT, is_stream=True
    ),
    _administer("list_credentials", "GET", "/credentials"),
    _administer("add_credential", "POST", "/credentials", "credential.add"),
    _administer("get_credential", "GET", _CREDENTIAL),
    _administer("replace_credential", "PUT", _CREDENTIAL, "credential.replace"),
    _administer("remove_credential", "DELETE", _CREDENTIAL, "credential.remove"),
    _administer("list_keys", "GET", "/keys"),
    _administer("create_key", "POST", "/keys", "key.create"),
    _administer("revoke_key", "DELETE", "/keys/{key_id}", "key.revoke"),
    _administer("list_users", "GET", "/users"),
    _administer("add_user", "POST", "/users", "user.add"),
    _administer("set_password", "PUT", "/users/{user}/password", "user.password"),
    _administer("remove_user", "DELETE", "/users/{user}", "user.remove"),
    _administer("list_audit", "GET", "/audit"),
)

"""Deciders: in whose name a caller's decision counts.

| caller | decides as |
|---|---|
| user `ann` | `ann`, and the roles that she holds on the workflow |
| API key, other issuer's token | its name, `key:ID` or `jwt:ISSUER/SUB`, and its roles |
| admin, or who sits at the machine | the same, or whoever `by` and `roles` name |

Rule. Who asked is kept with the decision among its roles, whatever name it is made in.

Not here: the command line, which believes whoever uses it (plait.cli.messages).
"""

from __future__ import annotations

from typing import Final

from plait.model.caller import LOCAL, ROLES, Caller, Forbidden, is_allowed
from plait.model.errors import PlaitError
from plait.model.json import JsonObject

# Verbs whose bodies say who decides, and those that say what else they decide as.
DECISIONS: Final = frozenset({"approve", "reject", "decide"})
_WITH_ROLES: Final = frozenset({"approve", "reject"})
_USER: Final = "user:"


class InAnothersName(Forbidden):
    """Somebody decides in a name or a role that is not theirs."""

    def __init__(self, caller: Caller, said: str) -> None:
        PlaitError.__init__(
            self,
            f"{caller.subject} may not decide as '{said[:200]}': leave `by` and `roles` "
            "out, or let an admin do it",
        )
        self.needed = "admin"


def name_of(caller: Caller) -> str:
    """Return what a caller is called as an approver.

    >>> name_of(Caller("user:ann")), name_of(Caller("key:k3v7"))
    ('ann', 'key:k3v7')
    """
    # A user's name has no colon: nobody else is called like one.
    return caller.subject.removeprefix(_USER)


def decided_by(
    caller: Caller, workflow: str | None, verb: str, body: JsonObject
) -> JsonObject:
    """Return the body of a verb with `by` and `roles` as they count.

    Args:
        workflow: Whose execution it is; None: it is not known.

    Raises:
        InAnothersName: The caller may not decide as the body says.
    """
    if verb not in DECISIONS:
        return body
    own, names = name_of(caller), (name_of(caller), caller.subject)
    held = [role for role in ROLES if is_allowed(caller, role, workflow)]
    by, roles = body.get("by") or own, body.get("roles", [])
    if not isinstance(by, str) or not isinstance(roles, list):
        return body  # which the verb refuses
    if caller.subject == LOCAL.subject or is_allowed(caller, "admin", workflow):
        if by in names and not roles:
            roles = [*held]
    else:
        wrong = [by] if by not in names else []
        wrong += [str(role) for role in roles if role not in (*names, *held)]
        if wrong:
            raise InAnothersName(caller, wrong[0])
        by, roles = own, [*held]
    told: JsonObject = {**body, "by": by}
    if verb in _WITH_ROLES:
        told["roles"] = [*(one for one in roles if one != caller.subject), caller.subject]
    return told

"""Claims: what a token says, and whose it makes its bearer.

Rule. Only what the settings of an issuer name is read of its tokens. A tenant that they do
      not say, or that none can be, is no tenant: the token is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from plait.model.caller import DEFAULT_TENANT, ROLES, Caller, is_tenant
from plait.model.record import record
from plait.ports.identity import Unauthenticated

# One of our own has its user's grants in it: 16 kB at most, with base64 22 kB.
TOKEN_LENGTH_MAX: Final = 24 * 1024
_SUBJECT_LENGTH_MAX: Final = 200
_GRANTS_MAX: Final = 1_000
# The last second of the year 9999. What is beyond is no moment to reckon with: 1e308 s are
# more milliseconds than a float has room for.
_MOMENT_S_MAX: Final = 253_402_300_799


@record
class Verified:
    """A token that counts: whose it is, and when it ends, seconds since the Unix epoch."""

    caller: Caller
    ends_s: float


@record
class ClaimRules:
    """Which claims of an issuer's tokens count, and as what.

    Attributes:
        subject_prefix: Before `sub`, so that no issuer can name another's people.
        tenant_claim: Says the tenant, and must; None: it is `tenant`.
        role_claim: Says the role, or several words, of which the strongest role counts.
        roles: What the words mean; empty: they are role names.
        role: Of tokens without a word that means something.
        grants_claim: Says roles on single workflows, as an object.
    """

    subject_prefix: str = ""
    tenant_claim: str | None = None
    tenant: str = DEFAULT_TENANT
    role_claim: str | None = "role"
    roles: Mapping[str, str] = field(default_factory=dict)
    role: str | None = None
    grants_claim: str | None = None

    def caller(self, claims: Mapping[str, Any]) -> Caller:
        """Return whose token it is.

        Raises:
            Unauthenticated: It says no `sub`, or no tenant where it must.
        """
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_LENGTH_MAX:
            raise refused()
        tenant: object = self.tenant
        if self.tenant_claim is not None:
            tenant = claims.get(self.tenant_claim)
        if not isinstance(tenant, str) or not is_tenant(tenant):
            raise refused()
        name = self.subject_prefix + subject
        return Caller(name, tenant, self._role(claims), self._grants(claims))

    def _role(self, claims: Mapping[str, Any]) -> str | None:
        said = claims.get(self.role_claim) if self.role_claim is not None else None
        words = said if isinstance(said, list) else [said]
        found = [self._meant(word) for word in words]
        known = [role for role in found if role is not None]
        return max(known, key=ROLES.index) if known else self.role

    def _meant(self, word: object) -> str | None:
        if not isinstance(word, str):
            return None
        meant = self.roles.get(word) if self.roles else word
        return meant if meant in ROLES else None

    def _grants(self, claims: Mapping[str, Any]) -> dict[str, str]:
        said = claims.get(self.grants_claim) if self.grants_claim is not None else None
        if not isinstance(said, dict) or len(said) > _GRANTS_MAX:
            return {}
        return {name: role for name, role in said.items() if role in ROLES}


def check_claims(
    claims: Mapping[str, Any], *, issuer: str, audience: str, leeway_s: float, now_s: float
) -> float:
    """Return when a token ends, seconds since the Unix epoch.

    Raises:
        Unauthenticated: It is another issuer's, for somebody else, over, or not yet valid.
    """
    said = claims.get("aud")
    audiences = said if isinstance(said, list) else [said]
    if claims.get("iss") != issuer or audience not in audiences:
        raise refused()
    ends_s = _moment_s(claims.get("exp"))
    begins_s = [
        _moment_s(claims[name]) for name in ("nbf", "iat") if claims.get(name) is not None
    ]
    if now_s >= ends_s + leeway_s or any(now_s < one - leeway_s for one in begins_s):
        raise refused()
    return ends_s


def refused() -> Unauthenticated:
    """Return what is told of every token that does not count; why is for nobody."""
    return Unauthenticated("this token does not count here", is_invalid=True)


def _moment_s(said: object) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float):
        raise refused()
    if not -_MOMENT_S_MAX <= said <= _MOMENT_S_MAX:  # nor is NaN
        raise refused()
    return float(said)

"""Secrets of row 14 that are shown to those who listen, and such as are sent in vain: what
else these are told, and how the others are refused, is searched like everything.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from tests.proof.house import API, House, Kind

_ALERT: Final = """
alert: sayings_fail
description: Sayings fail.
when: ${failed >= 1}
window: 1h
notify:
  - webhook: {url: "http://bait/ok/pager", authorization: pager}
  - webhook: {url: "http://bait/fail/pager", authorization: pager}
"""
_REFUSING: Final = "/fail/collect/metrics"


class Collector(Kind):
    """What collectors are shown: one takes traces, and one repeats and refuses metrics."""

    async def prepare(self, house: House) -> None:
        """Name both."""
        for name, path in (("traces", "/collect/traces"), ("metrics", _REFUSING)):
            core = house.canary(f"collector of {name}")
            own = f"PLAIT_TELEMETRY_{name.upper()}"
            house.settings |= {
                f"{own}_ENDPOINT": house.bait.url(path),
                f"{own}_AUTHORIZATION": f"{name}_token",
                f"PLAIT_SECRET_{name.upper()}_TOKEN": f"Bearer {core}",
            }
        house.settings["PLAIT_TELEMETRY_METRICS_EVERY"] = "1s"


class Pager(Kind):
    """What is shown to who hears of an alert, and to who repeats and refuses it."""

    async def prepare(self, house: House) -> None:
        """Watch what fails."""
        (house.folder / "documents" / "alert.yaml").write_text(_ALERT)
        house.settings["PLAIT_SECRET_PAGER"] = f"Bearer {house.canary('pager')}"
        house.settings["PLAIT_TELEMETRY_ALERTS_EVERY"] = "500ms"


class Project(Kind):
    """The address of a project that is told of errors, with a key in it."""

    async def prepare(self, house: House) -> None:
        """Name it."""
        key, place = house.canary("project's address"), house.bait.address
        house.settings |= {
            "PLAIT_SECRET_PROJECT": f"http://{key}@{place}/1",
            "PLAIT_TELEMETRY_SENTRY": "project",
        }


class Refused(Kind):
    """Secrets in requests that are refused, for whatever is wrong with them."""

    async def use(self, house: House) -> None:
        """Send each."""
        for number, (method, path, make, headers) in enumerate(_REQUESTS):
            core = house.canary(f"refused {number}")
            told = {name: _with(text, core) for name, text in headers.items()}
            body = _with(make, core)
            answer = await house.ask(_with(path, core), method, body=body, **told)
            if answer.status >= 400:
                house.used(f"refused {number}")


def _with(value: Any, core: str) -> Any:
    """Return what is sent, with the secret at its places."""
    if isinstance(value, dict):
        return {name: _with(one, core) for name, one in value.items()}
    if isinstance(value, list):
        return [_with(one, core) for one in value]
    if isinstance(value, bytes):
        return value.replace(b"SECRET", core.encode())
    return value.replace("SECRET", core) if isinstance(value, str) else value


def _credential(**more: Any) -> dict[str, Any]:
    told = {"name": "x", "type": "bearer", "hosts": ["a.example"]}
    return {**told, "fields": {"token": "SECRET"}, **more}


_CREDENTIALS: Final = f"{API}/credentials"
_USERS: Final = f"{API}/users"
_TOKEN: Final = f"{API}/auth/token"
_EXECUTIONS: Final = f"{API}/executions"
_FORMED: Final = {"Content_Type": "application/x-www-form-urlencoded"}
_JSON: Final = {"Content_Type": "application/json"}
_USER: Final = {"name": "eve", "role": "viewer", "password": "SECRET"}
_REQUESTS: Final[tuple[tuple[str, str, Any, dict[str, str]], ...]] = (
    ("POST", _CREDENTIALS, _credential(odd=1), {}),
    ("POST", _CREDENTIALS, _credential(type="nope"), {}),
    ("POST", _CREDENTIALS, _credential(fields={"tokne": "SECRET"}), {}),
    ("POST", _CREDENTIALS, _credential(fields={"token": ["SECRET"]}), {}),
    ("POST", _CREDENTIALS, _credential(fields={"token": "SECRET\n"}), {}),
    ("POST", _CREDENTIALS, _credential(fields="SECRET"), {}),
    ("POST", _CREDENTIALS, _credential(hosts=["http://ann:SECRET@a.example"]), {}),
    ("POST", _CREDENTIALS, b'{"fields": {"token": "SECRET"', _JSON),
    ("PUT", f"{_CREDENTIALS}/none", {"type": "bearer", "fields": {"token": "SECRET"}}, {}),
    ("POST", _USERS, {**_USER, "role": "king"}, {}),
    ("POST", _USERS, {**_USER, "name": "a b"}, {}),
    ("POST", _USERS, {**_USER, "password": ["SECRET"]}, {}),
    ("POST", _USERS, {**_USER, "password": "SECRET" * 100}, {}),
    ("POST", _USERS, {**_USER, "passwort": "SECRET"}, {}),
    ("PUT", f"{_USERS}/none/password", {"password": "SECRET"}, {}),
    ("PUT", f"{_USERS}/ann/password", {"password": {"is": "SECRET"}}, {}),
    ("POST", _TOKEN, b'{"grant_type": "password", "password": "SECRET"', _JSON),
    ("POST", _TOKEN, b"grant_type=password&password=SECRET&password=SECRET", _FORMED),
    ("POST", _TOKEN, b"grant_type=SECRET&client_secret=SECRET", _FORMED),
    ("POST", f"{_TOKEN}?{urlencode({'client_secret': 'SECRET'})}", b"a=1", _FORMED),
    ("GET", _EXECUTIONS, None, {"Authorization": "Bearer SECRET"}),
    ("GET", _EXECUTIONS, None, {"Authorization": "Basic SECRET"}),
    ("GET", _EXECUTIONS, None, {"Authorization": "SECRET"}),
    ("GET", _EXECUTIONS, None, {"X_API_Key": "plait_aaaaaaaaaaaa_SECRET"}),
    ("GET", _EXECUTIONS, None, {"X_API_Key": "SECRET"}),
    ("GET", "/nowhere?access_token=SECRET", None, {}),
    ("POST", "/webhooks/nowhere?token=SECRET", b"SECRET", {}),
    ("POST", "/webhooks/h/0", b"{}", {"webhook_signature": "v1,SECRET"}),
    ("DELETE", f"{API}/keys/plait_aaaaaaaaaaaa_SECRET", None, {}),
    ("POST", f"{API}/workflow/execute", {"workflow": "x", "secret": "SECRET"}, {}),
)

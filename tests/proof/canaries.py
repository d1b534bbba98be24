"""Row 14: secrets go through the gateway in every way there is; then they are looked for.

Each is a canary: it has a part that nobody could guess. It counts only if it was used:
the other side saw it, or the gateway took it. Then all that was written or said is searched
for it: the store's files and what they hold, the log, every answer and stream, what the
command line shows and exports, backups and archives, and what collectors, a pager and a
project of errors are told.

A further kind of secret is one more class in `KINDS`: it puts its canaries into the house
with `canary` before the gateway starts, uses them, and says so with `used`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import tempfile
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, ClassVar, Final
from unittest import SkipTest
from urllib.parse import quote, urlencode

import jwt

from plait.assembly.stores import open_records
from plait.assembly.tokens import users
from plait.model.caller import LOCAL
from plait.model.json import JsonObject
from plait.security.keys import ApiKeys
from plait.security.vault import KeyRing, StoredVault
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.cli import plait
from tests.acceptance.gateways import ROOT, serving
from tests.acceptance.test_webhooks import signed
from tests.proof.deaths import read_histories
from tests.proof.house import API, LISTENERS, House, Kind, told_of
from tests.proof.listeners import Collector, Pager, Project, Refused
from tests.proof.scorecard import Outcome, Scale
from tests.proof.searching import forms_of
from tests.proof.shelves import ROWS, SHELVES
from tests.unit.gateway.wires import Answer

CANARIES_MIN: Final = 50
PLANTED: Final = Path(__file__).parent / "planted_unmasked"
_ENVIRONMENT: Final = 24
_FILES: Final = 4
# Where a call takes a secret, as the request of a step.
_PLACES: Final[tuple[dict[str, Any], ...]] = (
    {"headers": {"Authorization": "Bearer SECRET"}},
    {"headers": {"X-Token": "SECRET"}},
    {"headers": {"Cookie": "session=SECRET; path=/"}},
    {"params": {"key": "SECRET"}},
    {"body": {"deep": [{"token": "SECRET"}]}},
    {"form": {"client_secret": "SECRET"}},
    {"text": "the token is SECRET."},
    {"url": "http://bait/FATE/SECRET/x"},
)
_FATES: Final = ("ok", "fail", "text", "drop", "coded")
# Put around the part that nobody could guess: what URLs, JSON and HTML write otherwise.
_DRESSES: Final = ("{}", "cn-{}", '"{}"&<x>', "ä {}/+=%", "{}\\n'")


def run(scale: Scale) -> Outcome:
    """Use all canaries, and look for them; then again with masks that mask nothing.

    The full form does so on every store.
    """
    outcome = _on("SQLite")
    for store in SHELVES if scale.share >= 1 else ():
        if store == "SQLite":
            continue
        try:
            other = _on(store)
        except SkipTest as skipped:
            outcome.figures[store] = f"skipped: {skipped}"
            continue
        outcome.figures |= {f"{store}: {name}": n for name, n in other.figures.items()}
        outcome.broken += [f"{store}: {one}" for one in other.broken]
    return outcome


def _on(store: str) -> Outcome:
    outcome, found = asyncio.run(_run(KINDS, None, store))
    outcome.broken += found
    if outcome.figures["canaries"] < CANARIES_MIN:
        outcome.broken.append(f"fewer than {CANARIES_MIN} canaries")
    planted, found = asyncio.run(_run((_Keys, _OfRequests), PLANTED, store))
    outcome.figures["planted: secrets are not masked"] = f"{len(found)} hits"
    if not found or planted.broken:
        outcome.broken += ["a gateway that masks nothing is not caught", *planted.broken]
    if store != "SQLite" and not any(f" stands in {ROWS} " in one for one in found):
        outcome.broken.append("what a gateway that masks nothing writes is not found")
    return outcome


async def _run(
    kinds: Sequence[type[Kind]], planted: Path | None, store: str
) -> tuple[Outcome, list[str]]:
    outcome = Outcome()
    bait = _Bait()
    password = "c4n4ry" + secrets.token_hex(10)
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        async with (
            Upstream(bait.answer) as upstream,
            SHELVES[store](Path(name), password) as shelf,
        ):
            house = bait.house = House(Path(name), upstream, shelf)
            if not shelf.is_file:
                house.canary("store's password", password)
            if planted is not None:
                house.settings["PYTHONPATH"] = f"{planted}:{ROOT / 'src'}"
            await _live(house, [kind() for kind in kinds])
            await _look(house, with_commands=planted is None)
            hits = [*house.heard.hits(house.canaries)]
    outcome.figures |= {
        "canaries": len(house.canaries),
        "requests that reached the other side": len(upstream.requests),
        "places searched": len(house.heard.pieces),
        "bytes searched": house.heard.size(),
        "hits": len(hits),
    }
    outcome.broken += [f"nobody has used {name}" for name in sorted(house.unused)]
    outcome.broken += house.heard.failed
    outcome.figures |= {f"heard by {one}": n for one, n in sorted(house.listened.items())}
    if planted is None:
        deaf = [one for one in LISTENERS if not house.listened[one]]
        outcome.broken += [f"nothing was told to {one}" for one in deaf]
    return outcome, hits


async def _live(house: House, kinds: Sequence[Kind]) -> None:
    """Put all canaries into the house, start the gateway, and use them."""
    for folder in ("documents", "secrets"):
        (house.folder / folder).mkdir()
    for kind in kinds:
        await kind.prepare(house)
    house.settings |= {
        "PLAIT_STORE_URL": house.place,
        "PLAIT_SECURITY_REQUIRED": "true",
        "PLAIT_TELEMETRY_LOG_LEVEL": "debug",
        "PLAIT_TELEMETRY_ACCESS_LOG": "true",
    }
    async with serving(
        house.folder / "documents",
        upstreams={"bait": house.bait},
        arguments=[f"--config={house.folder / 'plait.toml'}"],
        settings=house.settings,
    ) as house.gateway:
        for kind in kinds:
            await kind.use(house)
        await _look_around(house)
        house.gateway.stop()
        await house.gateway.ended()
    house.heard.note("the log", "\n".join(house.gateway.lines))


async def _look_around(house: House) -> None:
    """Ask for everything that the gateway tells."""
    listed = await house.ask(f"{API}/executions?page_size=100")
    for one in listed.json["executions"]:
        path = f"{API}/executions/{one['id']}"
        await house.ask(path)
        await house.ask(f"{path}/timeline")
        await house.stream(f"{path}/events")
    told = ("/openapi.json", "/docs", "/metrics", "/health/ready", f"{API}/triggers")
    kept = ("workflow/deployments", "audit?limit=500", "credentials", "keys", "users")
    for path in (*told, *(f"{API}/{one}" for one in kept)):
        await house.ask(path)


async def _look(house: House, *, with_commands: bool) -> None:
    """Take in what is in the store, and what the command line shows of it."""
    histories = await read_histories(house.place)
    if histories:
        house.used("store's password")
    for name, history in histories.items():
        house.heard.note(f"the history {name}", repr(history))
    await house.shelf.note_rows(house.heard)
    house.shelf.note_files(house.heard)
    if with_commands:
        await _command(house, [*histories][:2])


async def _command(house: House, names: Sequence[str]) -> None:
    """Take in what the command line shows of the store, and of some executions."""
    store = f"--store={house.place}"
    for name in names:
        for command in ("show", "export"):
            shown = await plait("executions", command, name, store)
            house.heard.note(f"executions {command}", shown.out + shown.err)
    told = ("executions list", "keys list", "users list", "credentials list")
    config = f"--config={house.folder / 'plait.toml'}"
    for words in (*(f"{one} --json {store}" for one in told), f"audit export {store}"):
        await _note(house, *words.split())
    await _note(house, "config", "show", config, env=house.settings)
    copy, archive = house.folder / "copy.db", house.folder / "old.jsonl"
    if house.shelf.is_file:
        await _note(house, "journal", "backup", str(copy), store)
        house.heard.note("the backup", copy.read_bytes())
    else:
        refused = await plait("journal", "backup", str(copy), store)
        house.heard.note("a backup of the server's own", refused.out + refused.err)
    old = ("--older-than=0s", f"--archive={archive}")
    await _note(house, "journal", "compact", *old, store)
    archived = archive.read_bytes()
    house.heard.note("the archive", archived)
    if not archived:
        house.heard.failed.append("nothing was archived")
    house.shelf.note_files(house.heard)


async def _note(house: House, *words: str, env: dict[str, str] | None = None) -> None:
    """Take in what a command says."""
    shown = await plait(*words, env=env)
    house.heard.note(" ".join(words[:2]), shown.out + shown.err)
    if shown.code:
        house.heard.failed.append(f"{' '.join(words[:2])}: {shown.err[-300:]}")


class _Bait:
    """The other side: it tells everything that it is told, in some way or other."""

    house: House

    async def answer(self, peer: Peer, request: Request) -> None:
        """Note which canaries came, and answer as the request's path says."""
        said = request.head + request.body
        for name, core in self.house.canaries.items():
            if any(form in said for form in forms_of(core)):
                self.house.used(name)
        self.house.listen(request)
        text = said.decode("utf-8", "replace")
        fate = request.target.split("/")[1].partition("?")[0]
        if fate == "token":
            core = self.house.canary(f"fetched token {len(self.house.canaries)}")
            token: JsonObject = {"access_token": core, "token_type": "Bearer"}
            await reply(200, json=token)(peer, request)
        elif fate == "drop":
            peer.reset()
        elif fate == "text":
            await reply(400, text.encode(), headers={"Content-Type": "text/plain"})(
                peer, request
            )
        elif fate == "coded":
            told: JsonObject = {
                "base64": base64.b64encode(said).decode(),
                "hex": said.hex(),
                "url": quote(text),
                "html": escape(text),
            }
            await reply(409, json=told)(peer, request)
        else:
            status = {"ok": 200, "fail": 500, "v1": 401}.get(fate, 200)
            told = {"seen": text, **request.headers}
            await reply(status, json=told)(peer, request)


# -- kinds of secrets ------------------------------------------------------------------


class _OfRequests(Kind):
    """Secrets of the environment and of files, in requests of steps."""

    async def prepare(self, house: House) -> None:
        """Give each a workflow that sends it."""
        lines = []
        for number in range(_ENVIRONMENT + _FILES):
            name = f"own_{number}"
            value = _DRESSES[number // len(_PLACES)].format(house.canary(name))
            if number < _ENVIRONMENT:
                house.settings[f"PLAIT_SECRET_{name.upper()}"] = value
            else:
                (house.folder / "secrets" / name).write_text(value)
                lines.append(f'[secrets.{name}]\nfile = "secrets/{name}"\n')
            file = house.folder / "documents" / f"{name}.json"
            file.write_text(json.dumps(_sender(number, name)))
        (house.folder / "plait.toml").write_text("".join(lines))

    async def use(self, house: House) -> None:
        """Have each sent, and what came back told."""
        for number in range(_ENVIRONMENT + _FILES):
            await house.ask(f"/say/{number}", "POST", body={})


def _sender(number: int, secret: str) -> dict[str, Any]:
    fate = _FATES[number % len(_FATES)]
    request = {"method": "POST", "url": f"http://bait/{fate}"}
    for name, value in _PLACES[number % len(_PLACES)].items():
        text = json.dumps(value).replace("SECRET", f"${{secrets.{secret}}}")
        request[name] = json.loads(text.replace("FATE", fate))
    step: dict[str, Any] = {"id": "a", "type": "http", "request": request}
    output = "${a.response}"
    if fate != "ok" and number % 2:
        step["on_error"] = "continue"
        output = "${a.error}"
    return {
        "name": f"say_{number}",
        "mode": "durable" if number % 3 else "express",
        "endpoint": {"method": "POST", "path": f"/say/{number}"},
        "steps": [step],
        "output": output,
    }


class _Keys(Kind):
    """API keys: good, revoked and expired ones."""

    async def prepare(self, house: House) -> None:
        """Make them."""
        records = await open_records(house.place)
        keys = ApiKeys(records, _now_ms)
        for name, expires in (("admin", 0), ("viewer", 0), ("revoked", 0), ("expired", 1)):
            made, key = await keys.create(
                name,
                tenant="default",
                role="viewer" if name == "viewer" else "admin",
                grants={},
                expires_at_ms=_now_ms() + 2 if expires else None,
            )
            house.values[f"key {name}"] = made
            house.canary(f"key {name}", made.rpartition("_")[2])
            if name == "revoked":
                await keys.revoke(key.id)
        await records.close()

    async def use(self, house: House) -> None:
        """Show them, in both headers."""
        for name in ("admin", "viewer", "revoked", "expired"):
            value = house.values[f"key {name}"]
            answers = [
                await house.ask(f"{API}/executions", X_API_Key=value),
                await house.ask(f"{API}/nowhere", Authorization=f"Bearer {value}"),
            ]
            is_good = name in ("admin", "viewer")
            if (answers[0].status == 200) is is_good:
                house.used(f"key {name}")


class _Users(Kind):
    """Passwords, right and wrong, and the tokens that users are given."""

    async def prepare(self, house: House) -> None:
        """Make two users."""
        records = await open_records(house.place)
        for name in ("ann", "bob"):
            password = house.canary(f"password {name}")
            more: Any = {"tenant": "default", "role": "operator", "grants": {}}
            await users(records).add(name, password, **more)
        await records.close()

    async def use(self, house: House) -> None:
        """Ask for tokens, show them, and renew them once too often."""
        for name in ("ann", "bob"):
            password = house.canaries[f"password {name}"]
            wrong = house.canary(f"wrong password {name}")
            refused = await self._token(house, name, wrong)
            if refused.status == 400:
                house.used(f"wrong password {name}")
            house.heard.note("a refused password", told_of(refused))
            # The answer to the right one holds the tokens: it is their purpose.
            given = (await self._token(house, name, password)).json
            house.used(f"password {name}")
            house.canary(f"token {name}", given["access_token"].rpartition(".")[2])
            secret = given["refresh_token"].split("_", 2)[2]  # which may have one, too
            house.canary(f"refresh token {name}", secret)
            bearer = f"Bearer {given['access_token']}"
            shown = await house.ask(f"{API}/executions", Authorization=bearer)
            if shown.status == 200:
                house.used(f"token {name}")
            await self._refresh(house, given["refresh_token"])
            stolen = await self._refresh(house, given["refresh_token"])
            if stolen.status == 400:
                house.used(f"refresh token {name}")
            house.heard.note("a stolen refresh token", told_of(stolen))

    async def _token(self, house: House, name: str, password: str) -> Answer:
        form = {"grant_type": "password", "username": name, "password": password}
        return await self._post(house, form)

    async def _refresh(self, house: House, token: str) -> Answer:
        return await self._post(
            house, {"grant_type": "refresh_token", "refresh_token": token}
        )

    async def _post(self, house: House, form: dict[str, str]) -> Answer:
        return await house.gateway.ask(
            f"{API}/auth/token",
            "POST",
            body=urlencode(form).encode(),
            Content_Type="application/x-www-form-urlencoded",
        )


class _Issuer(Kind):
    """The secret that an issuer's tokens are signed with, and a token."""

    async def prepare(self, house: House) -> None:
        """Share it."""
        core = house.canary("issuer's secret")
        house.settings["PLAIT_SECRET_PARTNER"] = core * 2
        key = {"algorithm": "HS256", "secret": "partner"}
        issuer = {"issuer": "i", "audience": "a", "keys": {"k": key}, "role": "viewer"}
        house.settings["PLAIT_SECURITY_ISSUERS"] = json.dumps({"partner": issuer})

    async def use(self, house: House) -> None:
        """Show a token."""
        claims = {"iss": "i", "aud": "a", "sub": "s", "exp": int(time.time()) + 60}
        secret = house.canaries["issuer's secret"] * 2
        token = jwt.encode(claims, secret, "HS256", {"kid": "k"})
        house.canary("issuer's token", token.rpartition(".")[2])
        for one in (token, token + "x"):
            bearer = f"Bearer {one}"
            answer = await house.ask(f"{API}/executions", Authorization=bearer)
            if answer.status == 200:
                house.used("issuer's secret")
                house.used("issuer's token")


class _Vault(Kind):
    """Credentials of the vault, and the key that they are encrypted with."""

    _FIELDS: ClassVar[dict[str, tuple[str, dict[str, str]]]] = {
        "bearer": ("token", {}),
        "basic": ("password", {"username": "ann"}),
        "api_key": ("value", {"name": "X-Key", "in": "header"}),
        "oauth2": ("client_secret", {"token_url": "http://bait/token", "client_id": "c"}),
    }

    async def prepare(self, house: House) -> None:
        """Keep one of each type, with a workflow that shows it."""
        core = house.canary("vault's key", "c4n4ry" + secrets.token_hex(13))
        text = base64.b64encode(core.encode()).decode()
        house.settings["PLAIT_VAULT_KEY"] = text
        records = await open_records(house.place)
        vault = StoredVault(records, KeyRing({"key": core.encode()}), _now_ms)
        for kind, (secret, others) in self._FIELDS.items():
            fields = {**others, secret: house.canary(f"credential {kind}")}
            told = {"name": kind, "type": kind, "hosts": ["http://bait"], "fields": fields}
            await vault.add(LOCAL, told)
            request = {"method": "POST", "url": "http://bait/coded"}
            step = {"id": "a", "type": "http", "credential": kind, "request": request}
            document = {
                "name": f"shows_{kind}",
                "endpoint": {"method": "POST", "path": f"/shows/{kind}", "wait": "9s"},
                "steps": [step],
            }
            file = house.folder / "documents" / f"shows_{kind}.json"
            file.write_text(json.dumps(document))
        await records.close()

    async def use(self, house: House) -> None:
        """Have each shown to the other side, which repeats it."""
        for kind in self._FIELDS:
            await house.ask(f"/shows/{kind}", "POST", body={})
        shown = [f"credential {kind}" for kind in self._FIELDS]
        if not house.unused.intersection(shown):
            house.used("vault's key")


class _Webhooks(Kind):
    """Secrets that sign webhooks."""

    async def prepare(self, house: House) -> None:
        """Give each a workflow."""
        for number in range(3):
            core = house.canary(f"webhook {number}")
            made = "whsec_" + base64.b64encode(core.encode()).decode()
            house.settings[f"PLAIT_SECRET_HOOK_{number}"] = made
            trigger = {
                "type": "webhook",
                "path": f"/h/{number}",
                "secret": f"hook_{number}",
            }
            document = {
                "name": f"hook_{number}",
                "triggers": [trigger],
                "steps": [{"id": "a", "type": "set", "value": "${trigger}"}],
            }
            file = house.folder / "documents" / f"hook_{number}.json"
            file.write_text(json.dumps(document))

    async def use(self, house: House) -> None:
        """Deliver, rightly and wrongly signed."""
        for number in range(3):
            for key in (house.canaries[f"webhook {number}"], "x" * 26):
                told = signed(b"{}", key=key.encode())
                path = f"/webhooks/h/{number}"
                answer = await house.ask(path, "POST", body=b"{}", **told)
                if answer.status == 202:
                    house.used(f"webhook {number}")


class _Model(Kind):
    """The key of a language model, which refuses it and repeats it."""

    async def prepare(self, house: House) -> None:
        """Set it."""
        house.settings |= {
            "PLAIT_AGENT_ENDPOINT": "http://bait/v1",
            "PLAIT_AGENT_MODEL": "m",
            "PLAIT_AGENT_KEY": "model",
            "PLAIT_SECRET_MODEL": house.canary("model's key"),
        }

    async def use(self, house: House) -> None:
        """Talk to it."""
        wish = {"action": "create"}
        session = (await house.ask(f"{API}/session", "POST", body=wish)).json
        query = {"session_id": session["session_id"], "user_message": "Get the order."}
        await house.stream(f"{API}/chat/stream?{urlencode(query)}")
        query.pop("user_message")
        await house.stream(f"{API}/workflow_generation?{urlencode(query)}")


class _Clients(Kind):
    """What clients send beside, which is nobody's business."""

    async def use(self, house: House) -> None:
        """Send headers that let their bearer in elsewhere."""
        for number, name in enumerate(("Cookie", "Proxy_Authorization", "X_Auth_Token")):
            core = house.canary(f"client's {name}")
            told = {name: f"x={core}"}
            answer = await house.ask(f"/say/{number}", "POST", body={}, **told)
            if answer.status != 404:
                house.used(f"client's {name}")
            await house.ask(f"{API}/executions/none/cancel", "POST", body=b"{", **told)


class _Addresses(Kind):
    """Passwords in addresses of stores that do not answer."""

    async def use(self, house: House) -> None:
        """Ask there."""
        for kind in ("postgresql", "redis"):
            name = f"password of {kind}"
            url = f"{kind}://ann:{house.canary(name)}@127.0.0.1:1/0"
            shown = await plait("executions", "list", f"--store={url}")
            house.heard.note(f"executions list --store={kind}", shown.out + shown.err)
            if shown.code:
                house.used(name)


def _now_ms() -> int:
    return int(time.time() * 1000)


KINDS: Final[tuple[type[Kind], ...]] = (
    _OfRequests,
    _Keys,
    _Users,
    _Issuer,
    _Vault,
    _Webhooks,
    _Model,
    _Clients,
    _Addresses,
    Collector,
    Pager,
    Project,
    Refused,
)

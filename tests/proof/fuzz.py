"""The second half of row 12: five minutes of what no schema would make.

Documents that bomb, nest, repeat and lie; bodies that are no JSON; requests that are no
HTTP; webhooks; descriptions for the agent. Everything is drawn from a seed, and each kind
goes to where somebody would send it. A canary is among the secrets, and no answer has it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import urlencode

from plait.operations.deploying import StoredDeployments
from tests.acceptance.gateways import request_bytes
from tests.acceptance.test_webhooks import KEY, SECRET, signed
from tests.proof.inside import platform
from tests.proof.scorecard import Outcome, Scale
from tests.unit.gateway.wires import client_of

SECONDS: Final = 300.0
REPLY_S_MAX: Final = 2.0
_LEAST: Final = 12
_CANARY: Final = "c4n4ry-of-the-fuzzer"
_NEVER_SHOWN: Final = (b"Traceback", b'File "', b"plait/gateway", _CANARY.encode())
_SHOWN_MAX: Final = 20
_WORKFLOW: Final = """\
name: fuzzed
mode: express
endpoint: {method: POST, path: "/fuzzed/{id}"}
input:
  type: object
  properties: {id: {type: string}, n: {type: integer}, list: {type: array}}
steps:
  - {id: a, type: set, value: "${input}"}
  - {id: b, type: foreach, items: "${[1, 2, 3]}", steps: [
     {id: c, type: set, value: "${item + 1}"}]}
output: "${a.response}"
"""
_HOOKED: Final = """\
name: hooked
triggers: [{type: webhook, path: /shop/paid, secret: shop}]
steps: [{id: a, type: set, value: "${input}"}]
"""
_EXPRESSIONS: Final = (
    "${" + "(" * 300 + "1" + ")" * 300 + "}",
    "${" + "1+" * 3_000 + "1}",
    "${[1,2,3].map(x, [1,2,3].map(y, [1,2,3].map(z, x*y*z)))}",
    "${'a'.matches('" + "(a+)+" * 20 + "$')}",
    "${secrets.canary}",
    "${__import__('os')}",
    "${''.__class__.__mro__}",
    "${9223372036854775807 + 1}",
    "${1/0}",
    "${input.a.b.c.d.e[99999999999]}",
    "${" + "!" * 500 + "true}",
    "${'\\ud800'}",
    "$" + "{" * 500,
    "${" + '"a"+' * 2_000 + '"b"}',
)
_BODIES: Final = (
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"n": NaN}',
    b'{"n": -Infinity}',
    b'{"n": 1e999999}',
    b'{"n": ' + b"9" * 5_000 + b"}",
    b'{"id": "\\ud800"}',
    b'{"id": "a", "id": "b"}',
    b"\xff\xfe\x00",
    b"",
    b"null",
    b'"' + b"x" * 900_000 + b'"',
    b"\x1f\x8b\x08\x00" + b"\x00" * 100,
)
_BOMBS: Final = (
    "a: &a [x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b]\n",
    "a: " + "[" * 3_000,
    "a: " + "{b: " * 2_000,
    "? " * 3_000,
    "- " * 5_000 + "x",
    "!!python/object/apply:os.system ['true']",
    "name: a\nname: b\nsteps: []\n",
    "name: .nan\nsteps: [.inf, -.inf, 0x7fffffffffffffff, 1_0, 0o7]\n",
    "%YAML 9.9\n---\n" * 50,
    "name: x\nsteps:\n" + "  - {id: s, type: set, value: 1}\n" * 3_000,
    "\x00\x01\x02",
    "<<: {a: 1}\n" * 200,
    'name: "' + "\\u00e9" * 5_000 + '"',
)


class _Fuzz:
    """What is sent, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self._dice = Random(seed)

    def mutated(self, data: bytes) -> bytes:
        """Return `data` with some pieces cut, doubled, turned or replaced."""
        made = bytearray(data)
        for _ in range(self._dice.randrange(1, 6)):
            at = self._dice.randrange(len(made) + 1)
            size = self._dice.randrange(1, 20)
            piece = bytes(made[at : at + size])
            made[at : at + self._dice.choice((0, size))] = self._dice.choice(
                (b"", piece * 3, self._dice.randbytes(3), b"${", b"\n  ", b'"', b"{}[]")
            )
        return bytes(made)

    def document(self) -> str:
        """Return a document that means ill."""
        kind = self._dice.randrange(4)
        if kind == 0:
            return self._dice.choice(_BOMBS)
        if kind == 1:
            step = {"id": "a", "type": "set", "value": self._dice.choice(_EXPRESSIONS)}
            return json.dumps({"name": "w", "mode": "express", "steps": [step]})
        return self.mutated(_WORKFLOW.encode()).decode("utf-8", "replace")

    def validate(self) -> bytes:
        """Return a request to validate one."""
        body = {"name": "fuzzed", "workflow_definition": self.document(), "triggers": []}
        path = "/api/v1/workflow/deployments?validate_only=true"
        return request_bytes(path, "POST", body=body)

    def execute(self) -> bytes:
        """Return a request to run one."""
        value = self._dice.choice(_EXPRESSIONS)
        step: dict[str, Any] = {"id": "a", "type": "set", "value": value}
        definition = {"name": "w", "mode": "express", "steps": [step]}
        if self._dice.random() < 0.3:
            definition = {"name": "w", "steps": self._deep(self._dice.randrange(300))}
        body = {"definition": definition, "input": {"a": value}}
        return request_bytes("/api/v1/workflow/execute", "POST", body=body)

    def _deep(self, depth: int) -> Any:
        made: Any = [{"id": "x", "type": "set", "value": 1}]
        for number in range(depth):
            made = [{"id": f"s{number}", "type": "sequence", "steps": made}]
        return made

    def body(self) -> bytes:
        """Return a request to an endpoint, with a body that is none."""
        body = self._dice.choice((*_BODIES, self.mutated(b'{"id": "a", "n": 1}')))
        kind = self._dice.choice(("application/json", "text/plain", "x", "a/b;c=" * 50))
        return request_bytes("/fuzzed/1", "POST", body=body, Content_Type=kind)

    def raw(self) -> bytes:
        """Return what is no request any more."""
        request = request_bytes("/fuzzed/%2e%2e/x?a=%ff", "POST", body=b'{"n": 1}')
        return self.mutated(request) + b"\r\n\r\n"

    def webhook(self) -> bytes:
        """Return a delivery: signed or not, of JSON or not."""
        body = self._dice.choice((*_BODIES, b"{}"))
        told = signed(body, f"msg_{self._dice.random()}", key=KEY)
        if self._dice.random() < 0.5:
            told[self._dice.choice([*told])] = self._dice.choice(("", "x" * 5_000, "v1,é"))
        return request_bytes("/webhooks/shop/paid", "POST", body=body, **told)

    def said(self) -> bytes:
        """Return a message for an agent whose session is none."""
        words = ("get the order and ", "if it fails, ", "for each x, ", '"', "return ", "(")
        text = self._dice.choice(words) * self._dice.randrange(1, 600)
        query = urlencode({"session_id": "ses_x", "user_message": text[:5_000]})
        return request_bytes(f"/api/v1/chat/stream?{query}")


_SURFACES: Final[dict[str, Callable[[_Fuzz], bytes]]] = {
    "documents": _Fuzz.validate,
    "executions": _Fuzz.execute,
    "bodies": _Fuzz.body,
    "raw HTTP": _Fuzz.raw,
    "webhooks": _Fuzz.webhook,
    "agent": _Fuzz.said,
}


def run(scale: Scale) -> Outcome:
    """Fuzz; then plant a fault inside, which has to be seen."""
    outcome = asyncio.run(_run(SECONDS * scale.share, is_timed=scale.share >= 1))

    async def broken(*_: object) -> None:
        raise RuntimeError("planted")

    with patch.object(StoredDeployments, "validate", broken):
        planted = asyncio.run(_run(0.0, is_timed=False, surfaces=("documents",)))
    seen = [one for one in planted.broken if "answered 500" in one]
    outcome.figures["planted: a handler that raises"] = seen[0][:60] if seen else "missed"
    if not seen:
        outcome.broken.append("a handler that raises is not seen")
    return outcome


async def _run(
    seconds: float, *, is_timed: bool, surfaces: Sequence[str] = tuple(_SURFACES)
) -> Outcome:
    outcome, fuzz, until_s = Outcome(), _Fuzz(12), time.monotonic() + seconds
    sent, statuses, slowest = Counter[str](), Counter[str](), 0.0
    secrets = {"canary": _CANARY, "shop": SECRET}
    with TemporaryDirectory(prefix="proof-") as name:
        async with platform(Path(name), (_WORKFLOW, _HOOKED), {}, secrets) as (_, address):
            while time.monotonic() < until_s or min(sent[one] for one in surfaces) < _LEAST:
                for surface in surfaces:
                    data, begun_s = _SURFACES[surface](fuzz), time.monotonic()
                    said = await _sent(address, data)
                    took_s = time.monotonic() - begun_s
                    sent[surface] += 1
                    slowest = max(slowest, took_s)
                    status = said[9:12].decode("latin-1") or "closed"
                    statuses[status] += 1
                    what = f"{surface}: {data[:60]!r}…"
                    wrong = [f"shows {one!r}" for one in _NEVER_SHOWN if one in said]
                    if status.startswith("5"):
                        wrong.append(f"answered {status} {said[-200:]!r}")
                    if is_timed and took_s > REPLY_S_MAX:
                        wrong.append(f"took {took_s:.1f} s")
                    if len(outcome.broken) < _SHOWN_MAX:
                        outcome.broken += [f"{what}: {one}" for one in wrong]
    outcome.figures |= {f"fuzzed: {one}": count for one, count in sent.items()}
    outcome.figures |= {f"fuzzed, {one}": n for one, n in sorted(statuses.items())}
    outcome.figures["fuzzed, slowest_ms"] = round(slowest * 1000)
    return outcome


async def _sent(address: tuple[str, int], data: bytes) -> bytes:
    """Send bytes and no more; return what comes back until the other side closes."""
    async with client_of(*address) as client:
        client.send(data)
        client.writer.write_eof()
        try:
            return await client.closed()
        except OSError:
            return b""

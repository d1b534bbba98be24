"""Where settings came from: each source, to the line; and that no secret is shown."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plait.assembly.origins import Shown, all_settings, lines_of
from plait.assembly.settings import Settings
from plait.assembly.sources import read_settings

FILE = """\
# a comment
resolve = {users = "127.0.0.1:8001"}

[gateway]
port = 9000
request_timeout = "10s"

[egress]
allow = [
  "billing",  # ]
  "orders",
]
[env]
REGION = "eu"
db_password = "hunter2"
[connectors.fax]
api_key = "hunter2"
speed = 9600
[secrets]
token = {file = "token"}
[vault.keys]
old = {file = "token"}
"""


def shown(
    folder: Path, toml: str = "", overrides: dict[str, Any] | None = None, **environ: str
) -> dict[str, Shown]:
    (folder / "plait.toml").write_text(toml)
    (folder / "token").write_text("hunter2\n")
    given_ones = overrides or {}
    made = read_settings(
        environ, folder=folder, overrides=given_ones, connectors=lambda: ["fax"]
    )
    rows = all_settings(made, environ, file=None, folder=folder, overrides=given_ones)
    assert len({one.key for one in rows}) == len(rows)
    return {one.key: one for one in rows}


def places(rows: dict[str, Shown], *keys: str) -> list[tuple[Any, str, str]]:
    return [(rows[key].value, rows[key].source, rows[key].place) for key in keys]


def test_without_anything_all_is_default(tmp_path: Path) -> None:
    rows = shown(tmp_path)
    assert {one.source for one in rows.values()} == {"default"}
    sections = {key.partition(".")[0] for key in rows}
    assert sections == set(Settings.model_fields)
    assert rows["gateway.request_timeout"].value == "1m"


def test_a_value_of_the_file_is_told_with_its_line(tmp_path: Path) -> None:
    rows = shown(tmp_path, FILE)
    assert places(
        rows,
        "resolve.users",
        "gateway.port",
        "gateway.request_timeout",
        "egress.allow",
        "env.REGION",
        "connectors.fax.speed",
        "gateway.host",
    ) == [
        ("127.0.0.1:8001", "file", "plait.toml:2"),
        (9000, "file", "plait.toml:5"),
        ("10s", "file", "plait.toml:6"),
        (["billing", "orders"], "file", "plait.toml:9"),
        ("eu", "file", "plait.toml:14"),
        (9600, "file", "plait.toml:18"),
        ("127.0.0.1", "default", ""),
    ]


def test_a_variable_wins_over_the_file_and_the_command_line_over_both(
    tmp_path: Path,
) -> None:
    rows = shown(
        tmp_path,
        FILE,
        {"gateway": {"host": "0.0.0.0"}},
        PLAIT_GATEWAY_PORT="9001",
        PLAIT_GATEWAY_HOST="::1",
        PLAIT_EGRESS='{"allow_private": true}',
        PLAIT_ENV_REGION="us",
        PLAIT_RESOLVE_ORDERS="127.0.0.1:1",
    )
    assert places(
        rows,
        "gateway.port",
        "gateway.host",
        "egress.allow_private",
        "egress.allow",
        "env.REGION",
        "resolve.orders",
    ) == [
        (9001, "environment", "PLAIT_GATEWAY_PORT"),
        ("0.0.0.0", "command line", ""),
        (True, "environment", "PLAIT_EGRESS"),
        (["billing", "orders"], "file", "plait.toml:9"),
        ("us", "environment", "PLAIT_ENV_REGION"),
        ("127.0.0.1:1", "environment", "PLAIT_RESOLVE_ORDERS"),
    ]


def test_no_secret_is_shown_wherever_it_stands(tmp_path: Path) -> None:
    rows = shown(
        tmp_path,
        FILE,
        PLAIT_SECRET_TOKEN="hunter2",
        PLAIT_SECRET_OTHER="hunter2",
        PLAIT_VAULT_KEY="hunter2",
        PLAIT_VAULT_KEY_NEW="hunter2",
        PLAIT_STORE_URL="postgresql://ann:hunter2@db/plait?password=hunter2",
        PLAIT_RESILIENCE_REDIS="redis://:hunter2@cache",
    )
    assert "hunter2" not in repr(rows)
    assert places(
        rows,
        *("secrets.token", "secrets.other", "env.db_password", "connectors.fax.api_key"),
        *("vault.keys.old", "vault.keys.key", "vault.keys.new", "store.url"),
    ) == [
        ("***", "environment", "PLAIT_SECRET_TOKEN"),
        ("***", "environment", "PLAIT_SECRET_OTHER"),
        ("***", "file", "plait.toml:15"),
        ("***", "file", "plait.toml:17"),
        ("***", "file", "plait.toml:22"),
        ("***", "environment", "PLAIT_VAULT_KEY"),
        ("***", "environment", "PLAIT_VAULT_KEY_NEW"),
        (
            "postgresql://ann:***@db/plait?password=***",
            "environment",
            "PLAIT_STORE_URL",
        ),
    ]


KEYS = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
VALUES = st.sampled_from(
    ["1", '"a"', '"# [x]"', '"""\n[no.table]\nx = 1\n"""', "[\n1,\n2]", "'''\n]\n'''", "{}"]
)


@given(st.lists(st.tuples(KEYS, st.dictionaries(KEYS, VALUES, max_size=4)), max_size=4))
def test_every_value_of_a_file_has_the_line_on_which_its_key_stands(
    tables: list[tuple[str, dict[str, str]]],
) -> None:
    text = ""
    for name, inner in dict(tables).items():
        rows = (f"{key} = {value}\n" for key, value in inner.items())
        text += f"# {name}\n[{name}]\n{''.join(rows)}"
    found, lines = lines_of(text), text.split("\n")
    parsed = tomllib.loads(text)
    assert set(found) == {(name, key) for name, inner in parsed.items() for key in inner}
    for (_, key), number in found.items():
        assert lines[number - 1].startswith(f"{key} = ")


def test_what_packages_are_given_is_shown_without_what_looks_like_a_secret(
    tmp_path: Path,
) -> None:
    toml = """\
gateway = {middleware = ["proxy"]}
security = {strategies = ["saml"]}
resilience = {cache = "memcached"}
[authentication.saml]
client_secret = "hunter2"
issuer = "https://login.example"
[middleware.proxy]
apiKey = "hunter2"
upstreams = [{url = "http://a.example", pwd = "hunter2"}]
[caches.memcached]
password = "hunter2"
address = "memcached://ann:hun/ter2@cache.example"
dsn = "host=db password=hunter2 port=5"
"""
    rows = shown(tmp_path, toml)
    assert not re.search(r"hunter2|hun/ter2", repr(rows))
    assert rows["authentication.saml.issuer"].value == "https://login.example"
    assert rows["caches.memcached.address"].value == "memcached://ann:***@cache.example"
    assert rows["caches.memcached.dsn"].value == "host=db password=*** port=5"
    upstreams = rows["middleware.proxy.upstreams"].value
    assert upstreams == [{"url": "http://a.example", "pwd": "***"}]


def test_an_address_is_shown_without_what_it_holds_of_secrets(tmp_path: Path) -> None:
    rows = shown(
        tmp_path,
        PLAIT_STORE_URL="redis://:hun/ter2@db/1?sslpassword=hunter2&x=1",
        PLAIT_TELEMETRY_TRACES_ENDPOINT="https://a.example/v1?x=1&api-key=hunter2",
        PLAIT_RESILIENCE_REDIS="redis://:hunter2@cache.example:6379/0",
    )
    assert not re.search(r"hunter2|hun/ter2", repr(rows))
    assert [
        rows[key].value
        for key in ("store.url", "telemetry.traces_endpoint", "resilience.redis")
    ] == [
        "redis://:***@db/1?sslpassword=***&x=1",
        "https://a.example/v1?x=1&api-key=***",
        "redis://:***@cache.example:6379/0",
    ]

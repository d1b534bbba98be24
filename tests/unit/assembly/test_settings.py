"""Settings: where they come from, which wins, and how a mistake is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plait.assembly.sources import Configured, SettingsInvalid, read_settings


def configured(
    folder: Path, toml: str = "", *, overrides: dict[str, Any] | None = None, **environ: str
) -> Configured:
    if toml:
        (folder / "plait.toml").write_text(toml, "utf-8")
    return read_settings(
        environ, folder=folder, overrides=overrides, connectors=lambda: ["fax"]
    )


def problems(folder: Path, toml: str = "", **environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsInvalid) as caught:
        configured(folder, toml, overrides=None, **environ)
    return caught.value.problems


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    found = configured(tmp_path)
    assert found.settings.gateway.host == "127.0.0.1"
    assert found.settings.gateway.port == 8080
    assert found.settings.egress.allow_private is False
    assert found.secrets == {}


def test_every_section_of_the_file_is_read(tmp_path: Path) -> None:
    found = configured(
        tmp_path,
        """
        [resolve]
        users = "127.0.0.1:8001"
        "api.example.com:443" = "[::1]:8443"
        [egress]
        allow_private = true
        allow = ["billing", "*.corp.example", "10.1.0.0/16"]
        [env]
        REGION = "eu"
        retries = 3
        [gateway]
        request_timeout = "1m"
        [http]
        connect_timeout = "PT2S"
        [connectors.fax]
        speed = 9600
        """,
    ).settings
    assert found.resolve["users"] == "127.0.0.1:8001"
    assert found.egress.allow == ["billing", "*.corp.example", "10.1.0.0/16"]
    assert found.env == {"REGION": "eu", "retries": 3}
    assert found.gateway.request_timeout == 60_000
    assert found.http.connect_timeout == 2_000
    assert found.connectors == {"fax": {"speed": 9600}}


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(
    tmp_path: Path,
) -> None:
    toml = '[gateway]\nport = 1\nhost = "a"\nin_flight_max = 5\n[resolve]\nx = "1.1.1.1"'
    found = configured(
        tmp_path,
        toml,
        overrides={"gateway": {"port": 3}, "resolve": {"y": "2.2.2.2"}},
        PLAIT_GATEWAY_PORT="2",
        PLAIT_GATEWAY_HOST="b",
        PLAIT_RESOLVE_Z="3.3.3.3",
    ).settings
    assert (found.gateway.port, found.gateway.host) == (3, "b")
    assert found.gateway.in_flight_max == 5
    assert found.resolve == {"x": "1.1.1.1", "y": "2.2.2.2", "z": "3.3.3.3"}


def test_environment_variables_hold_switches_lists_and_mappings(tmp_path: Path) -> None:
    found = configured(
        tmp_path,
        PLAIT_EGRESS_ALLOW_PRIVATE="true",
        PLAIT_EGRESS_ALLOW="billing, 10.0.0.0/8",
        PLAIT_RESOLVE='{"user-service": "127.0.0.1:1"}',
    ).settings
    assert found.egress.allow_private is True
    assert found.egress.allow == ["billing", "10.0.0.0/8"]
    assert found.resolve == {"user-service": "127.0.0.1:1"}


def test_a_variable_keeps_the_case_that_the_file_gives_a_name(tmp_path: Path) -> None:
    found = configured(
        tmp_path, '[env]\nRegion = "eu"', PLAIT_ENV_REGION="us", PLAIT_ENV_STAGE="test"
    )
    assert found.settings.env == {"Region": "us", "stage": "test"}


def test_secrets_come_from_files_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from file\n", "utf-8")
    (tmp_path / "key").write_text(" spaces stay \r\n", "utf-8")
    toml = '[secrets]\ntoken = {file = "token"}\nkey = {file = "key"}'
    found = configured(tmp_path, toml, PLAIT_SECRET_TOKEN="from environment")
    assert found.secrets == {"token": "from environment", "key": " spaces stay "}


def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, '[secrets]\ntoken = "hunter2"')
    assert found.startswith("plait.toml: secrets.token: ")
    assert "PLAIT_SECRET_NAME" in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("[gatway]\nport = 1", "unknown key 'gatway' (did you mean 'gateway'?)"),
        (
            "[gateway]\nprot = 1",
            "plait.toml: unknown key 'gateway.prot' (did you mean 'port'?)",
        ),
        ("[gateway]\nport = 99999", "plait.toml: gateway.port: input should be less than"),
        ('[gateway]\nport = "x"', "gateway.port: input should be a valid integer"),
        (
            '[gateway]\nrequest_timeout = "5 parsecs"',
            "plait.toml: gateway.request_timeout: '5 parsecs' is not a duration",
        ),
        ("[http]\nidle_timeout = true", "http.idle_timeout: write a duration as"),
        ("[http]\nidle_timeout = 10", "http.idle_timeout: write a duration as text with"),
        ("[gateway]\nrequest_timeout = 1.5", "gateway.request_timeout: write a duration"),
        ("[store]\nretention = 30", "store.retention: write a duration as text"),
        ("[gateway]\nport = true", "gateway.port: write a whole number, not true"),
        ("[gateway]\njson_depth_max = true", "json_depth_max: write a whole number"),
        ("[document]\nbytes_max = true", "document.bytes_max: write a whole number"),
        ("[execution]\nevents_max = false", "execution.events_max: write a whole"),
        (
            "[connectors.faxx]\nspeed = 1",
            "plait.toml: connectors: no installed package brings a connector called "
            "'faxx' (did you mean 'fax'?)",
        ),
        ("[connectors.http]\nx = 1", "connectors: 'http' has its own table, [http]"),
        ('[resolve]\nusers = "a:b:c:d"', "plait.toml: resolve: '"),
        ('[egress]\nallow = ["not a host"]', "egress.allow: 'not a host' on the"),
        ("[gateway\n", "plait.toml: is not TOML: "),
        ('[secrets]\na = {file = "none"}', "secrets.a: "),
    ],
)
def test_a_mistake_in_the_file_names_the_key(
    tmp_path: Path, toml: str, expected: str
) -> None:
    (found,) = problems(tmp_path, toml)
    assert expected in found.replace(str(tmp_path) + "/", "")


def test_a_mistake_in_a_variable_names_the_variable(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, PLAIT_GATEWAY_PORT="many")
    assert found.startswith("environment: PLAIT_GATEWAY_PORT: gateway.port: ")
    (found,) = problems(tmp_path, PLAIT_GATEWAY_PROT="1")
    assert found == (
        "environment: PLAIT_GATEWAY_PROT: unknown key 'gateway.prot' (did you mean 'port'?)"
    )


def test_a_variable_of_no_setting_is_a_mistake(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, PLAIT_GATEWEY_PORT="1")
    assert found == (
        "environment: no setting is called PLAIT_GATEWEY_PORT (did you mean 'GATEWAY'?)"
    )


@pytest.mark.parametrize("section", ["RESOLVE", "ENV", "GATEWAY", "CONNECTORS", "SECRETS"])
@pytest.mark.parametrize("text", ['{"users":"x"', "zzz", "[1]", "5", "null", '"a"'])
def test_a_variable_for_a_whole_table_has_to_be_an_object(
    tmp_path: Path, section: str, text: str
) -> None:
    (found,) = problems(tmp_path, "[env]\na = 1", **{f"PLAIT_{section}": text})
    assert found.startswith(f"environment: PLAIT_{section}: is no JSON object")


@pytest.mark.parametrize("section", ["RESOLVE", "ENV", "GATEWAY", "CONNECTORS", "STORE"])
def test_a_variable_for_a_whole_table_that_is_empty_is_not_set(
    tmp_path: Path, section: str
) -> None:
    (tmp_path / "plait.toml").write_text("[env]\na = 1", "utf-8")
    found = read_settings({f"PLAIT_{section}": ""}, folder=tmp_path).settings
    assert found.env == {"a": 1}
    assert found.resolve == {}
    assert found.gateway.port == 8080


@pytest.mark.parametrize("host", ["", " "])
def test_an_empty_address_is_not_taken_for_every_address(tmp_path: Path, host: str) -> None:
    assert problems(tmp_path, PLAIT_GATEWAY_HOST=host) == (
        "environment: PLAIT_GATEWAY_HOST: gateway.host: write an address; 0.0.0.0 or :: "
        "for all that this machine has",
    )
    (found,) = problems(tmp_path, f'[gateway]\nhost = "{host}"')
    assert "gateway.host: write an address; " in found


@pytest.mark.parametrize(
    "name",
    [
        "agent.endpoint",
        "telemetry.traces_endpoint",
        "telemetry.metrics_endpoint",
        "security.issuers.login.jwks",
    ],
)
@pytest.mark.parametrize(
    "url",
    ["", "zzz", "host/v1", "ftp://host/v1", "http://", "http://[::1", "http://h:99999999/v1",
     "http://h:/v1", "http://a b/v1", "http://user:hunter2@h/v1"],
)  # fmt: skip
def test_a_url_that_no_request_can_be_sent_to_is_told_at_the_start(
    tmp_path: Path, name: str, url: str
) -> None:
    table, _, key = name.rpartition(".")
    issuer = 'issuer = "i"\naudience = "a"\n' if key == "jwks" else ""
    (found,) = problems(tmp_path, f'[{table}]\n{issuer}{key} = "{url}"')
    assert f"plait.toml: {name}: the URL" in found or f"{name}: the host" in found
    assert found.endswith("; write an http(s) URL")
    assert "hunter2" not in found


@pytest.mark.parametrize("url", ["redis://h:zzz", "redis://:hunter2/x@h", "redis://[::1"])
def test_a_redis_that_cannot_be_asked_is_told_at_the_start(
    tmp_path: Path, url: str
) -> None:
    (found,) = problems(tmp_path, f'[resilience]\nredis = "{url}"')
    assert found.endswith("resilience.redis: its host or port cannot be read")


def test_one_key_may_be_set_to_an_empty_text(tmp_path: Path) -> None:
    assert configured(tmp_path, PLAIT_ENV_A="").settings.env == {"a": ""}


@pytest.mark.parametrize("name", ["PLAIT_ENV", "PLAIT_ENV_A"])
def test_a_variable_that_is_nested_too_deep_is_refused(tmp_path: Path, name: str) -> None:
    deep = '{"a":' * 50_000
    assert problems(tmp_path, **{name: deep}) == (
        f"environment: {name}: is nested too deep",
    )


@pytest.mark.parametrize(
    "name", ["PLAIT_ENV_A", "PLAIT_ENV", "PLAIT_GATEWAY_HOST", "PLAIT_SECRET_TOKEN"]
)
def test_a_variable_that_is_not_utf_8_is_refused(tmp_path: Path, name: str) -> None:
    (found,) = problems(tmp_path, **{name: b"a\xff".decode("utf-8", "surrogateescape")})
    assert found == f"environment: {name}: is not UTF-8"


def test_broken_variables_do_not_hide_other_mistakes(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "[gateway]\nport = -1",
        PLAIT_RESOLVE="{",
        PLAIT_ENV="[1]",
        PLAIT_HTTP_IDLE_TIMEOUT="never",
    )
    assert len(found) == 4


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    toml = "[gateway]\nport = -1\nin_flight_max = 0\n[htpp]\n[connectors.nope]\n"
    found = problems(tmp_path, toml, PLAIT_NOTHING_X="1")
    assert len(found) == 5


def test_other_packages_are_not_loaded_for_settings_that_name_none(tmp_path: Path) -> None:
    def load() -> list[str]:
        raise AssertionError("nobody needs them")

    assert read_settings({}, folder=tmp_path, connectors=load).settings.connectors == {}


def test_a_mistake_on_the_command_line_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        configured(tmp_path, overrides={"resolve": {"users": "1:2:x"}})
    assert caught.value.problems[0].startswith("command line: resolve: ")


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("engine:8091", "engine:8091"),
        ("127.0.0.1:1, 127.0.0.2:2", "127.0.0.1:1,127.0.0.2:2"),
        ("[::1]:1,[::2]:2", "[::1]:1,[::2]:2"),
    ],
)
def test_a_service_has_one_address_or_several(
    tmp_path: Path, wanted: str, taken: str
) -> None:
    told = configured(tmp_path, PLAIT_SERVICES_ENGINE=wanted)
    assert told.settings.services.engine == taken


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("engine", "write HOST:PORT"),
        ("127.0.0.1:1,", "write HOST:PORT"),
        ("127.0.0.1:1,engine:2", "each is IP:PORT, and no name"),
        ("127.0.0.1:1,[::1]:2", "all are IPv4, or all are IPv6"),
    ],
)
def test_addresses_that_cannot_be_called_are_refused(
    tmp_path: Path, wanted: str, reason: str
) -> None:
    (found,) = problems(tmp_path, PLAIT_SERVICES_ENGINE=wanted)
    assert reason in found


def test_a_named_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read: No such file"):
        read_settings({}, file=tmp_path / "other.toml", folder=tmp_path)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plait.toml").write_bytes(b"\xff\xfe")
    assert problems(tmp_path) == (f"{tmp_path / 'plait.toml'}: is not UTF-8",)


def test_a_body_cannot_be_allowed_deeper_than_replies_can_be_written(
    tmp_path: Path,
) -> None:
    found = configured(tmp_path, PLAIT_GATEWAY_JSON_DEPTH_MAX="200").settings
    assert found.gateway.json_depth_max == 200
    told = problems(tmp_path, PLAIT_GATEWAY_JSON_DEPTH_MAX="201")
    assert "json_depth_max" in str(told)

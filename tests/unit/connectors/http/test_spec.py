"""The request's model: what a document may say, and what the schema says of it."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from plait.connectors.http import HttpRequest, default_effect, host_is_literal

GOOD: list[dict[str, Any]] = [
    {"url": "http://users/api"},
    {"url": "https://users:8443/api?x=${input.x}", "method": "QUERY"},
    {"url": "${input.url}", "method": "${input.method}"},
    {"url": "http://h", "params": {"a": 1, "b": [1.5, None, "x", True], "c": None}},
    {"url": "http://h", "params": "${input.params}", "headers": "${input.headers}"},
    {"url": "http://h", "headers": {"X-A": "${secrets.key}"}},
    {"url": "http://h", "body": {"a": ["${input.x}"]}},
    {"url": "http://h", "body": None, "form": {"a": 1}},
    {"url": "http://h", "text": ""},
    {"url": "http://h", "multipart": {"a": 1, "b": {"filename": "x", "content": ""}}},
    {"url": "http://h", "multipart": [{"name": "a", "content": 1}]},
    {"url": "http://h", "multipart": "${input.parts}"},
    {"url": "http://h", "binary": "aGk="},
    {"url": "http://h", "expect": 200},
    {"url": "http://h", "expect": ["2xx", 404, "300-302"]},
    {"url": "http://h", "expect": "${input.expect}"},
    {"url": "http://h", "decode": "binary"},
    {"url": "http://h", "decode": "${input.decode}"},
    {"url": "http://h", "redirects": 3},
    {"url": "http://h", "redirects": "${input.n}", "max_bytes": "${input.n}"},
    {"url": "http://h", "max_bytes": 0},
    {"url": "http://h", "tls": {"verify": False, "ca_file": "ca.pem", "server_name": "x"}},
]

BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "url"),
    ({"url": 7}, "url"),
    ({"url": "users/api"}, "url"),
    ({"url": "ftp://users/api"}, "url"),
    ({"url": "http://h", "method": "CONNECT"}, "method"),
    ({"url": "http://h", "method": "get"}, "method"),
    ({"url": "http://h", "methods": "GET"}, "methods"),
    ({"url": "http://h", "params": {"a": {"b": 1}}}, "params"),
    ({"url": "http://h", "params": ["a"]}, "params"),
    ({"url": "http://h", "headers": {"a": [[1]]}}, "headers"),
    ({"url": "http://h", "headers": "none"}, "headers"),
    ({"url": "http://h", "text": 7}, "text"),
    ({"url": "http://h", "body": 1, "text": "x"}, ""),
    ({"url": "http://h", "form": {}, "binary": ""}, ""),
    ({"url": "http://h", "multipart": [{"content": "x"}]}, "multipart"),
    ({"url": "http://h", "multipart": [{"name": "a", "type": "x"}]}, "multipart"),
    ({"url": "http://h", "expect": "ok"}, "expect"),
    ({"url": "http://h", "expect": 99}, "expect"),
    ({"url": "http://h", "expect": []}, "expect"),
    ({"url": "http://h", "expect": True}, "expect"),
    ({"url": "http://h", "decode": "xml"}, "decode"),
    ({"url": "http://h", "redirects": 4}, "redirects"),
    ({"url": "http://h", "redirects": "3"}, "redirects"),
    ({"url": "http://h", "redirects": True}, "redirects"),
    ({"url": "http://h", "max_bytes": -1}, "max_bytes"),
    ({"url": "http://h", "tls": {"verify": "no"}}, "tls"),
    ({"url": "http://h", "tls": {"cert": "x"}}, "tls"),
    ({"url": "http://h", "tls": {"server_name": ""}}, "tls"),
    ({"url": "http://h", "tls": {"server_name": ".x"}}, "tls"),
    ({"url": "http://h", "tls": {"server_name": "a..b"}}, "tls"),
]


# What no JSON Schema can say.
UNSENDABLE: list[tuple[dict[str, Any], str]] = [
    ({"headers": {"Content-Length": 5}}, "headers"),
    ({"headers": {"connection": "close"}}, "headers"),
    ({"headers": {"Transfer-Encoding": "${input.x}"}}, "headers"),
    ({"headers": {"bad name": "${input.x}"}}, "headers"),
    ({"headers": {"X-A": "a\nb"}}, "headers"),
    ({"headers": {"X-A": ["a", "b\0"], "X-B": "${input.x}"}}, "headers"),
    ({"headers": {"Host": ["a", "b"]}}, "headers"),
    ({"body": {"a": "${input.x}"}, "headers": {"content-type": "text/xml"}}, "body"),
    ({"body": 5, "headers": {"Content-Type": "text/plain"}}, "body"),
    ({"multipart": {"a": 1}, "headers": {"Content-Type": "multipart/x"}}, "multipart"),
    ({"multipart": {"a": {"content_base64": "!!!"}}}, "multipart"),
    ({"multipart": {"a": {"content": "x", "content_type": "a\nb"}}}, "multipart"),
    ({"binary": "!!!", "method": "POST"}, "binary"),
    ({"method": "HEAD", "text": "x"}, "text"),
]
SENDABLE: list[dict[str, Any]] = [
    {"headers": {"X-A": "${'a'}\n", "X-B": ["${input.x}"], "Host": "${input.h}"}},
    {"headers": {"Host": ["${input.a}", "${input.b}"]}},
    {"headers": {"Content-Type": None}, "body": {"a": 1}},
    {"headers": {"Content-Type": "${input.t}"}, "body": {"a": 1}},
    {"headers": "${input.h}", "body": {"a": 1}},
    {"headers": {"Content-Type": "application/vnd.x+json"}, "body": {"a": 1}},
    {"headers": {"Content-Type": "text/xml"}, "body": "<a/>"},
    {"headers": {"Content-Type": "text/xml"}, "body": "${input.xml}"},
    {"headers": {"Content-Type": "text/xml"}, "multipart": "${input.parts}"},
    {"headers": {"Content-Type": "a/b"}, "multipart": None},
    {"multipart": {"a": {"content_base64": "${input.x}", "filename": "${input.f}"}}},
    {"multipart": {"a": {"content": ["${input.x}"]}, "b": "${input.y}"}},
    {"binary": "${input.x}", "method": "POST"},
    {"method": "HEAD", "text": "${input.maybe}"},
    {"method": "HEAD", "text": None},
]


@pytest.mark.parametrize(("request_", "where"), UNSENDABLE)
def test_what_can_never_be_sent_is_refused_at_its_key(
    request_: dict[str, Any], where: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        HttpRequest.model_validate({"url": "http://h", **request_})
    assert [error["loc"] for error in caught.value.errors()] == [(where,)]


@pytest.mark.parametrize("request_", SENDABLE)
def test_nothing_is_refused_that_a_template_could_make_right(
    request_: dict[str, Any],
) -> None:
    HttpRequest.model_validate({"url": "http://h", **request_})


@pytest.fixture(scope="module")
def schema() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(HttpRequest.model_json_schema())


@pytest.mark.parametrize("request_", GOOD)
def test_a_good_request_passes_model_and_schema(
    request_: dict[str, Any], schema: jsonschema_rs.Validator
) -> None:
    HttpRequest.model_validate(request_)
    assert schema.is_valid(request_)


@pytest.mark.parametrize(("request_", "where"), BAD)
def test_a_bad_request_is_refused_by_model_and_schema(
    request_: dict[str, Any], where: str, schema: jsonschema_rs.Validator
) -> None:
    with pytest.raises(ValidationError) as caught:
        HttpRequest.model_validate(request_)
    places = {
        str(error["loc"][0]) if error["loc"] else "" for error in caught.value.errors()
    }
    assert places == {where}
    assert not schema.is_valid(request_)


def test_one_mistake_is_reported_once() -> None:
    for request, _ in BAD:
        if isinstance(request.get("multipart"), list):
            continue
        with pytest.raises(ValidationError) as caught:
            HttpRequest.model_validate(request)
        assert caught.value.error_count() == 1, request


def test_every_field_is_described() -> None:
    schema = HttpRequest.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    for model in models:
        assert model["description"]
        for name, field in model["properties"].items():
            assert field.get("description"), name


@pytest.mark.parametrize(
    ("request_", "effect"),
    [
        ({}, "read"),
        ({"method": "GET"}, "read"),
        ({"method": "head"}, "read"),
        ({"method": "OPTIONS"}, "read"),
        ({"method": "POST"}, "keyed"),
        ({"method": "DELETE"}, "keyed"),
        ({"method": "${input.method}"}, "keyed"),
        ({"method": None}, "keyed"),
    ],
)
def test_the_effect_follows_the_method(request_: dict[str, Any], effect: str) -> None:
    assert default_effect(request_) == effect


@pytest.mark.parametrize(
    ("url", "is_literal"),
    [
        ("http://users/api", True),
        ("http://users", True),
        ("https://users:8443/${input.x}", True),
        ("HTTPS://users?x=${input.x}", True),
        ("http://users#${input.x}", True),
        ("http://users/${a}/${b}", True),
        ("${input.url}", False),
        ("http://${input.host}/api", False),
        ("http://users${input.x}/api", False),
        ("http://users:${input.port}/api", False),
        ("http://${input.a ? 'b/c' : 'd'}/api", False),
        ("${input.scheme}://users/api", False),
        ("http:${input.x}", False),
        ("http:/${input.x}", False),
        ("http://users\\${input.x}", False),
        ("http://$${x}/", False),
        (" http://users/", False),
        ("", False),
    ],
)
def test_a_host_is_literal_only_when_no_template_can_touch_it(
    url: str, is_literal: bool
) -> None:
    assert host_is_literal(url) is is_literal

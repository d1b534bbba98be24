"""Replies of every honest shape become the right response."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from plait.model.json import JsonValue
from plait.testing.upstream_scripts import (
    chunked,
    drip,
    head,
    in_turn,
    raw,
    raw_then_close,
    reply,
    reply_bytes,
)
from tests.unit.connectors.scenes import Scene, http, on_both_loops

JSON = {"Content-Type": "application/json"}
BODY = b'{"id": "42", "tags": ["a", "b"]}'
VALUE = {"id": "42", "tags": ["a", "b"]}


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, Any] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
    "br": lambda data: brotli.compress(data, quality=5),
    "zstd": zstandard.compress,
    "GZIP": gzip.compress,
    "identity": lambda data: data,
}


async def value_of(scene: Scene, **request: Any) -> JsonValue:
    return (await scene.reply(**request)).response


@on_both_loops
async def test_a_plain_reply_gives_response_status_and_no_headers() -> None:
    async with http(reply(201, BODY, headers={**JSON, "ETag": "x"})) as scene:
        got = await scene.reply()
        assert got.response == VALUE
        assert got.facts == {"status_code": 201, "headers": {}}


@on_both_loops
async def test_headers_are_reported_when_wanted_in_lower_case() -> None:
    sent = {**JSON, "ETag": 'W/"7"', "X-Other": "y"}
    async with http(reply(200, BODY, headers=sent)) as scene:
        some = await scene.reply(call={"headers_wanted": ("etag", "x-missing")})
        assert some.facts["headers"] == {"etag": 'W/"7"'}
        all_of_them = await scene.reply(call={"headers_wanted": ("*",)})
        assert all_of_them.facts["headers"] == {
            "content-length": str(len(BODY)),
            "content-type": "application/json",
            "etag": 'W/"7"',
            "x-other": "y",
        }


@on_both_loops
async def test_repeated_headers_are_joined() -> None:
    message = b"HTTP/1.1 200 OK\r\nVia: a\r\nVIA: b\r\nContent-Length: 0\r\n\r\n"
    async with http(raw(message)) as scene:
        got = await scene.reply(call={"headers_wanted": ("via",)})
        assert got.facts["headers"] == {"via": "a, b"}


@on_both_loops
async def test_a_chunked_reply_with_extensions_and_trailers_is_put_together() -> None:
    parts = head(200, {**JSON, "Transfer-Encoding": "chunked"})
    body = b'5;name="v"\r\n{"id"\r\n4\r\n: 1}\r\n0\r\nX-Sum: 1\r\n\r\n'
    async with http(raw(parts + body)) as scene:
        assert [await value_of(scene) for _ in range(3)] == [{"id": 1}] * 3
        assert scene.upstream.connection_count == 1


@on_both_loops
async def test_a_reply_that_comes_byte_by_byte_is_put_together() -> None:
    plain = reply_bytes(200, BODY, headers=JSON)
    packed = head(200, {**JSON, "Transfer-Encoding": "chunked"}) + chunked(
        BODY[:9], BODY[9:]
    )
    script = in_turn(drip(plain, interval_s=0), drip(packed, interval_s=0))
    async with http(script) as scene:
        assert [await value_of(scene) for _ in range(2)] == [VALUE, VALUE]


@on_both_loops
async def test_a_large_body_with_a_length_is_put_together() -> None:
    value: JsonValue = {"text": "x" * 3_000_000}
    async with http(reply(json=value)) as scene:
        assert await value_of(scene) == value
        assert await value_of(scene) == value
        assert scene.upstream.connection_count == 1


@on_both_loops
async def test_a_body_without_length_ends_with_the_connection() -> None:
    async with http(raw_then_close(head(200, JSON), BODY[:5], BODY[5:])) as scene:
        assert await value_of(scene) == VALUE
        assert await value_of(scene) == VALUE
        assert scene.upstream.connection_count == 2


@on_both_loops
async def test_http_1_0_is_understood_and_not_kept() -> None:
    message = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with http(raw(message)) as scene:
        assert [await value_of(scene) for _ in range(2)] == ["ok", "ok"]
        assert scene.upstream.connection_count == 2


@on_both_loops
async def test_informational_replies_are_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\n" + head(103, {"Link": "</a.css>"}) * 3
    async with http(raw(early + reply_bytes(json=1))) as scene:
        assert [await value_of(scene) for _ in range(2)] == [1, 1]
        assert scene.upstream.connection_count == 1


@pytest.mark.parametrize("status", [204, 304])
@on_both_loops
async def test_statuses_without_body_end_with_their_head(status: int) -> None:
    message = head(status, {"Content-Length": "5"} if status == 304 else {})
    async with http(raw(message)) as scene:
        for _ in range(2):
            got = await scene.reply(expect=status)
            assert (got.response, got.facts["status_code"]) == (None, status)
        assert scene.upstream.connection_count == 1


@on_both_loops
async def test_a_reply_to_head_has_no_body_whatever_its_length_says() -> None:
    async with http(raw(head(200, {"Content-Length": "500"}))) as scene:
        for _ in range(2):
            assert await value_of(scene, method="HEAD") is None
        assert scene.upstream.connection_count == 1


@on_both_loops
async def test_a_reply_to_head_may_have_more_than_the_cap_to_say_of() -> None:
    async with http(raw(head(200, {"Content-Length": "99999999999"}))) as scene:
        assert await value_of(scene, method="HEAD") is None


@pytest.mark.parametrize("coding", list(PACKERS))
@on_both_loops
async def test_a_packed_body_is_unpacked_in_one_piece_and_in_chunks(coding: str) -> None:
    packed = PACKERS[coding](BODY)
    fields = {**JSON, "Content-Encoding": coding.removeprefix("raw ")}
    in_chunks = head(200, {**fields, "Transfer-Encoding": "chunked"})
    chunks = chunked(*(packed[at : at + 3] for at in range(0, len(packed), 3)))
    script = in_turn(reply(200, packed, headers=fields), raw(in_chunks + chunks))
    async with http(script) as scene:
        assert [await value_of(scene) for _ in range(2)] == [VALUE, VALUE]
        assert "br, zstd" in scene.upstream.requests[0].headers["accept-encoding"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
@on_both_loops
async def test_a_large_packed_body_is_unpacked(coding: str) -> None:
    value = [{"n": n, "text": f"item number {n}"} for n in range(40_000)]
    body = str(value).replace("'", '"').encode()
    fields = {**JSON, "Content-Encoding": coding}
    async with http(reply(200, PACKERS[coding](body), headers=fields)) as scene:
        assert await value_of(scene) == value


@on_both_loops
async def test_two_gzip_members_or_zstd_frames_are_one_body() -> None:
    for coding, pack in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
        fields = {**JSON, "Content-Encoding": coding}
        packed = pack(BODY[:7]) + pack(BODY[7:])
        async with http(reply(200, packed, headers=fields)) as scene:
            assert await value_of(scene) == VALUE


@on_both_loops
async def test_an_empty_body_in_a_content_encoding_is_null() -> None:
    async with http(reply(200, headers={**JSON, "Content-Encoding": "gzip"})) as scene:
        assert await value_of(scene) is None


@on_both_loops
async def test_expect_decides_what_is_success() -> None:
    async with http(reply(404, json={"why": "none"})) as scene:
        got = await scene.reply(expect=["2xx", 404])
        assert (got.response, got.facts["status_code"]) == ({"why": "none"}, 404)
        failure = await scene.failure(expect="200-299")
        assert failure.code == "connector.http.404"


@on_both_loops
async def test_many_calls_at_once_share_the_pool() -> None:
    async with http(reply(json={"ok": True}), connection_count_max=32) as scene:
        got = await asyncio.gather(*(value_of(scene) for _ in range(200)))
        assert got == [{"ok": True}] * 200
        assert scene.upstream.connection_count == 32

"""What upstreams do wrong, and the typed failure that each of it becomes."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import random
import zlib
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from plait.connectors.http.readers import HEAD_BYTES_MAX
from plait.model.errors import Advice
from plait.testing.upstream import Peer
from plait.testing.upstream_scripts import (
    chunked,
    endless,
    head,
    in_turn,
    raw,
    raw_then_close,
    raw_then_hang,
    raw_then_reset,
    reply,
    reply_bytes,
)
from tests.unit.connectors.scenes import http, on_both_loops

JSON = {"Content-Type": "application/json"}
CHUNKED = head(200, {"Transfer-Encoding": "chunked"})

GARBAGE = {
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "http2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80",
    "tls": b"\x15\x03\x01\x00\x02\x02\x46",
    "version": b"HTTP/3.0 200 OK\r\n\r\n",
    "status": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "status 000": b"HTTP/1.1 000 OK\r\n\r\n",
    "status letters": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "header without colon": b"HTTP/1.1 200 OK\r\nNonsense\r\nContent-Length: 0\r\n\r\n",
    "space before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
    "length letters": b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
    "length negative": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
    "length plus": b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
    "length twice": b"HTTP/1.1 200 OK\r\n"
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "length and chunks": head(200, {"Content-Length": "5", "Transfer-Encoding": "chunked"})
    + chunked(b"hello"),
    "other transfer coding": head(200, {"Transfer-Encoding": "gzip"}) + b"hello",
    "stacked transfer coding": head(200, {"Transfer-Encoding": "gzip, chunked"})
    + chunked(b"hello"),
    "chunk size letters": CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n",
    "chunk size negative": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "chunk size huge": CHUNKED + b"fffffffffffffffff\r\nhello",
    "chunk without end": CHUNKED + b"5\r\nhelloX\r\n0\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "empty lines": b"\r\n" * 50_000,
}

EXTRA = {
    "longer than its length": reply_bytes(200, b"hello") + b"world",
    "two replies": reply_bytes(200, b"a") + reply_bytes(200, b"b"),
    "bytes after chunks": CHUNKED + chunked(b"hello") + b"more",
    "body after 204": head(204) + b"hello",
}


@pytest.mark.parametrize("name", list(GARBAGE))
@on_both_loops
async def test_what_is_not_http_is_a_protocol_failure(name: str) -> None:
    async with http(raw(GARBAGE[name])) as scene:
        failure = await scene.failure()
        assert failure.code == "connector.protocol"
        assert (failure.advice, failure.sent) == (Advice.REPORT, True)
        await scene.upstream.until_open(0)


@pytest.mark.parametrize("name", list(EXTRA))
@on_both_loops
async def test_more_bytes_than_announced_are_a_protocol_failure(name: str) -> None:
    async with http(in_turn(raw(EXTRA[name]), reply(json=2))) as scene:
        failure = await scene.failure()
        assert (failure.code, "announced" in failure.message) == (
            "connector.protocol",
            True,
        )
        assert (await scene.reply()).response == 2
        assert scene.upstream.connection_count == 2


@on_both_loops
async def test_a_body_after_a_reply_to_head_is_a_protocol_failure() -> None:
    async with http(raw(reply_bytes(200, b"hello"))) as scene:
        assert (await scene.failure(method="HEAD")).code == "connector.protocol"


CUT = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "no body": head(200, {"Content-Length": "10"}),
    "half a body": head(200, {"Content-Length": "10"}) + b"hello",
    "half a chunk": CHUNKED + b"a\r\nhello",
    "no last chunk": CHUNKED + b"5\r\nhello\r\n",
    "only informational": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("name", list(CUT))
@on_both_loops
async def test_closing_before_the_end_is_its_own_failure(name: str) -> None:
    async with http(raw_then_close(CUT[name])) as scene:
        failure = await scene.failure()
        assert (failure.code, failure.advice) == ("connector.closed", Advice.RETRY)
        assert failure.sent
        assert scene.upstream.connection_count == 1


@pytest.mark.parametrize("name", list(CUT))
@on_both_loops
async def test_a_reset_before_the_end_is_the_same_failure(name: str) -> None:
    async with http(raw_then_reset(CUT[name])) as scene:
        assert (await scene.failure()).code == "connector.closed"


@on_both_loops
async def test_a_server_that_closes_at_once_is_a_failure() -> None:
    async def close_at_once(peer: Peer) -> None:
        peer.close()

    async with http(greeting=close_at_once) as scene:
        assert (await scene.failure()).code in {"connector.closed", "connector.connect"}


@on_both_loops
async def test_what_a_server_says_first_waits_until_it_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    greeted = asyncio.Event()

    async def greet(peer: Peer) -> None:
        await peer.send(b"220 mail.example ESMTP\r\n")
        greeted.set()
        await peer.gone()

    async with http(greeting=greet) as scene:
        dialer = scene.calls._pools._dialer
        connect = dialer._try

        async def connect_late(*args: Any) -> Any:
            connection = await connect(*args)
            await greeted.wait()
            for _ in range(10):
                await asyncio.sleep(0)
            return connection

        monkeypatch.setattr(dialer, "_try", connect_late)
        assert (await scene.failure()).code == "connector.protocol"


def head_of_size(size: int, length: int) -> bytes:
    bare = head(200, {"Content-Length": str(length), "X-Fill": ""})
    return bare.replace(b"X-Fill: ", b"X-Fill: " + b"x" * (size - len(bare)))


@pytest.mark.parametrize("body_size", [0, 9, 5000])
@on_both_loops
async def test_a_head_may_have_32_kb_and_not_one_byte_more(body_size: int) -> None:
    body = b"x" * body_size
    at_cap = raw(head_of_size(HEAD_BYTES_MAX, body_size) + body)
    over = raw(head_of_size(HEAD_BYTES_MAX + 1, body_size) + body)
    async with http(in_turn(at_cap, over)) as scene:
        await scene.reply()
        failure = await scene.failure()
        assert (failure.code, "32768" in failure.message) == ("connector.protocol", True)


@pytest.mark.parametrize(
    ("opening", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Endless: yes\r\n" * 100),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 4096),
        (b"HTTP/1.1 200 ", b"x" * 4096),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", b"X-Trailer: yes\r\n" * 100),
        (CHUNKED + b"5;", b"extension" * 100),
    ],
    ids=["fields", "value", "reason", "informational", "trailers", "chunk extension"],
)
@on_both_loops
async def test_an_endless_head_or_trailer_ends_as_a_protocol_failure(
    opening: bytes, piece: bytes
) -> None:
    async with http(endless(opening, piece)) as scene:
        assert (await scene.failure()).code == "connector.protocol"
        await scene.upstream.until_open(0)


@on_both_loops
async def test_a_body_may_have_the_cap_and_not_one_byte_more() -> None:
    at_cap, over = reply(200, b"x" * 1000), reply(200, b"x" * 1001)
    async with http(in_turn(at_cap, over)) as scene:
        assert (await scene.reply(max_bytes=1000, decode="text")).response == "x" * 1000
        failure = await scene.failure(max_bytes=1000, decode="text")
        assert failure.code == "connector.too_large"
        assert failure.details == {"host": "127.0.0.1", "bytes_max": 1000}


@pytest.mark.parametrize(
    "opening",
    [head(200), CHUNKED, head(200, {"Content-Length": "10000000000"})],
    ids=["until close", "chunks", "length"],
)
@on_both_loops
async def test_ten_gigabytes_are_cut_off_at_the_cap(opening: bytes) -> None:
    piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n" if opening == CHUNKED else b"x" * 65_536
    async with http(endless(opening, piece), body_bytes_max=1_000_000) as scene:
        failure = await scene.failure()
        assert failure.code == "connector.too_large"
        await scene.upstream.until_open(0)


@on_both_loops
async def test_a_length_over_the_cap_is_not_waited_for() -> None:
    async with http(raw_then_hang(head(200, {"Content-Length": "1001"}))) as scene:
        assert (await scene.failure(max_bytes=1000)).code == "connector.too_large"


def zeros_zstd(size: int) -> bytes:
    target = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(target, closefd=False) as writer:
        for _ in range(size // 1_000_000):
            writer.write(b"\0" * 1_000_000)
    return target.getvalue()


def zeros_brotli(size: int) -> bytes:
    packer = brotli.Compressor(quality=1)
    packed = [packer.process(b"\0" * 1_000_000) for _ in range(size // 1_000_000)]
    return b"".join([*packed, packer.finish()])


def zeros_gzip(size: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    packed = [packer.compress(b"\0" * 1_000_000) for _ in range(size // 1_000_000)]
    return b"".join([*packed, packer.flush()])


BOMBS = {"gzip": zeros_gzip, "br": zeros_brotli, "zstd": zeros_zstd}
BOMB_BYTES = 50_000_000


@pytest.mark.parametrize("coding", list(BOMBS))
@on_both_loops
async def test_a_bomb_is_cut_off_by_its_ratio(coding: str) -> None:
    packed = BOMBS[coding](BOMB_BYTES)
    script = reply(200, packed, headers={"Content-Encoding": coding})
    async with http(script) as scene:
        failure = await scene.failure(max_bytes=BOMB_BYTES)
        assert (failure.code, "100 times" in failure.message) == (
            "connector.too_large",
            True,
        )


@pytest.mark.parametrize("coding", list(BOMBS))
@on_both_loops
async def test_a_bomb_is_cut_off_by_its_size(coding: str) -> None:
    packed = BOMBS[coding](BOMB_BYTES)
    script = reply(200, packed, headers={"Content-Encoding": coding})
    async with http(script, ratio_max=10_000_000) as scene:
        failure = await scene.failure(max_bytes=1_000_000)
        assert (failure.code, "1000000" in failure.message) == ("connector.too_large", True)


NOTHINGS = {"gzip": gzip.compress(b""), "zstd": zstandard.compress(b"")}


@pytest.mark.parametrize("coding", list(NOTHINGS))
@on_both_loops
async def test_a_packed_stream_that_never_yields_a_byte_is_cut_off(coding: str) -> None:
    opening = head(200, {"Content-Encoding": coding, "Connection": "close"})
    script = endless(opening, NOTHINGS[coding] * 100)
    async with http(script) as scene:
        assert (await scene.failure(max_bytes=10_000)).code == "connector.too_large"
        await scene.upstream.until_open(0)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate"])
@on_both_loops
async def test_a_body_at_the_cap_that_packing_made_larger_is_taken(coding: str) -> None:
    data = random.Random(7).randbytes(100_000)
    pack = {
        "gzip": gzip.compress,
        "br": brotli.compress,
        "zstd": zstandard.compress,
        "deflate": zlib.compress,
    }[coding]
    packed = pack(data)
    assert len(packed) > len(data)
    script = reply(200, packed, headers={"Content-Encoding": coding})
    async with http(script) as scene:
        got = await scene.reply(max_bytes=len(data), decode="binary")
        assert got.response == base64.b64encode(data).decode()


BROKEN_CODINGS = {
    "not gzip": ("gzip", b"hello world"),
    "cut gzip": ("gzip", gzip.compress(b"hello" * 100)[:-9]),
    "after gzip": ("gzip", gzip.compress(b"hello") + b"more"),
    "wrong sum": ("gzip", gzip.compress(b"hello")[:-8] + b"\0" * 8),
    "not deflate": ("deflate", b"\xff\xff\xff\xff"),
    "after deflate": ("deflate", zlib.compress(b"hello") + b"more"),
    "not br": ("br", b"\xff" * 20),
    "cut br": ("br", brotli.compress(b"hello" * 100)[:-3]),
    "after br": ("br", brotli.compress(b"hello") + b"more"),
    "not zstd": ("zstd", b"hello world"),
    "cut zstd": ("zstd", zstandard.compress(b"hello" * 100)[:-3]),
    "after zstd": ("zstd", zstandard.compress(b"hello") + b"more data here"),
    "unknown": ("lzma", b"hello"),
    "stacked": ("gzip, gzip", gzip.compress(gzip.compress(b"hello"))),
}


@pytest.mark.parametrize("name", list(BROKEN_CODINGS))
@on_both_loops
async def test_a_body_that_does_not_unpack_is_a_decode_failure(name: str) -> None:
    coding, body = BROKEN_CODINGS[name]
    fields = {"Content-Encoding": coding}
    in_chunks = head(200, {**fields, "Transfer-Encoding": "chunked"}) + chunked(body)
    async with http(in_turn(reply(200, body, headers=fields), raw(in_chunks))) as scene:
        failures = [await scene.failure() for _ in range(2)]
        assert [failure.code for failure in failures] == ["connector.decode"] * 2


@on_both_loops
async def test_a_zstd_window_over_8_mb_is_refused() -> None:
    options = zstandard.ZstdCompressionParameters(window_log=24)
    packer = zstandard.ZstdCompressor(compression_params=options).compressobj()
    body = packer.compress(b"hello" * 100) + packer.flush()
    async with http(reply(200, body, headers={"Content-Encoding": "zstd"})) as scene:
        assert (await scene.failure()).code == "connector.decode"


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        (b"<html>", {}),
        (b'{"a": ', {}),
        (b"NaN", {}),
        (b"\xff\xfe", {}),
        (b"[" * 65 + b"]" * 65, {}),
        (b"", {"decode": "json"}),
        (b"\xff", {"decode": "text"}),
    ],
)
@on_both_loops
async def test_what_is_not_what_it_says_is_a_decode_failure(
    body: bytes, request_: dict[str, str]
) -> None:
    async with http(reply(200, body, headers=JSON)) as scene:
        failure = await scene.failure(**request_)
        assert (failure.code, failure.advice) == ("connector.decode", Advice.REPORT)
        assert (await scene.reply(decode="none")).response is None
        assert scene.upstream.connection_count == 1

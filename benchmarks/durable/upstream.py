"""What W3 calls: `python -m benchmarks.durable.upstream PORT` always answers `{"n": 1}`."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

BODY: Final = b'{"n":1}'
REPLY: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


class Answering(asyncio.Protocol):
    """One connection; its requests have no bodies."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        self._transport.write(REPLY * len(heads))


async def main() -> None:
    """Answer until somebody ends this process."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", int(sys.argv[1]), backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

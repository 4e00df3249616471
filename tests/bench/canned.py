"""A server that answers every create with the same bytes: what the load generator reaches when nobody else works.

`python -m tests.bench.canned PORT`. The generator's figure against it is a lower bound: this is Python, too.
"""

import asyncio
import sys

BODY = b'{"linkId":"abcdefghijkl"}'.ljust(300)
ANSWER = b"HTTP/1.1 201 Created\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Canned(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = transport.write  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._write(ANSWER)  # a request of the benchmark arrives in one piece


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))

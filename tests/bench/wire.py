"""What goes between the service and PostgreSQL, counted by a relay that reads the protocol: statements and turns, whatever the client is built of."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SOCKET = ".s.PGSQL.5432"


class _Frontend:
    """One connection's messages from the client: `Q` is a simple query, `E` executes a portal; a turn is what follows something of the server's."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self.server_spoke = True
        self._buffer = b""
        self._started = False

    def feed(self, data: bytes) -> None:
        self.counts["turns"] += self.server_spoke
        self.server_spoke = False
        self._buffer += data
        while len(self._buffer) >= 5:
            # The first message has no letter before its length.
            skip = 1 if self._started else 0
            length = skip + int.from_bytes(self._buffer[skip : skip + 4], "big")
            if len(self._buffer) < length:
                return
            self.counts["statements"] += self._started and self._buffer[:1] in (b"Q", b"E")
            self._started = self._started or length != 8
            self._buffer = self._buffer[length:]


@contextmanager
def counted(url: str) -> Iterator[tuple[Path, Counter[str]]]:
    """The directory of a socket that leads to the server at `url`, and the counts so far."""
    target = str(Path(parse_qs(urlsplit(url).query)["host"][0]) / SOCKET)
    counts: Counter[str] = Counter(statements=0, turns=0)
    up = threading.Event()
    ending: list[Callable[[], object]] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_server = await asyncio.open_unix_connection(target)
        frontend = _Frontend(counts)

        async def forward() -> None:
            while data := await reader.read(2**16):
                frontend.feed(data)
                to_server.write(data)
                await to_server.drain()
            to_server.close()

        async def back() -> None:
            while data := await upstream.read(2**16):
                frontend.server_spoke = True
                writer.write(data)
                await writer.drain()
            writer.close()

        # Cancelled when the count is over; the streams would report that as a fault.
        with suppress(asyncio.CancelledError):
            await asyncio.gather(forward(), back(), return_exceptions=True)
        to_server.close()
        writer.close()

    async def serve(place: str) -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        ending.append(lambda: loop.call_soon_threadsafe(stop.set))
        server = await asyncio.start_unix_server(relay, str(Path(place) / SOCKET))
        up.set()
        await stop.wait()
        server.close()

    with tempfile.TemporaryDirectory(prefix="xfwire", dir="/tmp") as place:
        # Its own loop in its own thread: whatever is still connected is closed with it.
        thread = threading.Thread(target=lambda: asyncio.run(serve(place)), daemon=True)
        thread.start()
        up.wait(30)
        try:
            yield Path(place), counts
        finally:
            ending[0]()
            thread.join(10)

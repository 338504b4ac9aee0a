"""A line to PostgreSQL that is cut around a COMMIT: before the server has it, or after it was taken and before its answer is back."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

Cut = Literal["before", "silent", "after"]
"""Before the server has the COMMIT; the same, and the server is not told that its client is gone; after it was taken."""
COMMIT = b"COMMIT\0"


class CuttingProxy:
    """Forwards a Unix socket to the server's; `next_cut` says what happens to the next COMMIT, `share` to how many of all that follow.

    Where it `stays_away`, a cut is followed by no new connection until `refuses` is taken back.
    """

    def __init__(self, server: str, folder: Path) -> None:
        self.folder = folder
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen(100)
        self._random = random.Random(11)
        self.share = 0.0
        self.next_cut: Cut | None = None
        self.stays_away = False
        self.refuses = False
        self.cuts: dict[Cut, int] = {"before": 0, "silent": 0, "after": 0}
        self._lines: list[_Line] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end of the test
            while True:
                client, _ = self._listener.accept()
                if self.refuses:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._lines.append(_Line(self, client, server))

    def decide(self) -> Cut | None:
        cut, self.next_cut = self.next_cut, None
        if cut is None and self._random.random() < self.share:
            cut = self._random.choice(("before", "after"))
        if cut is not None:
            self.cuts[cut] += 1
            self.refuses = self.stays_away
        return cut

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._lines:
            line.hang_up()


class _Line:
    """One connection, with a thread each way; the sockets are closed when both threads have ended."""

    def __init__(self, proxy: CuttingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._silent = False
        self._ended = threading.Semaphore(0)
        for way in (self._forward, self._bring_back):
            threading.Thread(target=self._run, args=(way,), daemon=True).start()
        threading.Thread(target=self._close_at_the_end, daemon=True).start()

    def hang_up(self, *ends: socket.socket) -> None:
        for end in ends or (self._client, self._server):
            with contextlib.suppress(OSError):  # it was hung up already
                end.shutdown(socket.SHUT_RDWR)

    def _run(self, way: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):  # one side is gone: so is the line
            way()
        self._ended.release()

    def _close_at_the_end(self) -> None:
        self._ended.acquire()
        self._ended.acquire()
        self._client.close()
        self._server.close()

    def _forward(self) -> None:
        configured = False
        while asked := self._client.recv(65536):
            # The first COMMIT of a connection is that of its settings (bot/storage/db/engine.py).
            cut = self._proxy.decide() if COMMIT in asked and configured else None
            configured = configured or COMMIT in asked
            if cut == "silent":
                # As when a cable is pulled: the server goes on holding the transaction open.
                self.hang_up(self._client)
                return
            if cut == "before":
                break
            self._silent = self._silent or cut == "after"
            self._server.sendall(asked)
        self.hang_up(self._server)

    def _bring_back(self) -> None:
        while (answered := self._server.recv(65536)) and not self._silent:
            self._client.sendall(answered)
        self.hang_up()


@contextlib.contextmanager
def cutting(server: str, folder: Path) -> Iterator[CuttingProxy]:
    """`server`: the path of the server's socket; `folder`: a short path, as socket names may have 100 characters only."""
    proxy = CuttingProxy(server, folder)
    try:
        yield proxy
    finally:
        proxy.close()

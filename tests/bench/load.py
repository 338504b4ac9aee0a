"""The load: sealed WeCom messages made beforehand, a client so lean that the server is what is measured, and the platform that late replies go to."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

from tests.support.platforms.envelopes import Sealer

CORP, AGENT, TOKEN = "ww1234567890abcdef", "1000002", "bench-token-8361"
AES_KEY = "canaryKeyOfThePlatformStandIn0123456789abcd"
SECRET = "bench-corpsecret-5512"
PATH = "/channels/wecom"
LONGEST = 60.0
RECORDED, BUSY = "已记录", "系统繁忙"


# ── What the platform posts ──


def sealer() -> Sealer:
    """Seals and opens as the platform does, without a line of the product's codec."""
    return Sealer(CORP, AGENT, TOKEN, AES_KEY)


def user_of(number: int) -> str:
    return f"u{number:05d}"


def message_id(person: int, n: int) -> str:
    return str(10_000_000 + person * 100 + n)


def request(platform: Sealer, person: int, n: int, words: str) -> bytes:
    """One callback as the platform posts it."""
    return posted(platform, text(user_of(person), words, message_id(person, n)), f"{person:05d}{n:05d}")


def text(user: str, words: str, ident: str) -> str:
    """What somebody typed, as it stands inside the envelope."""
    return _inner(user, f"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{words}]]></Content><MsgId>{ident}</MsgId>", int(time.time()))


def tap(user: str, card: str, key: str, created: int) -> str:
    """A tap on a card's button; `created` in Unix seconds is the same in every copy of it."""
    return _inner(
        user,
        "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[template_card_event]]></Event>"
        f"<EventKey><![CDATA[{key}]]></EventKey><TaskId><![CDATA[{card}]]></TaskId><CardType><![CDATA[button_interaction]]></CardType>"
        "<ResponseCode><![CDATA[code]]></ResponseCode><SelectedItems></SelectedItems>",
        created,
    )


def _inner(user: str, rest: str, created: int) -> str:
    return (
        f"<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[{user}]]></FromUserName>"
        f"<CreateTime>{created}</CreateTime>{rest}<AgentID>{AGENT}</AgentID></xml>"
    )


def posted(platform: Sealer, inner: str, nonce: str, *, official_account: bool = False) -> bytes:
    """A message sealed and signed now, with the head of its request: every copy is sealed anew. `official_account` signs the query once more,
    as WeChat does for official accounts."""
    query, envelope = platform.seal(inner, time.time(), nonce)
    if official_account:
        signature = hashlib.sha1("".join(sorted((TOKEN, query["timestamp"], nonce))).encode()).hexdigest()
        query = {"signature": signature, "encrypt_type": "aes", **query}
    body = envelope.encode()
    head = f"POST {PATH}?{urlencode(query)} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def opened(platform: Sealer, answer: bytes) -> str:
    """The words of an answer once its signature is found right, all fields of one without words, or the bare body."""
    body = answer.partition(b"\r\n\r\n")[2].decode()
    if "<Encrypt>" not in body:
        return body
    fields = platform.open(body)
    return str(fields.get("Content", fields))


# ── The askers ──


class Asker(asyncio.Protocol):
    """One connection that sends its requests one after the other: the next at the answer or, with `every`, so many seconds after the one before.
    `endless` begins again after the last."""

    def __init__(
        self,
        requests: Sequence[bytes],
        done: Callable[[], None],
        answered: Callable[[], None] | None = None,
        every: float = 0.0,
        *,
        endless: bool = False,
    ) -> None:
        self.answers: list[bytes] = []
        self.seconds: list[float] = []
        self.running = False
        self._requests = requests
        self._most = None if endless else len(requests)
        self._every = every
        self.lost = False
        self._done = done
        self._answered = answered
        self._buffer = b""
        self._need = 0
        self._transport: asyncio.Transport
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def begin(self) -> None:
        self.running = True
        self._next()

    def _next(self) -> None:
        if self.lost or not self.running or len(self.answers) == self._most:
            self.running = False
            self._done()
            return
        self._sent = time.perf_counter()
        self._transport.write(self._requests[len(self.answers) % len(self._requests)])

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._need:
            head = self._buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            length = self._buffer[:head].lower().index(b"content-length: ") + 16
            self._need = head + 4 + int(self._buffer[length:head].partition(b"\r\n")[0])
        if len(self._buffer) >= self._need:
            took = time.perf_counter() - self._sent
            self.seconds.append(took)
            self.answers.append(self._buffer)
            self._buffer, self._need = b"", 0
            if self._answered is not None:
                self._answered()
            if self._every > took and len(self.answers) != self._most:
                asyncio.get_running_loop().call_later(self._every - took, self._next)
            else:
                self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.running:
            self.running = False
            self._done()

    def stop(self) -> None:
        """Let the request in hand be answered, and send no other."""
        self._most = min(len(self.answers) + 1, len(self.answers) + 1 if self._most is None else self._most)

    def close(self) -> None:
        self._transport.close()


@dataclass
class Run:
    """What came of one run: answers in order of each asker, seconds of each, wall seconds of the whole."""

    answers: list[list[bytes]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0

    @property
    def count(self) -> int:
        return sum(map(len, self.answers))

    @property
    def rate(self) -> float:
        return self.count / self.wall

    @property
    def slowest(self) -> float:
        return max(self.seconds, default=0.0)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def ask(
    port: int | Sequence[int],
    requests: Sequence[Sequence[bytes]],
    seconds: float | None = None,
    over: float = 0.0,
    answered: Callable[[], None] | None = None,
    *,
    every: float = 0.0,
    endless: bool = False,
    measured: AbstractContextManager[object] | None = None,
) -> Run:
    """Every asker on its own open connection; all begin at once, or one after the other over `over` seconds, and stop after `seconds` or when each
    has sent everything. Of several ports the askers take turns. `answered` is called at every answer; `measured` is entered when all connections
    stand, and left with the last answer."""
    loop = asyncio.get_running_loop()
    ports = [port] if isinstance(port, int) else list(port)
    left = len(requests)
    all_done = asyncio.Event()

    def done() -> None:
        nonlocal left
        left -= 1
        if not left:
            all_done.set()

    async def connect(n: int) -> Asker:
        _, asker = await loop.create_connection(
            lambda: Asker(requests[n], done, answered, every, endless=endless), "127.0.0.1", ports[n % len(ports)]
        )
        return asker

    askers: list[Asker] = []
    for start in range(0, len(requests), 200):
        askers += await asyncio.gather(*map(connect, range(start, min(start + 200, len(requests)))))
    await asyncio.sleep(0.2)
    # Where thousands connect slowly the service lets go of the first, which have said nothing yet.
    for n, asker in enumerate(askers):
        if asker.lost:
            askers[n] = await connect(n)
    with measured or nullcontext():
        began = time.perf_counter()
        for n, asker in enumerate(askers):
            if over:
                loop.call_later(over * n / len(askers), asker.begin)
            else:
                asker.begin()
        if not askers:
            all_done.set()
        try:
            async with asyncio.timeout(LONGEST if seconds is None else seconds):
                await all_done.wait()
        except TimeoutError:
            for asker in askers:
                asker.stop()
            async with asyncio.timeout(LONGEST):
                await all_done.wait()
        wall = time.perf_counter() - began
    for asker in askers:
        asker.close()
    return Run([asker.answers for asker in askers], [took for asker in askers for took in asker.seconds], wall)


# ── Where late replies go ──


class Outbox:
    """What the service sent by itself: the words to each user, in order."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.words: dict[str, list[str]] = {}
        self.calls = 0

    def await_words(self, late: Counter[str], seconds: float) -> None:
        """Wait until every user was sent as many messages as they are owed, or nothing more has come for so long."""
        calls, last = -1, 0.0
        while any(len(self.words.get(user, ())) < count for user, count in late.items()):
            if self.calls != calls:
                calls, last = self.calls, time.monotonic() + seconds
            elif time.monotonic() > last:
                return
            time.sleep(0.05)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A service that is stopped leaves its connections; nothing is wrong with that."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def outbox() -> Iterator[Outbox]:
    """WeCom's side of the service's own calls, in threads of their own; it costs nothing as long as nobody is late."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({"errcode": 0, "errmsg": "ok", "access_token": "t", "expires_in": 7200})

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            sent.calls += 1
            for user in str(message.get("touser", "")).split("|"):
                sent.words.setdefault(user, []).append(message.get("text", {}).get("content", ""))
            self._answer({"errcode": 0, "errmsg": "ok", "msgid": f"m{sent.calls}", "invaliduser": ""})

        def _answer(self, content: dict[str, object]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = _Server(("127.0.0.1", 0), Handler)
    sent = Outbox(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield sent
    finally:
        server.shutdown()
        server.server_close()

"""The load: sealed WeCom messages made beforehand, and a client so lean that the server is what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from bot.channels.signature import EnvelopeCodec, EnvelopeStamp, sealed_part

CORP, AGENT, TOKEN = "ww1234567890abcdef", "1000002", "bench-token-8361"
AES_KEY = "canaryKeyOfThePlatformStandIn0123456789abcd"
SECRET = "bench-corpsecret-5512"
PATH = "/channels/wecom"
LONGEST = 60.0


def codec() -> EnvelopeCodec:
    return EnvelopeCodec(TOKEN, AES_KEY, CORP)


def user_of(number: int) -> str:
    return f"u{number:05d}"


def message_id(person: int, n: int) -> str:
    return str(10_000_000 + person * 100 + n)


def request(sealer: EnvelopeCodec, person: int, n: int, words: str, path: str = PATH) -> bytes:
    """One callback as the platform posts it."""
    return posted(sealer, text(user_of(person), words, message_id(person, n)), f"{person:05d}{n:05d}", path)


def text(user: str, words: str, ident: str) -> str:
    """What somebody typed, as it stands inside the envelope."""
    return _inner(user, f"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{words}]]></Content><MsgId>{ident}</MsgId>", int(time.time()))


def tap(user: str, card: str, key: str, made: int) -> str:
    """A tap on a card's button; `made` in Unix seconds is the same in every copy of it."""
    return _inner(
        user,
        "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[template_card_event]]></Event>"
        f"<EventKey><![CDATA[{key}]]></EventKey><TaskId><![CDATA[{card}]]></TaskId><CardType><![CDATA[button_interaction]]></CardType>"
        "<ResponseCode><![CDATA[code]]></ResponseCode><SelectedItems></SelectedItems>",
        made,
    )


def _inner(user: str, rest: str, made: int) -> str:
    return (
        f"<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[{user}]]></FromUserName>"
        f"<CreateTime>{made}</CreateTime>{rest}<AgentID>{AGENT}</AgentID></xml>"
    )


def posted(sealer: EnvelopeCodec, inner: str, nonce: str, path: str = PATH) -> bytes:
    """A message sealed and signed now, with the head of its request: every copy is sealed anew."""
    now = str(int(time.time()))
    sealed = sealer.seal(inner)
    body = (
        f"<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><Encrypt><![CDATA[{sealed.decode()}]]></Encrypt>"
        f"<AgentID><![CDATA[{AGENT}]]></AgentID></xml>"
    ).encode()
    query = urlencode({"msg_signature": sealer.sign(now.encode(), nonce.encode(), sealed), "timestamp": now, "nonce": nonce})
    return b"POST %b?%b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%b" % (
        path.encode(),
        query.encode(),
        len(body),
        body,
    )


def opened(opener: EnvelopeCodec, answer: bytes) -> str:
    """The text inside a sealed answer, or the bare body."""
    body = answer.partition(b"\r\n\r\n")[2]
    if b"<Encrypt>" not in body:
        return body.decode()
    sealed, parts = sealed_part(body)
    stamp = EnvelopeStamp(parts[b"MsgSignature"].decode(), parts[b"TimeStamp"].decode(), parts[b"Nonce"].decode())
    return opener.open(stamp, sealed, time.time()).plain.decode()


class Asker(asyncio.Protocol):
    """One connection that sends its requests one after the other."""

    def __init__(self, requests: Sequence[bytes], done: Callable[[], None], answered: Callable[[], None] | None = None) -> None:
        self.requests = requests
        self.answers: list[bytes] = []
        self.seconds: list[float] = []
        self.running = False
        self._lost = False
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
        if self._lost or not self.running or len(self.answers) == len(self.requests):
            self.running = False
            self._done()
            return
        self._sent = time.perf_counter()
        self._transport.write(self.requests[len(self.answers)])

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._need:
            head = self._buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            at = self._buffer.index(b"Content-Length: ") + 16
            self._need = head + 4 + int(self._buffer[at : self._buffer.index(b"\r\n", at)])
        if len(self._buffer) >= self._need:
            self.seconds.append(time.perf_counter() - self._sent)
            self.answers.append(self._buffer)
            self._buffer, self._need = b"", 0
            if self._answered is not None:
                self._answered()
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self.running:
            self.running = False
            self._done()

    def stop(self) -> None:
        """Let the request in hand be answered, and send no other."""
        self.requests = self.requests[: len(self.answers) + 1]

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
        return sum(len(one) for one in self.answers)

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
    port: int, requests: Sequence[Sequence[bytes]], seconds: float | None = None, over: float = 0.0, answered: Callable[[], None] | None = None
) -> Run:
    """Every asker on its own open connection; all begin at once, or one after the other over `over` seconds, and stop after `seconds` or when each
    has sent everything. `answered` is called at every answer."""
    loop = asyncio.get_running_loop()
    left = len(requests)
    all_done = asyncio.Event()

    def done() -> None:
        nonlocal left
        left -= 1
        if not left:
            all_done.set()

    askers: list[Asker] = []
    for at in range(0, len(requests), 200):
        part = (loop.create_connection(lambda mine=mine: Asker(mine, done, answered), "127.0.0.1", port) for mine in requests[at : at + 200])  # type: ignore[misc]
        askers += [asker for _, asker in await asyncio.gather(*part)]
    await asyncio.sleep(0.2)
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
    return Run([asker.answers for asker in askers], [one for asker in askers for one in asker.seconds], wall)

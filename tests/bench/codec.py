"""How long one sealed message takes us, verify to encrypt, and how long it takes wechatpy: `python -m tests.bench.codec`.

Ours is the channel's own path: `WeComChannel.open` (query and body to a message), `WeComChannel.passive` (the reply's words and card),
`EnvelopeCodec.reply`. wechatpy's is the one its documentation shows: decrypt_message, parse_message, create_reply, render, encrypt_message. Both run
in turns, so that a busy machine slows both; microseconds are of CPU and the medians of the rounds, the ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from wechatpy.enterprise import create_reply, parse_message
from wechatpy.enterprise.crypto import WeChatCrypto

from bot.channels.base import ignore_note
from bot.channels.config import ChannelContext
from bot.channels.signature import EnvelopeStamp
from bot.channels.wecom.channel import WeComChannel
from bot.channels.wecom.config import WeComConfig
from bot.domain.message import Reply
from tests.support.platforms.envelopes import AES_KEY, TOKEN
from tests.support.platforms.plain import Time
from tests.support.platforms.wecom import AGENT, CORP, SECRET, WeComPlatform

BUDGET_US, GOAL_US, GOAL_RATIO = 60.0, 35.0, 0.45
MESSAGES, ROUNDS = 2000, 15
SAID = "已记录。答对了，本题得 1 分。依据：《中华人民共和国民法典》第一千二百六十条。"


@dataclass(frozen=True)
class Measured:
    """Microseconds a message, and how they compare."""

    ours_us: float
    wechatpy_us: float
    ratio: float

    @property
    def within_budget(self) -> bool:
        return self.ours_us <= BUDGET_US

    @property
    def reaches_goal(self) -> bool:
        return self.ours_us <= GOAL_US and self.ratio <= GOAL_RATIO


def paths(messages: int) -> tuple[Callable[[], str], Callable[[], str]]:
    """Our path and wechatpy's over the same pushes, each a function that answers the next one; `messages` different ones go round."""
    platform = WeComPlatform(Time())
    at = platform.clock().timestamp()
    pushed = [platform.sealer.seal(platform.text(f"选{'ABCD'[n % 4]}"), at, nonce=str(10_000 + n)) for n in range(messages)]
    outbound: Any = None  # nothing is sent actively here
    config = WeComConfig.model_validate({"corp_id": CORP, "agent_id": AGENT, "secret": SECRET, "token": TOKEN, "aes_key": AES_KEY})
    channel = WeComChannel(config, ChannelContext(outbound, lambda: datetime.now(UTC), ignore_note))
    crypto = WeChatCrypto(TOKEN, AES_KEY, CORP)
    arrived = datetime.fromtimestamp(at, UTC)
    stamped = [(EnvelopeStamp(query["msg_signature"], query["timestamp"], query["nonce"]), body.encode()) for query, body in pushed]
    reply = Reply(SAID)
    mine, theirs = iter(stamped * (ROUNDS + 2)), iter(pushed * (ROUNDS + 2))

    def ours() -> str:
        stamp, body = next(mine)
        letter, key = channel.open(stamp, body, arrived)
        assert letter is not None
        said, _ = channel.passive(letter, reply, arrived)
        return channel.codec.reply(said, key, at)

    def wechatpys() -> str:
        query, body = next(theirs)
        message = parse_message(crypto.decrypt_message(body, query["msg_signature"], query["timestamp"], query["nonce"]))
        return str(crypto.encrypt_message(create_reply(SAID, message).render(), query["nonce"], query["timestamp"]))

    return ours, wechatpys


def said_in(answer: str) -> str:
    """The words in a sealed answer, as the platform would find them."""
    letter = {child.tag: child.text or "" for child in ElementTree.fromstring(answer)}
    plain = WeChatCrypto(TOKEN, AES_KEY, CORP).decrypt_message(letter, letter["MsgSignature"], letter["TimeStamp"], letter["Nonce"])
    return ElementTree.fromstring(plain).findtext("Content", "")


def measure(messages: int = MESSAGES, rounds: int = ROUNDS) -> Measured:
    ours, wechatpys = paths(messages)
    if not said_in(ours()) == said_in(wechatpys()) == SAID:
        raise AssertionError("the two paths do not say the same")
    pairs = [(_us(ours, messages), _us(wechatpys, messages)) for _ in range(rounds)]
    return Measured(
        ours_us=round(statistics.median(one for one, _ in pairs), 1),
        wechatpy_us=round(statistics.median(two for _, two in pairs), 1),
        ratio=round(statistics.median(one / two for one, two in pairs), 3),
    )


def _us(answer: Callable[[], str], messages: int) -> float:
    started = time.process_time()
    for _ in range(messages):
        answer()
    return (time.process_time() - started) / messages * 1e6


def main() -> int:
    found = measure()
    if "--json" in sys.argv:
        print(json.dumps(asdict(found)))
    else:
        print(
            f"codec, one message, verify to encrypt ({ROUNDS} paired rounds of {MESSAGES})\n"
            f"  ours      {found.ours_us:6.1f} us   budget {BUDGET_US:.0f}, goal {GOAL_US:.0f}\n"
            f"  wechatpy  {found.wechatpy_us:6.1f} us\n"
            f"  ratio     {found.ratio:6.3f}      goal {GOAL_RATIO}\n"
            f"  {'goal reached' if found.reaches_goal else 'within the budget' if found.within_budget else 'OVER THE BUDGET'}"
        )
    return 0 if found.within_budget else 1


if __name__ == "__main__":
    raise SystemExit(main())

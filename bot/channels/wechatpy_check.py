"""A second opinion on the check of a callback address, from wechatpy.

The answer path uses our own codec, which tests prove equal to wechatpy. Where an administrator saves the address in the platform's console, once
in a while and with somebody watching, both readings have to agree before the word is echoed: a codec that had gone astray would show itself
there, and not in lost answers. wechatpy is wrapped: it raises whatever its parts raise, and importing it takes a third of a second, so it runs in
a thread (bot/docs/protocols.md#wechatpy).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from bot.channels.signature import BadEnvelope, EnvelopeStamp

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WechatpyCheck:
    """What wechatpy needs to know of an app: token, receiver's id, and the keys in use, the newest first."""

    token: str = field(repr=False)
    receiver: str
    aes_keys: tuple[str, ...] = field(repr=False)

    async def echo(self, stamp: EnvelopeStamp, sealed: str, word: str) -> None:
        """Raises `BadEnvelope` unless wechatpy opens WeCom's echostr to the same word."""
        if word not in await asyncio.to_thread(self._opened, stamp, sealed):
            raise BadEnvelope("wechatpy check")

    async def signature(self, stamp: EnvelopeStamp) -> None:
        """Raises `BadEnvelope` unless wechatpy finds the plain signature of WeChat's check right."""
        await asyncio.to_thread(self._checked, stamp)

    def _opened(self, stamp: EnvelopeStamp, sealed: str) -> list[str]:
        from wechatpy.enterprise.crypto import WeChatCrypto

        words: list[str] = []
        for key in self.aes_keys:
            try:
                word = WeChatCrypto(self.token, key, self.receiver).check_signature(stamp.signature, stamp.timestamp, stamp.nonce, sealed)
            except Exception as wrong:  # anything at all, by bot/docs/protocols.md#wechatpy
                log.info("wechatpy check differs", error=type(wrong).__name__)
                continue
            words.append(word.decode() if isinstance(word, bytes) else str(word))
        return words

    def _checked(self, stamp: EnvelopeStamp) -> None:
        from wechatpy.exceptions import InvalidSignatureException
        from wechatpy.utils import check_signature

        try:
            check_signature(self.token, stamp.signature, stamp.timestamp, stamp.nonce)
        except InvalidSignatureException as wrong:
            raise BadEnvelope("wechatpy check") from wrong

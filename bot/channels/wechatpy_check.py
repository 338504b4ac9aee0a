"""Checks the verification of a callback address with wechatpy as well as with our own codec.

Messages are read by our codec alone, which tests compare with wechatpy. When an administrator saves the address in the platform's console, which
is rare and watched, both have to agree before the word is echoed: a faulty codec is found there, and not by lost answers. wechatpy raises
whatever its parts raise, and importing it takes a third of a second, so it is wrapped and runs in a thread (bot/docs/protocols.md#wechatpy).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from bot.channels.signature import BadEnvelope, EnvelopeStamp

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WechatpyCheck:
    """wechatpy's check for one app, by its token, its receiver's id and the keys in use, the newest first."""

    token: str = field(repr=False)
    receiver: str
    aes_keys: tuple[str, ...] = field(repr=False)

    async def echo(self, stamp: EnvelopeStamp, sealed: str, word: str) -> None:
        """Raises `BadEnvelope` unless wechatpy decrypts WeCom's echostr to the same word."""
        if word not in await asyncio.to_thread(self._opened, stamp, sealed):
            raise BadEnvelope("wechatpy check")

    async def signature(self, stamp: EnvelopeStamp) -> None:
        """Raises `BadEnvelope` unless wechatpy accepts the signature of WeChat's address check."""
        await asyncio.to_thread(self._checked, stamp)

    def _opened(self, stamp: EnvelopeStamp, sealed: str) -> list[str]:
        from wechatpy.enterprise.crypto import WeChatCrypto

        words: list[str] = []
        for key in self.aes_keys:
            try:
                word = WeChatCrypto(self.token, key, self.receiver).check_signature(stamp.signature, stamp.timestamp, stamp.nonce, sealed)
            except Exception as wrong:  # wechatpy may raise anything (bot/docs/protocols.md#wechatpy)
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

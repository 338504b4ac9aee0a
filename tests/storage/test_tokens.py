"""A platform's token lies sealed in one row, and one replica at a time fetches the next."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import text

from bot.channels.base import Token, TokenStore
from bot.storage.db.database import Database
from bot.storage.system.tokens import SealedTokens
from tests.conftest import NOW, Clock

KEY = "wecom:ww1:1000002"
TOKEN = Token("a-token-of-the-platform", NOW + timedelta(hours=2))


def store(database: Database, clock: Clock, secret: str = "the-secret-of-the-app") -> SealedTokens[Token]:
    return SealedTokens(database, lambda key: secret, Token, clock)


async def test_what_one_replica_kept_another_reads(database: Database, clock: Clock) -> None:
    tokens: TokenStore = store(database, clock)
    assert await tokens.read(KEY) is None
    assert await tokens.lease(KEY, "one", 10)
    assert await tokens.read(KEY) is None, "a lease is no token"
    await tokens.save(KEY, "one", TOKEN)
    assert await store(database, clock).read(KEY) == TOKEN
    assert await store(database, clock).read("wecom:ww1:other") is None


async def test_the_row_does_not_show_the_token_and_no_other_secret_opens_it(database: Database, clock: Clock) -> None:
    tokens = store(database, clock)
    await tokens.save(KEY, "one", TOKEN)
    await tokens.save("wecom:ww1:other", "one", TOKEN)
    rows = await database.read(lambda session: session.execute(text("SELECT name, sealed FROM platform_token ORDER BY name")).all())
    assert TOKEN.value not in str(rows)
    assert rows[0][1] != rows[1][1]
    assert await store(database, clock, "the-secret-after-a-change").read(KEY) is None
    # A sealed value moved to another app's row is worth nothing there.
    await database.write(
        lambda session: session.execute(text("UPDATE platform_token SET sealed = :s WHERE name = :n"), {"s": rows[0][1], "n": rows[1][0]})
    )
    assert await tokens.read(rows[1][0]) is None


async def test_a_row_that_was_spoilt_is_as_good_as_none(database: Database, clock: Clock) -> None:
    tokens = store(database, clock)
    await tokens.save(KEY, "one", TOKEN)
    for spoilt in ("", "no base64!", "YWJj", "A" * 100):
        await database.write(lambda session, value=spoilt: session.execute(text("UPDATE platform_token SET sealed = :s"), {"s": value}))  # type: ignore[misc]
        assert await tokens.read(KEY) is None


async def test_of_many_who_want_to_fetch_one_may(database: Database, clock: Clock) -> None:
    tokens = store(database, clock)
    won = await asyncio.gather(*(tokens.lease(KEY, f"replica-{number}", 10) for number in range(20)))
    assert sum(won) == 1


async def test_a_lease_is_renewed_by_its_holder_and_ends_by_itself(database: Database, clock: Clock) -> None:
    tokens = store(database, clock)
    assert await tokens.lease(KEY, "one", 10)
    assert await tokens.lease(KEY, "one", 10)
    clock.pass_(9)
    assert not await tokens.lease(KEY, "two", 10)
    clock.pass_(1)
    assert await tokens.lease(KEY, "two", 10)


async def test_a_token_ends_the_lease_and_one_that_comes_too_late_is_dropped(database: Database, clock: Clock) -> None:
    tokens = store(database, clock)
    assert await tokens.lease(KEY, "slow", 10)
    clock.pass_(11)
    assert await tokens.lease(KEY, "quick", 10)
    await tokens.save(KEY, "slow", Token("the-older-token", TOKEN.expires_at))
    assert await tokens.read(KEY) is None
    await tokens.save(KEY, "quick", TOKEN)
    assert await tokens.read(KEY) == TOKEN
    assert await tokens.lease(KEY, "anybody", 10)

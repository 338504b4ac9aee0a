"""A token row in memory, as two replicas would share it in the database."""

from __future__ import annotations

from bot.channels.base import Clock, Token


class MemoryTokens:
    """`bot.channels.base.TokenStore` with the row in plain sight."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: dict[str, Token] = {}
        self.leases: dict[str, tuple[str, float]] = {}
        self.saves = 0

    async def read(self, key: str) -> Token | None:
        return self.rows.get(key)

    async def lease(self, key: str, holder: str, seconds: float) -> bool:
        now = self.clock().timestamp()
        owner, until = self.leases.get(key, (holder, 0.0))
        if owner != holder and until > now:
            return False
        self.leases[key] = (holder, now + seconds)
        return True

    async def save(self, key: str, holder: str, token: Token) -> None:
        self.rows[key] = token
        self.leases.pop(key, None)
        self.saves += 1


class UnlimitedQuota:
    """A platform without limits: nothing is counted."""

    def look(self, user: str) -> bool:
        return True

    async def take(self, user: str, *, calls: int = 1, messages: int = 1, granted: bool = False) -> None:
        return None


UNLIMITED = UnlimitedQuota()

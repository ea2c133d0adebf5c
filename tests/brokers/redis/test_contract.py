"""The broker over Redis: the contract of all brokers."""

from __future__ import annotations

from slanger.interfaces import IBroker
from tests.brokers.contract import BrokerContract
from tests.brokers.redis.cluster import RedisTestCase
from tests.builders import Node


class RedisContract(RedisTestCase, BrokerContract):
    """A broker over Redis keeps the contract."""

    async def begin(self) -> None:
        """Make the first node, and let it join."""
        await super().begin()
        await self.settle()

    def attached(self) -> tuple[IBroker, Node]:
        """Make a broker with its node, and start it."""
        broker, node = super().attached()
        self.brokers[-1].startService()
        return broker, node

    async def settle(self) -> None:
        """Wait until all have joined, and what was asked has come back."""
        await self.until(lambda: all(broker.cut_off_since() is None for broker in self.brokers))
        await self.let_pass(0.05)

"""The broker over Redis: the contract, on a real Redis."""

from __future__ import annotations

import functools
import itertools
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from slanger.brokers.redis.address import read_redis_url
from slanger.brokers.redis.broker import RedisBroker
from slanger.brokers.redis.endpoints import redis_endpoint
from slanger.brokers.redis.root import Root
from slanger.domain.cache import EventCache
from slanger.interfaces import IBroker
from tests.brokers.contract import TTL, BrokerContract, told_app
from tests.builders import Node
from tests.cluster.redis import RedisServer
from tests.sdk.case import until_exit

_numbers = itertools.count(1)


@functools.cache
def shared_redis() -> RedisServer:
    """Give a Redis that runs until the tests are over."""
    return until_exit.enter_context(RedisServer())


class RedisContract(BrokerContract, TestCase):
    """A broker over Redis keeps the contract."""

    def setUp(self) -> None:
        """Have a deployment of its own."""
        self.prefix = f"contract-{next(_numbers)}"
        self.brokers: list[RedisBroker] = []

    def tearDown(self) -> Deferred[Any]:  # type: ignore[override]
        """Leave the cluster."""
        return gatherResults([broker.stopService() for broker in self.brokers])

    def make_broker(self) -> IBroker:
        """Make one more node of the cluster."""
        address = read_redis_url("-r", shared_redis().url)
        assert address is not None
        clock: Any = reactor
        broker = RedisBroker(
            address=address,
            endpoint=redis_endpoint(address, reactor),
            root=Root(self.prefix, 0, f"{next(_numbers):x}", 1000),
            clock=clock,
            apps=[told_app(), told_app("another-key")],
            cache=EventCache(TTL, 10_000),
            cache_ttl=TTL,
            lease=1.2,
            buffer_bytes=10_000_000,
        )
        self.brokers.append(broker)
        return broker

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
        while any(broker.cut_off_since() is not None for broker in self.brokers):
            await self.let_pass(0.01)
        await self.let_pass(0.05)

    async def let_pass(self, seconds: float) -> None:
        """Let the time pass."""
        passing: Deferred[None] = deferLater(reactor, seconds)
        await passing

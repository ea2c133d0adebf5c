"""Brokers of several nodes in one process, on a real Redis."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from slanger.brokers.redis.address import read_redis_url
from slanger.brokers.redis.broker import RedisBroker
from slanger.brokers.redis.endpoints import redis_endpoint
from slanger.brokers.redis.root import Root
from slanger.complaints import Complaints
from slanger.domain.apps import Apps
from slanger.domain.cache import EventCache
from slanger.tallies import Tallies
from tests.brokers.contract import TTL, told_app
from tests.builders import Node
from tests.cluster.redis import RedisServer
from tests.sdk.case import until_exit
from tests.server import PATIENCE

LEASE = 1.2
"""Seconds for which a lease lasts here."""

_numbers = itertools.count(1)


@functools.cache
def shared_redis() -> RedisServer:
    """Give a Redis that runs until the tests are over."""
    return until_exit.enter_context(RedisServer())


class RedisTestCase(TestCase):
    """Tests with brokers of one deployment, each with a node that keeps what it is told."""

    replay_events = 1000

    def setUp(self) -> None:
        """Have a deployment of its own."""
        self.prefix = f"deployment-{next(_numbers)}"
        self.app = replace(told_app(), presence_members=10)
        self.redis = shared_redis()
        self.brokers: list[RedisBroker] = []

    def tearDown(self) -> Deferred[Any]:  # type: ignore[override]
        """Leave the cluster."""
        return gatherResults([broker.stopService() for broker in self.brokers])

    def make_broker(self, apps: Apps | None = None) -> RedisBroker:
        """Make one more broker of the cluster; by default it serves two apps."""
        address = read_redis_url("-r", self.redis.url)
        assert address is not None
        clock: Any = reactor
        broker = RedisBroker(
            address=address,
            endpoint=redis_endpoint(address, reactor),
            root=Root(self.prefix, 0, f"{next(_numbers):x}", self.replay_events),
            clock=clock,
            apps=apps or Apps([told_app(), told_app("another-key")]),
            cache=EventCache(TTL, 10_000),
            lease=LEASE,
            buffer_bytes=10_000_000,
            complaints=Complaints(clock, Tallies()),
        )
        self.brokers.append(broker)
        return broker

    async def joined(self, apps: Apps | None = None) -> tuple[RedisBroker, Node]:
        """Make one more node, and let it join."""
        broker, node = self.make_broker(apps), Node()
        broker.attach(node)
        broker.startService()
        await self.until(lambda: broker.cut_off_since() is None)
        return broker, node

    def subscribe(self, broker: RedisBroker, node: Node, channel: str) -> None:
        """Put a subscriber on a channel, as a registry does."""
        node.subscribed[self.app.key, channel] = 1
        broker.open(self.app, channel)

    def key(self, name: str) -> str:
        """Name a key of the app."""
        return f"{self.prefix}:0:{self.app.key}:{name}"

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something has happened."""
        for _ in range(int(PATIENCE * 100)):
            if happened():
                return
            await self.let_pass(0.01)
        raise AssertionError("it has not happened")

    async def let_pass(self, seconds: float) -> None:
        """Let the time pass."""
        passing: Deferred[None] = deferLater(reactor, seconds)
        await passing

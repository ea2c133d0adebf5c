"""The broker of a node without peers."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from slanger.brokers.alone import Alone
from slanger.domain.cache import EventCache
from slanger.interfaces import IBroker
from slanger.protocol.errors import SubscriptionRefused
from tests.brokers.contract import TTL, BrokerContract
from tests.builders import Node, make_app, make_member


class AloneContract(BrokerContract, TestCase):
    """A broker without peers keeps the contract."""

    def setUp(self) -> None:
        """Have a clock."""
        self.clock = Clock()

    async def let_pass(self, seconds: float) -> None:
        """Move the clock."""
        self.clock.advance(seconds)

    def make_broker(self) -> IBroker:
        """Make one."""
        return Alone(self.clock, EventCache(TTL, 10_000))


class AloneMemory(SynchronousTestCase):
    """What a broker without peers keeps."""

    def test_empty_rosters(self) -> None:
        """A roster is forgotten with its last user, however many there were and whoever was refused."""
        broker, app = Alone(Clock(), EventCache(60, 100)), make_app(presence_members=1)
        broker.attach(Node())
        for number in range(100):
            channel = f"presence-{number}"
            broker.enter(app, channel, make_member("7"), "1.1")
            self.failureResultOf(broker.enter(app, channel, make_member("8"), "2.2"), SubscriptionRefused)
            broker.leave(app, channel, "8", "2.2")
            broker.leave(app, channel, "7", "1.1")
        self.assertEqual(broker._rosters, {})

    def test_queries(self) -> None:
        """Asking about channels that nobody is on leaves nothing behind."""
        broker, app = Alone(Clock(), EventCache(60, 100)), make_app()
        broker.attach(Node())
        self.successResultOf(broker.users(app, "presence-a"))
        self.successResultOf(broker.counts(app, ["presence-a", "a"]))
        broker.leave(app, "presence-a", "7", "1.1")
        self.assertEqual(broker._rosters, {})

    def test_misses(self) -> None:
        """Cache channels: an empty channel is told again after ten seconds, or once it had an event; then forgotten."""
        clock, node, app = Clock(), Node(), make_app()
        broker = Alone(clock, EventCache(1, 100))
        broker.attach(node)
        for seconds, told in ((0, 1), (9.9, 1), (0.1, 2), (9.9, 2)):
            clock.advance(seconds)
            broker.missed(app, "cache-a")
            self.assertEqual(len(node.occurrences), told)
        broker.remember(app, "cache-a", "e", "{}")
        broker.missed(app, "cache-a")
        self.assertEqual(len(node.occurrences), 3)
        for number in range(100):
            clock.advance(1)
            broker.missed(app, f"cache-{number}")
        self.assertLessEqual(len(broker._misses._told_at), 10)

"""The broker of a node without peers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase, TestCase

from slanger.brokers.alone import Alone
from slanger.interfaces import IBroker
from slanger.protocol.errors import SubscriptionRefused
from tests.brokers.contract import BrokerContract
from tests.builders import Node, make_app, make_member


class AloneContract(BrokerContract, TestCase):
    """A broker without peers keeps the contract."""

    def make_broker(self) -> IBroker:
        """Make one."""
        return Alone()


class AloneMemory(SynchronousTestCase):
    """What a broker without peers keeps."""

    def test_empty_rosters(self) -> None:
        """A roster is forgotten with its last user, however many there were and whoever was refused."""
        broker, app = Alone(), make_app(presence_members=1)
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
        broker, app = Alone(), make_app()
        broker.attach(Node())
        self.successResultOf(broker.users(app, "presence-a"))
        self.successResultOf(broker.counts(app, ["presence-a", "a"]))
        broker.leave(app, "presence-a", "7", "1.1")
        self.assertEqual(broker._rosters, {})

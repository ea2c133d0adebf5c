"""Short turns."""

from __future__ import annotations

import socket

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.pollreactor import PollReactor
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slanger.services.turns import EVENTS, ShortTurns


class Counting(Protocol):
    """A connection that counts what happens to it."""

    factory: Counts

    def connectionMade(self) -> None:
        """Count it."""
        self.factory.made += 1

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count it."""
        self.factory.lost += 1
        fault, self.factory.fault = self.factory.fault, None
        if fault is not None:
            raise fault


class Counts(Factory):
    """What has happened to all."""

    noisy = False
    protocol = Counting  # type: ignore[assignment]
    made = lost = 0
    fault: Exception | None = None
    """Raised by whichever connection is lost first."""


class ShortTurnsTests(SynchronousTestCase):
    """However many vanish at once, others get their turn."""

    def setUp(self) -> None:
        """Have a real reactor of one's own, that nobody runs."""
        self.reactor = EPollReactor()
        self.addCleanup(self.close)
        self.turns = ShortTurns(self.reactor)

    def close(self) -> None:
        """Let go of it."""
        for each in self.reactor.removeAll():
            each.connectionLost(connectionDone)
        self.reactor._poller.close()

    def vanish(self, count: int, fault: Exception | None = None) -> list[int]:
        """Connect so many and let all vanish at once; tell how many were taken up in each turn, until none was left.

        :param fault: raised as the first of them is lost.
        """
        counts = Counts()
        counts.fault = fault
        port = self.reactor.listenTCP(0, counts, backlog=count, interface="127.0.0.1")
        sockets = [socket.create_connection(("127.0.0.1", port.getHost().port)) for _ in range(count)]
        while counts.made < count:
            self.reactor.doIteration(0)
        for each in sockets:
            each.close()
        lost = []
        while counts.lost < count:
            before = counts.lost
            self.reactor.doIteration(0)
            lost.append(counts.lost - before)
        return lost

    def test_few_at_a_time(self) -> None:
        """Speed: of many that vanish at once so many are taken up in each turn, and all in the end."""
        self.turns.startService()
        self.assertEqual(self.vanish(3 * EVENTS + 1), [EVENTS, EVENTS, EVENTS, 1])

    def test_fault(self) -> None:
        """Faults: a connection that fails as it is lost is logged, and keeps no other from its turn."""
        self.turns.startService()
        self.assertEqual(self.vanish(EVENTS, ZeroDivisionError("of a test")), [EVENTS])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stop(self) -> None:
        """A service that stopped leaves the reactor as it was, with all that it watches."""
        self.turns.startService()
        self.turns.stopService()
        self.assertEqual(self.vanish(2 * EVENTS), [2 * EVENTS])

    def test_other_reactors(self) -> None:
        """Another kind of reactor is left alone."""
        other = PollReactor()
        before = dict(vars(other))
        turns = ShortTurns(other)
        turns.startService()
        self.assertEqual(vars(other), before)
        turns.stopService()
        self.assertEqual(vars(other), before)
        for each in other.removeAll():
            each.connectionLost(connectionDone)

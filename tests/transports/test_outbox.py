"""What connections are to be sent: joined per turn, kept for slow readers, and bounded."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode
from zope.interface.verify import verifyObject

from slanger.protocol.names import UNLIMITED
from slanger.tallies import Tallies
from slanger.transports.outbox import SENDS, Outbox, Turn
from tests.builders import LIMITS
from tests.transports.client import Transport, WebSocketTestCase, close_of


class OutboxTests(SynchronousTestCase):
    """One outbox."""

    def setUp(self) -> None:
        """Make an outbox."""
        self.clock = Clock()
        self.turn = Turn(self.clock, LIMITS, Tallies())
        self.overflows = 0
        self.transport = Transport()
        self.outbox = Outbox(self.transport, self.turn, self)

    def overflowed(self) -> None:
        """Count an overflow, and end the connection as a transport would."""
        self.overflows += 1
        self.outbox.close()

    def test_interface(self) -> None:
        """Interfaces: an outbox is told when to pause, by a transport that is left something to write."""
        verifyObject(IPushProducer, self.outbox)
        self.assertIsNone(self.transport.producer)
        self.outbox.put(b"a")
        self.clock.advance(0)
        self.outbox.put(b"b")
        self.clock.advance(0)
        self.assertIs(self.transport.producer, self.outbox)

    def test_joined(self) -> None:
        """Fan-out: the frames of one turn leave in one write when it is over."""
        for frame in (b"a", b"b", b"c"):
            self.outbox.put(frame)
        self.assertEqual(self.transport.writes, [])
        self.clock.advance(0)
        self.assertEqual(self.transport.writes, [b"abc"])

    def test_one_timer(self) -> None:
        """Fan-out: however many outboxes are given something in a turn, the reactor is asked once."""
        outboxes = [Outbox(Transport(), self.turn, self) for _ in range(10)]
        for outbox in outboxes:
            outbox.put(b"a")
            outbox.put(b"b")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_fault(self) -> None:
        """One bad client: where sending fails, it is logged, and the others are sent theirs, in this turn and later."""
        faulty, well = Transport(), Transport()
        self.patch(faulty, "write", lambda _: 1 / 0)
        outboxes = [Outbox(each, self.turn, self) for each in (faulty, well)]
        for text in (b"a", b"b"):
            for outbox in outboxes:
                outbox.put(text)
            self.clock.advance(0)
        self.assertEqual(well.writes, [b"a", b"b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_short_turns(self) -> None:
        """Speed: one turn sends to so many; the others are next, before those that are given something meanwhile."""
        transports = [Transport() for _ in range(2 * SENDS + 1)]
        outboxes = [Outbox(each, self.turn, self) for each in transports]
        for outbox in outboxes:
            outbox.put(b"a")
        sent = []
        for _ in range(3):
            self.clock.calls.pop(0).func()  # one turn; `advance` would go on until nothing is due
            sent.append(sum(len(each.writes) for each in transports))
            outboxes[0].put(b"b")
            outboxes[-1].put(b"b")
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0)
        self.assertEqual(sent, [SENDS, 2 * SENDS, 2 * SENDS + 2])
        self.assertEqual(transports[0].writes, [b"a", b"bb", b"b"])
        self.assertEqual(transports[-1].writes, [b"abb", b"b"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_paused(self) -> None:
        """Bounded: while the transport's buffer is full, frames wait, and leave in order when it is not."""
        self.outbox.pauseProducing()
        for frame in (b"a", b"b"):
            self.outbox.put(frame)
            self.clock.advance(0)
        self.assertEqual(self.transport.writes, [])
        self.outbox.resumeProducing()
        self.outbox.put(b"c")
        self.clock.advance(0)
        self.assertEqual(b"".join(self.transport.writes), b"abc")

    def test_paused_in_the_middle_of_a_turn(self) -> None:
        """Bounded: what was given before the pause waits too, and counts."""
        self.outbox.put(b"a" * LIMITS.backlog_bytes)
        self.outbox.pauseProducing()
        self.clock.advance(0)
        self.assertEqual((self.transport.writes, self.overflows), ([], 0))
        self.outbox.put(b"b")
        self.clock.advance(0)
        self.assertEqual((self.transport.writes, self.overflows), ([], 1))

    def test_full_to_the_brim(self) -> None:
        """Bounded: as many bytes as the limit says wait, one more is too many; it is told once."""
        self.outbox.pauseProducing()
        for _ in range(16):
            self.outbox.put(b"x" * (LIMITS.backlog_bytes // 16))
        self.clock.advance(0)
        self.assertEqual(self.overflows, 0)
        self.outbox.put(b"x")
        self.outbox.put(b"y")
        self.clock.advance(0)
        self.outbox.put(b"z")
        self.clock.advance(0)
        self.assertEqual((self.transport.writes, self.overflows), ([], 1))

    def test_too_slow_and_gone(self) -> None:
        """Bounded: a connection that ends in the turn in which its backlog grows too large is not ended once more."""
        for number, end in enumerate((Outbox.close, Outbox.stopProducing)):
            outbox = Outbox(Transport(), self.turn, self)
            outbox.pauseProducing()
            outbox.put(b"x" * (LIMITS.backlog_bytes + 1))
            end(outbox)
            self.clock.advance(0)
            self.assertEqual((self.overflows, self.turn.backlog), (0, 0), number)

    def test_too_slow_again(self) -> None:
        """Bounded: a client that was too slow and caught up in one turn is held to the limit when it is slow again."""
        self.outbox.pauseProducing()
        self.outbox.put(b"x" * (LIMITS.backlog_bytes + 1))
        self.outbox.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(self.overflows, 0)
        self.outbox.pauseProducing()
        self.outbox.put(b"x" * (LIMITS.backlog_bytes + 1))
        self.clock.advance(0)
        self.assertEqual(self.overflows, 1)

    def test_spared(self) -> None:
        """Bounded: a client that was spared where all together were too slow is held to its own limit afterwards."""
        self.turn.limits = replace(LIMITS, total_backlog_bytes=LIMITS.backlog_bytes)
        worse = Outbox(Transport(), self.turn, self)
        self.patch(self, "overflowed", worse.close)
        for outbox, size in ((worse, LIMITS.backlog_bytes), (self.outbox, LIMITS.backlog_bytes // 2)):
            outbox.pauseProducing()
            outbox.put(b"x" * size)
        self.clock.advance(0)
        self.assertEqual(list(self.turn.slow), [self.outbox])
        self.turn.limits = LIMITS
        self.patch(self, "overflowed", self.outbox.close)
        self.outbox.put(b"x" * LIMITS.backlog_bytes)
        self.clock.advance(0)
        self.assertEqual(list(self.turn.slow), [])

    def test_fast_reader(self) -> None:
        """Bounded: a client that takes everything may be sent any number of bytes in a turn."""
        for _ in range(4):
            self.outbox.put(b"x" * LIMITS.backlog_bytes)
        self.clock.advance(0)
        self.assertEqual((len(self.transport.value()), self.overflows), (4 * LIMITS.backlog_bytes, 0))

    def test_backlog_starts_anew(self) -> None:
        """Bounded: what a slow reader has taken no longer counts."""
        for _ in range(5):
            self.outbox.pauseProducing()
            self.outbox.put(b"x" * (LIMITS.backlog_bytes // 2))
            self.clock.advance(0)
            self.outbox.resumeProducing()
        self.assertEqual((len(self.transport.value()), self.overflows), (5 * LIMITS.backlog_bytes // 2, 0))

    def test_close(self) -> None:
        """Close: what waits leaves at once, what comes later is dropped, the transport is let go."""
        self.outbox.put(b"a")
        self.outbox.close()
        self.assertEqual(self.transport.writes, [b"a"])
        self.outbox.put(b"b")
        self.outbox.close()
        self.clock.advance(0)
        self.assertEqual(self.transport.writes, [b"a"])
        self.assertIsNone(self.transport.producer)

    def test_transport_gone(self) -> None:
        """Gone: an outbox whose transport is gone keeps nothing."""
        self.outbox.put(b"a")
        self.outbox.stopProducing()
        self.outbox.put(b"b")
        self.clock.advance(0)
        self.assertEqual(self.transport.writes, [])


class SlowReaderTests(WebSocketTestCase):
    """A slow reader among others."""

    def setUp(self) -> None:
        """Connect two clients to one channel; the first stops to read."""
        super().setUp()
        self.slow, self.quick = self.connect(), self.connect()
        self.subscribe(self.slow)
        self.subscribe(self.quick)
        producer = self.slow.transport.producer
        assert producer is not None
        self.producer = producer
        self.producer.pauseProducing()

    def test_waits(self) -> None:
        """Bounded: a client that reads on after a while has missed nothing."""
        for number in range(100):
            self.publish(str(number))
            self.end_turn()
        self.assertEqual(self.slow.transport.writes, [])
        self.producer.resumeProducing()
        expected = [str(number) for number in range(100)]
        self.assertEqual([each["data"] for each in self.slow.messages()], expected)
        self.assertEqual([each["data"] for each in self.quick.messages()], expected)

    def test_too_slow(self) -> None:
        """Bounded: past the limit it is closed with 4100, once; nobody else notices."""
        count = LIMITS.backlog_bytes // 10_000 + 10
        for _ in range(count):
            self.publish("x" * 10_000)
            self.end_turn()
        code, _ = close_of(self.slow.frames())
        self.assertEqual(code, 4100)
        self.assertEqual(len(self.quick.messages()), count)
        self.assertFalse(self.quick.transport.ended)
        self.clock.pump([0.5] * 6)
        self.assertTrue(self.slow.transport.ended)

    def test_dropped(self) -> None:
        """Bounded: what waited for a client that was too slow is not kept until the connection has ended."""
        for _ in range(LIMITS.backlog_bytes // 10_000 + 10):
            self.publish("x" * 10_000)
            self.end_turn()
        self.producer.resumeProducing()
        self.assertEqual([each.opcode for each in self.slow.frames()], [Opcode.CLOSE])

    def test_pings_without_end(self) -> None:
        """Bounded: the answers to PING frames of a client that reads none of them count as its backlog too."""
        self.factory.apply(replace(LIMITS, messages_per_second=UNLIMITED))
        pings = [Frame(Opcode.PING, b"x" * 125)] * 100
        for _ in range(LIMITS.backlog_bytes // (127 * 100) + 10):
            self.slow.send(*pings)
            self.end_turn()
            self.assertLess(len(self.slow.transport.value()), 1000)
        self.assertEqual(close_of(self.slow.frames())[0], 4100)

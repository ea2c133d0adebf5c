"""The end of a node, step by step."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.webhooks import Hook
from slanger.interfaces import IConnected
from slanger.protocol.errors import OVER_CAPACITY, SHUTTING_DOWN, ConnectionRefused
from slanger.services.drain import CLOSING, SLOWEST, STEP, WEBHOOKS, Draining
from slanger.services.readiness import Readiness
from slanger.services.webhooks import Webhooks
from tests.builders import KEY, MemoryNode, Wire, make_app, make_endpoint, subscribe

TICK = 0.01


class LeavingWire(Wire):
    """A wire whose client leaves when it is closed, as all do."""

    client: IConnected

    def __init__(self, drain: DrainTests) -> None:
        super().__init__()
        self._drain = drain

    def close(self, code: object, reason: str) -> None:
        """Note when, and leave."""
        self.closes.append((code, reason))  # type: ignore[arg-type]
        self._drain.note(f"close {getattr(code, 'number', code)}")
        if self._drain.clients_leave:
            self._drain.clock.callLater(0, self.client.gone, 4200)


class Port(Service):
    """A port that notes its end."""

    def __init__(self, drain: DrainTests, name: str) -> None:
        self._drain = drain
        self._name = name

    def stopService(self) -> None:
        """Note it."""
        if self.running:
            self._drain.note(f"{self._name} closed")
        super().stopService()


class FailingPort(Service):
    """A port that cannot be closed the first time."""

    def stopService(self) -> None:
        """Fail, once."""
        if self.running:
            super().stopService()
            raise ZeroDivisionError


class DrainTests(SynchronousTestCase):
    """A node alone in memory, with a webhook."""

    def setUp(self) -> None:
        """Start a node."""
        self.begin()

    def begin(self, seconds: float = 5) -> None:
        """Start a node that sends its clients away over so many seconds."""
        self.clock = Clock()
        self.story: list[tuple[float, str]] = []
        self.clients_leave = True
        self.handshakes: list[object] = []
        self.answers: list[Deferred[int]] = []
        self.webhooks = Webhooks(self.clock, self.post, lambda: 1.0)
        app = make_app(webhooks=[make_endpoint("channel_occupied", "channel_vacated")])
        self.node = MemoryNode(app, webhooks=self.webhooks, clock=self.clock)
        self.readiness = Readiness(self.clock, lambda: None, lambda: None)
        self.draining = Draining(
            self.clock,
            self.readiness,
            self.node.broker,
            self.node.subscribers,
            self.handshakes,
            self.webhooks,
            drain_seconds=seconds,
            on_leaving=[lambda: self.note("leaving")],
        )
        self.webhooks.setServiceParent(self.draining)
        self.draining.add_port(Port(self, "websockets"), for_requests=False)
        self.draining.add_port(Port(self, "api"), for_requests=True)
        self.readiness.setServiceParent(self.draining)
        self.draining.startService()

    def note(self, what: str) -> None:
        """Note that something happens."""
        self.story.append((round(self.clock.seconds() - self.began, 3), what))

    def post(self, url: str, hook: Hook) -> Deferred[int]:
        """Send a webhook, whose answer the test gives."""
        self.note("webhook")
        answer: Deferred[int] = Deferred()
        self.answers.append(answer)
        return answer

    began = 0.0

    def connect(self, count: int) -> list[LeavingWire]:
        """Let clients in."""
        wires = [LeavingWire(self) for _ in range(count)]
        for wire in wires:
            wire.client = self.node.subscribers.connect(wire, KEY, "7", None)
        return wires

    def stop(self, seconds: float) -> Deferred[None]:
        """Begin to stop, and let so much time pass."""
        self.began = self.clock.seconds()
        stopping = self.draining.stopService()
        self.pass_(seconds)
        return stopping

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.pump([TICK] * int(seconds / TICK))

    @property
    def closed_at(self) -> list[float]:
        """When clients were sent away."""
        return [when for when, what in self.story if what == "close 4200"]

    def test_order(self) -> None:
        """Stop: first nobody is sent here any more, then clients go, then the API's port, then the rest."""
        self.connect(2)
        self.successResultOf(self.stop(2))
        self.assertEqual(
            [what for _, what in self.story],
            ["leaving", "websockets closed", "close 4200", "close 4200", "api closed"],
        )
        self.assertIn("stopping", str(self.readiness.reason))
        self.assertFalse(self.draining.running)

    def test_spread(self) -> None:
        """Stop: clients are sent away at a steady rate over the seconds that were asked for."""
        self.connect(1000)
        stopping = self.stop(4.5)
        self.assertNoResult(stopping)
        gone_by = [sum(when <= at for when in self.closed_at) for at in (0, 1, 2, 3, 4)]
        for at, gone in enumerate(gone_by):
            self.assertLess(abs(gone - 200 * at), 200 * STEP * 1.5)
        self.pass_(1)
        self.successResultOf(stopping)
        self.assertEqual(len(self.closed_at), 1000)

    def test_few(self) -> None:
        """Stop: a few clients are sent away faster than that."""
        self.connect(SLOWEST // 2)
        self.successResultOf(self.stop(0.5 + 4 * STEP))

    def test_at_once(self) -> None:
        """Stop: with 0 seconds everybody is sent away at once."""
        self.begin(seconds=0)
        self.connect(1000)
        stopping = self.stop(0)
        self.assertEqual(self.closed_at, [0.0] * 1000)
        self.pass_(1)
        self.successResultOf(stopping)

    def test_code(self) -> None:
        """Close codes: clients that are sent away come back at once; who comes meanwhile is to wait for a second."""
        (wire,) = self.connect(1)
        self.stop(0)
        self.assertEqual(wire.closes, [(SHUTTING_DOWN, "Server is shutting down")])
        refusal = self.assertRaises(ConnectionRefused, self.node.subscribers.connect, Wire(), KEY, "7", None)
        self.assertEqual((refusal.code, refusal.message), (OVER_CAPACITY, "Server is shutting down"))

    def test_accepted_before(self) -> None:
        """Stop: who was accepted as the port closed has a moment to say who he is, and is sent away like the others."""
        self.handshakes.append(None)
        stopping = self.stop(0)
        (wire,) = self.connect(1)
        self.handshakes.clear()
        self.pass_(4 * STEP)
        self.successResultOf(stopping)
        self.assertEqual([code for code, _ in wire.closes], [SHUTTING_DOWN])

    def test_gone_by_themselves(self) -> None:
        """Stop: when all have gone by themselves there is nothing to wait for."""
        wires = self.connect(1000)
        stopping = self.stop(1)
        for wire in wires:
            if not wire.closes:
                wire.client.gone(1001)
        self.pass_(0.5)
        self.successResultOf(stopping)

    def test_stubborn(self) -> None:
        """Stop: clients that do not answer the close are waited for, but not for ever; so are handshakes."""
        for prepare in (lambda: setattr(self, "clients_leave", False), lambda: self.handshakes.append(None)):
            self.setUp()
            self.connect(2)
            prepare()
            stopping = self.stop(CLOSING)
            self.assertNoResult(stopping)
            self.pass_(4 * STEP)
            self.successResultOf(stopping)

    def occupy(self) -> None:
        """Have the app told that a channel is occupied, and a second one, while the first is not answered."""
        (wire,) = self.connect(1)
        wire.client.receive(subscribe("one"))
        wire.client.receive(subscribe("two"))
        self.pass_(0)

    def test_webhooks(self) -> None:
        """Stop: webhooks that wait are sent, and so is at once what a node alone would have held back."""
        self.occupy()
        stopping = self.stop(0.5)
        told = 0
        while told < len(self.answers):
            self.assertNoResult(stopping)
            self.answers[told].callback(200)
            told += 1
            self.pass_(0.2)
        self.successResultOf(stopping)
        self.assertEqual(told, 4)  # two occupied, two vacated

    def test_webhooks_of_the_dead(self) -> None:
        """Stop: an endpoint that does not answer is not waited for for ever; what is not sent is logged."""
        self.occupy()
        with capturedLogs() as logs:
            stopping = self.stop(WEBHOOKS)
            self.assertNoResult(stopping)
            self.pass_(1)
            self.successResultOf(stopping)
        self.assertIn("that were not sent: 4", "\n".join(formatEvent(event) or "" for event in logs))

    def test_fault(self) -> None:
        """Stop: a fault in one step is told, and what has to end ends all the same."""
        self.draining.add_port(FailingPort(), for_requests=False)
        self.failureResultOf(self.stop(1), ZeroDivisionError)
        self.assertFalse(self.webhooks.running)

    def test_no_storm_of_removals(self) -> None:
        """Stop: clients of a node alone are not told of each other's going, as they all have to."""
        wires = self.connect(200)
        for number, wire in enumerate(wires):
            socket_id = f"{2 * number}.{2 * number + 1}"
            wire.client.receive(subscribe("presence-room", str(number), socket_id=socket_id))
        self.pass_(0)
        self.assertIn("pusher_internal:member_added", [said["event"] for said in wires[0].said])
        stopping = self.stop(1)
        self.assertNotIn("pusher_internal:member_removed", [said["event"] for said in wires[-1].said])
        self.pass_(WEBHOOKS + CLOSING)
        self.successResultOf(stopping)

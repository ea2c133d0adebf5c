"""One event to many subscribers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from slanger.interfaces import ISubscriber
from slanger.protocol import codec
from slanger.protocol.messages import Framing, Message
from slanger.services.fanout import fan_out
from tests.builders import Listener, make_app


@implementer(ISubscriber)
class FramingListener(Listener):
    """A subscriber whose transport frames what it is sent."""

    def __init__(self, socket_id: str, framing: Framing) -> None:
        super().__init__(make_app(), socket_id)
        self.framing = framing
        self.frames: list[bytes] = []

    def send(self, message: Message) -> None:
        """Frame a message."""
        self.frames.append(message.framed(self.framing))


class FanOut(SynchronousTestCase):
    """Fan-out: encoded once, framed once per kind of transport."""

    def setUp(self) -> None:
        """Have two kinds of transport, and a hundred subscribers on each."""
        self.calls: list[str] = []
        self.subscribers: dict[str, ISubscriber] = {}
        self.listeners: list[FramingListener] = []
        for number in range(200):
            listener = FramingListener(f"{number}.1", (self.square, self.round)[number % 2])
            self.listeners.append(listener)
            self.subscribers[listener.socket_id] = listener

    def square(self, text: bytes) -> bytes:
        """Frame a text for one kind."""
        self.calls.append("square")
        return b"[" + text + b"]"

    def round(self, text: bytes) -> bytes:
        """Frame a text for the other."""
        self.calls.append("round")
        return b"(" + text + b")"

    def test_framed_once(self) -> None:
        """Fan-out: one message is framed once per kind, however many subscribers there are."""
        fan_out(codec.event("news", "e", "{}"), self.subscribers)
        text = codec.event("news", "e", "{}").text
        self.assertEqual(sorted(self.calls), ["round", "square"])
        self.assertEqual(
            [listener.frames for listener in self.listeners], [[b"[" + text + b"]"], [b"(" + text + b")"]] * 100
        )

    def test_excluded(self) -> None:
        """Fan-out: all but the excluded one get it, framed once all the same."""
        fan_out(codec.event("news", "e", "{}"), self.subscribers, "7.1")
        self.assertEqual([each.socket_id for each in self.listeners if not each.frames], ["7.1"])
        self.assertEqual([len(each.frames) for each in self.listeners].count(1), 199)
        self.assertEqual(sorted(self.calls), ["round", "square"])

    def test_unknown_exclusion(self) -> None:
        """Trigger: an unknown socket id to exclude is ignored."""
        fan_out(codec.event("news", "e", "{}"), self.subscribers, "999.999")
        self.assertEqual([len(each.frames) for each in self.listeners], [1] * 200)

    def test_nobody(self) -> None:
        """Fan-out: nothing is framed for nobody."""
        fan_out(codec.event("news", "e", "{}"), {})
        self.assertEqual(self.calls, [])

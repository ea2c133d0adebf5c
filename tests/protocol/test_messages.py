"""Finished messages."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slanger.protocol.messages import Message


class Framings(SynchronousTestCase):
    """A message is framed once per kind of transport."""

    def test_once_per_framing(self) -> None:
        """Each framing is called once, however often its frame is asked for, and keeps its own result."""
        calls: list[str] = []

        def square(text: bytes) -> bytes:
            calls.append("square")
            return b"[" + text + b"]"

        def round_(text: bytes) -> bytes:
            calls.append("round")
            return b"(" + text + b")"

        message = Message(b"{}")
        self.assertEqual([message.framed(square) for _ in range(3)], [b"[{}]"] * 3)
        self.assertEqual([message.framed(round_) for _ in range(3)], [b"({})"] * 3)
        self.assertEqual(message.framed(square), b"[{}]")
        self.assertEqual(calls, ["square", "round"])

    def test_encoded_when_asked_for(self) -> None:
        """Fan-out: a message is encoded when its text or a frame is first asked for, once, and never for nobody."""
        calls: list[object] = []

        def encode(said: object) -> bytes:
            calls.append(said)
            return b"{}"

        message = Message("said", encode)
        self.assertEqual(calls, [])
        self.assertEqual((message.framed(bytes.lower), message.framed(bytes.upper), message.text), (b"{}",) * 3)
        self.assertEqual(calls, ["said"])

    def test_repr(self) -> None:
        """A message shows its text."""
        self.assertEqual(repr(Message(b"{}")), "Message(b'{}')")

"""What every test of a session begins with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slanger.protocol.effects import Effect, Join, Say
from slanger.protocol.session import Session, Standing
from tests.builders import SOCKET_ID, Json, error, make_app, read, subscribe


class SessionTestCase(SynchronousTestCase):
    """A session of socket 1234.1234, and what is asserted of it."""

    def setUp(self) -> None:
        """Begin a session under the default rules."""
        self.begin()

    def begin(self, **changes: Any) -> None:
        """Begin a session under rules changed as named."""
        self.session = Session(make_app(**changes), SOCKET_ID)

    def receive(self, text: bytes, now: float = 0.0) -> list[Effect]:
        """Take one message of the client."""
        return list(self.session.receive(text, now))

    def put_on(self, channel: str, user_id: str | None = None) -> None:
        """Bring a channel to ON."""
        self.assertIsInstance(self.receive(subscribe(channel, user_id))[0], Join)
        self.assertEqual(len(list(self.session.joined(channel))), 1)

    def said(self, effects: Iterable[Effect]) -> list[Json]:
        """Read effects that only say something."""
        messages = []
        for effect in effects:
            assert isinstance(effect, Say), effect
            messages.append(read(effect.message))
        return messages

    def assert_refused(self, effects: Iterable[Effect], message: str, code: int | None = None) -> None:
        """Check that the one answer is a `pusher:error`."""
        self.assertEqual(self.said(effects), [error(message, code)])

    def assert_unchanged(self, channel: str, standing: Standing) -> None:
        """Check where a channel stands."""
        self.assertIs(self.session.standing(channel), standing)

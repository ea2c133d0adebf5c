"""What a node tells the app by itself."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slanger.brokers.occurrences import LocalOccurrences
from slanger.domain.webhooks import Occurrence
from tests.builders import Node, make_app, make_endpoint

APP = make_app(webhooks=(make_endpoint(),))
PAIRS = (
    (Occurrence(name="channel_occupied", channel="a"), Occurrence(name="channel_vacated", channel="a")),
    (
        Occurrence(name="member_added", channel="presence-a", user_id="7"),
        Occurrence(name="member_removed", channel="presence-a", user_id="7"),
    ),
)


class Delays(SynchronousTestCase):
    """Webhooks, delays: three seconds in which an end may be undone."""

    def setUp(self) -> None:
        """Have a clock, and a node that is told."""
        self.clock, self.node = Clock(), Node()
        self.occurrences = LocalOccurrences(self.clock)
        self.occurrences.node = self.node

    def told(self) -> list[Occurrence]:
        """Give what the node was told since the last look."""
        told, self.node.occurrences = self.node.occurrences, []
        return told

    def test_held_back(self) -> None:
        """Delays: an end is told three seconds later; a beginning at once."""
        for beginning, end in PAIRS:
            self.occurrences.began(APP, beginning)
            self.occurrences.ended(APP, end)
            self.clock.advance(2.9)
            self.assertEqual(self.told(), [beginning])
            self.clock.advance(0.1)
            self.assertEqual(self.told(), [end])
            self.occurrences.began(APP, beginning)
            self.assertEqual(self.told(), [beginning])

    def test_cancelled(self) -> None:
        """Delays: what begins again in time was never gone: neither side is told, however often."""
        for beginning, end in PAIRS:
            self.occurrences.began(APP, beginning)
            for _ in range(3):
                self.occurrences.ended(APP, end)
                self.clock.advance(2.9)
                self.occurrences.began(APP, beginning)
            self.clock.advance(10)
            self.assertEqual(self.told(), [beginning])

    def test_each_user(self) -> None:
        """Delays: each user of a channel, each channel and each app is held back for itself."""
        end = Occurrence(name="member_removed", channel="presence-a", user_id="7")
        self.occurrences.ended(APP, end)
        others = [
            Occurrence(name="member_added", channel="presence-a", user_id="8"),
            Occurrence(name="member_added", channel="presence-b", user_id="7"),
            Occurrence(name="channel_occupied", channel="presence-a"),
        ]
        for other in others:
            self.occurrences.began(APP, other)
        self.occurrences.began(
            make_app("another-key", webhooks=APP.webhooks),
            Occurrence(name="member_added", channel="presence-a", user_id="7"),
        )
        self.assertEqual(self.told()[:3], others)
        self.clock.advance(3)
        self.assertEqual(self.told(), [end])

    def test_inbox(self) -> None:
        """Kinds: what happens on a user's inbox is nobody's business."""
        inbox = "#server-to-user-7"
        self.occurrences.began(APP, Occurrence(name="channel_occupied", channel=inbox))
        self.occurrences.ended(APP, Occurrence(name="channel_vacated", channel=inbox))
        self.clock.advance(3)
        self.assertEqual(self.told(), [])

    def test_stop(self) -> None:
        """A node that stops tells nothing more, and leaves no call waiting."""
        self.occurrences.ended(APP, PAIRS[0][1])
        self.occurrences.stop()
        self.assertEqual((self.clock.getDelayedCalls(), self.told()), ([], []))

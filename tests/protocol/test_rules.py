"""What of an app the protocol knows."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slanger.protocol.rules import Rules
from tests.builders import KEY, SECRET, make_app


class Defaults(SynchronousTestCase):
    """Rules as they are unless something is set."""

    def test_limits(self) -> None:
        """The limits of the documentation: data, channels of a trigger, client events, presence."""
        rules = Rules(key=KEY, secret=SECRET)
        self.assertEqual(
            (rules.event_data_bytes, rules.event_channels, rules.client_events_per_second), (10240, 100, 10)
        )
        self.assertEqual(
            (rules.presence_members, rules.presence_member_bytes, rules.user_id_length, rules.channel_name_length),
            (100, 1024, 128, 200),
        )

    def test_switches(self) -> None:
        """Client events are on, as in Slanger; so are both forms of subscription errors."""
        rules = Rules(key=KEY, secret=SECRET)
        self.assertTrue(rules.client_events and rules.subscription_errors and rules.internal_subscription_errors)

    def test_secret_is_not_shown(self) -> None:
        """Neither rules nor app show the secret."""
        self.assertNotIn(SECRET, repr(Rules(key=KEY, secret=SECRET)) + repr(make_app()) + str(make_app()))
